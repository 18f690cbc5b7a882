"""Weights from risk alone, brought within limits: the frame of every allocation rule that needs no views."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from strategy_plane.optimizers.feasibility import conflict, fault_of_input
from strategy_plane.optimizers.mean_variance import MeanVariance, slack_of
from strategy_plane.optimizers.port import Allocation, AllocationStatus, FactorRisk, Limits, TradingCosts, Vector

Rule = Callable[[FactorRisk], Vector]
"""From risk to weights, none negative, that sum to one."""


class RuleFailed(ArithmeticError):
    """A rule found no weights."""


class RiskBased:
    """Invests as much as gross and net allow at the weights of a rule.

    Where these break a limit, the nearest weights (least squares) that keep all of them are taken, which moves
    no further from the rule than it must. A volatility limit scales everything down first.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._nearest = MeanVariance(1.0)

    def __call__(
        self, expected: Vector, risk: FactorRisk, current: Vector, limits: Limits, costs: TradingCosts | None = None
    ) -> Allocation:
        """Choose weights; see `Optimizer`; ``expected`` and ``costs`` are not read."""
        slack = slack_of(len(current))
        fault = fault_of_input(np.zeros(len(current)), risk, current) or conflict(current, limits, slack)
        if fault:
            return Allocation(current, AllocationStatus.KEPT, fault)
        try:
            wanted = np.round(_budget(limits) * self._rule(risk), 9)
        except RuleFailed as failure:
            return Allocation(current, AllocationStatus.KEPT, str(failure))
        wanted = _calm(wanted, risk, limits)
        if not limits.breaches(wanted, current, slack):
            return Allocation(wanted, AllocationStatus.OPTIMAL)
        return self._within(wanted, risk, current, limits)

    def _within(self, wanted: Vector, risk: FactorRisk, current: Vector, limits: Limits) -> Allocation:
        """The nearest feasible weights: as a mean-variance problem, views are wishes and every risk is one."""
        assets = len(wanted)
        distance = FactorRisk(np.zeros((assets, 1)), np.ones(assets))
        found = self._nearest(wanted, distance, current, replace(limits, volatility=None))
        if found.status is not AllocationStatus.OPTIMAL:
            return found
        if limits.volatility is not None and risk.variance(found.weights) > (limits.volatility + slack_of(assets)) ** 2:
            return Allocation(current, AllocationStatus.KEPT, "volatility: the nearest weights within limits exceed it")
        return found


def _budget(limits: Limits) -> float:
    return max(0.0, min(limits.room, limits.net - limits.outside_net))


def _calm(wanted: Vector, risk: FactorRisk, limits: Limits) -> Vector:
    if limits.volatility is None:
        return wanted
    expected = float(np.sqrt(risk.variance(wanted)))
    return wanted * min(1.0, limits.volatility / expected) if expected > 0.0 else wanted


def equal_weight(risk: FactorRisk) -> Vector:
    """The same weight for every asset, shape (n,) (DeMiguel, Garlappi and Uppal 2009)."""
    assets = len(risk.specific)
    return np.full(assets, 1.0 / assets)


def inverse_volatility(risk: FactorRisk) -> Vector:
    """Weights, (n,), in proportion to one over volatility.

    They equal risk parity when all correlations are the same (Maillard, Roncalli and Teiletche 2010).
    """
    inverse: Vector = 1.0 / np.sqrt(risk.variances)
    inverse /= inverse.sum()
    return inverse
