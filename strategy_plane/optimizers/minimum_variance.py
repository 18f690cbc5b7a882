"""The least volatile portfolio that is invested as far as limits allow."""

from dataclasses import replace

import numpy as np

from strategy_plane.optimizers.mean_variance import MeanVariance, slack_of
from strategy_plane.optimizers.port import Allocation, AllocationStatus, FactorRisk, Limits, TradingCosts, Vector

_HARDLY_AVERSE = 1e-4


class MinimumVariance:
    """Mean-variance without views, with everything invested that gross, net and box allow (Markowitz 1952).

    Where turnover, volatility or a group does not let that much be reached in one step, first the most is found that
    they let, and then the least volatile weights that are invested so far.
    """

    def __init__(self) -> None:
        self._solve = MeanVariance(1.0)
        self._fill = MeanVariance(_HARDLY_AVERSE)

    def __call__(
        self, expected: Vector, risk: FactorRisk, current: Vector, limits: Limits, costs: TradingCosts | None = None
    ) -> Allocation:
        """Choose weights; see `Optimizer`; ``expected`` is not read."""
        assets = len(current)
        nothing = np.zeros(assets)
        invested = min(limits.net, limits.outside_net + min(limits.room, limits.box * assets))
        found = self._solve(nothing, risk, current, _at_least(limits, invested), costs)
        if found.status is AllocationStatus.OPTIMAL:
            return found
        most = self._fill(np.ones(assets), risk, current, limits)
        if most.status is not AllocationStatus.OPTIMAL:
            return most
        reached = float(most.weights.sum()) + limits.outside_net - slack_of(assets)
        return self._solve(nothing, risk, current, _at_least(limits, min(invested, reached)), costs)


def _at_least(limits: Limits, invested: float) -> Limits:
    return replace(limits, net_floor=max(limits.lowest_net, invested))
