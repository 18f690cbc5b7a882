"""Mean-variance weights as a quadratic program that is formulated once and solved many times."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import cvxpy
import numpy as np

from strategy_plane.optimizers.port import Allocation, AllocationStatus, FactorRisk, Limits, Vector

cp: Any = cvxpy  # its atoms come through star imports that type checkers do not follow

GRID = 1e-6
"""Weights are multiples of this, so that solver noise does not reach orders."""
DECIMALS = 6


def slack_of(assets: int) -> float:
    """How far rounded weights may exceed a limit: one grid step per asset."""
    return GRID * assets


@dataclass(frozen=True, slots=True)
class _Program:
    """One problem for n assets and k factors; everything that changes between decisions is a parameter."""

    problem: Any
    weights: Any
    views: Any
    loadings: Any
    specific: Any
    current: Any
    lower: Any
    upper: Any
    gross: Any
    net: Any
    turnover: Any


class MeanVariance:
    """Maximise ``expected @ w - risk_aversion / 2 * w' Sigma w`` within limits (Markowitz 1952).

    The risk term is in factor form and the whole problem is parametrised (disciplined parametrised
    programming, Agrawal et al. 2019), so cvxpy compiles it once per size. Solved by Clarabel from a cold
    start: the answer depends on the input alone. Only status "optimal" is accepted, limits are checked
    again on the rounded weights, and the current weights are kept when anything is amiss or when the
    answer would be worse than they are.
    """

    def __init__(self, risk_aversion: float) -> None:
        if not risk_aversion > 0.0:
            raise ValueError("risk_aversion must be positive")
        self._risk_aversion = risk_aversion
        self._programs: dict[tuple[int, int], _Program] = {}

    def __call__(self, expected: Vector, risk: FactorRisk, current: Vector, limits: Limits) -> Allocation:
        """Choose weights; see `Optimizer` for shapes and units."""
        fault = _fault_of_input(expected, risk, current) or _conflict(current, limits)
        if fault:
            return Allocation(current, AllocationStatus.KEPT, fault)
        found, status = self._solve(expected, risk, current, limits)
        if found is None:
            return Allocation(current, AllocationStatus.KEPT, f"solver ended with status {status}")
        weights = _on_grid(found, limits)
        fault = self._fault_of_answer(weights, expected, risk, current, limits)
        if fault:
            return Allocation(current, AllocationStatus.KEPT, fault)
        return Allocation(weights, AllocationStatus.OPTIMAL)

    def utility(self, weights: Vector, expected: Vector, risk: FactorRisk) -> float:
        """The objective, as an annual certainty-equivalent return."""
        return float(expected @ weights) - self._risk_aversion / 2.0 * risk.variance(weights)

    def _solve(self, expected: Vector, risk: FactorRisk, current: Vector, limits: Limits) -> tuple[Vector | None, str]:
        program = self._program(*risk.loadings.shape)
        _assign(program, expected, risk, current, limits, self._risk_aversion)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an inaccurate answer is refused by its status below
            try:
                program.problem.solve(solver=cp.CLARABEL, warm_start=False)
            except cp.error.SolverError:
                return None, "solver_error"
        status = str(program.problem.status)
        if status != cp.OPTIMAL:
            return None, status
        return np.asarray(program.weights.value, dtype=np.float64), status

    def _program(self, assets: int, factors: int) -> _Program:
        program = self._programs.get((assets, factors))
        if program is None:
            program = self._programs[assets, factors] = _formulate(assets, factors)
        return program

    def _fault_of_answer(
        self, weights: Vector, expected: Vector, risk: FactorRisk, current: Vector, limits: Limits
    ) -> str:
        slack = slack_of(len(weights))
        broken = limits.breaches(weights, current, slack)
        if broken:
            return f"the solver's weights break {', '.join(broken)}"
        if limits.breaches(current, current, slack):
            return ""
        reached = self.utility(weights, expected, risk)
        held = self.utility(current, expected, risk)
        steepest = float(np.abs(expected).max() + self._risk_aversion * risk.variances.max() * max(1.0, limits.gross))
        noise = slack * steepest  # what rounding to the grid may cost
        return "the solver's weights are worse than the current ones" if reached < held - noise else ""


def _formulate(assets: int, factors: int) -> _Program:
    weights = cp.Variable(assets)
    exposure = cp.Variable(factors)
    views, specific, current = (cp.Parameter(assets) for _ in range(3))
    lower, upper = cp.Parameter(assets), cp.Parameter(assets)
    loadings = cp.Parameter((factors, assets))
    gross, turnover = cp.Parameter(), cp.Parameter()
    net = cp.Parameter(2)
    objective = cp.sum_squares(exposure) + cp.sum_squares(cp.multiply(specific, weights)) - views @ weights
    constraints = [
        exposure == loadings @ weights,
        weights >= lower,
        weights <= upper,
        cp.norm1(weights) <= gross,
        cp.sum(weights) >= net[0],
        cp.sum(weights) <= net[1],
        cp.norm1(weights - current) <= turnover,
    ]
    problem = cp.Problem(cp.Minimize(objective), constraints)
    return _Program(problem, weights, views, loadings, specific, current, lower, upper, gross, net, turnover)


def _assign(
    program: _Program, expected: Vector, risk: FactorRisk, current: Vector, limits: Limits, risk_aversion: float
) -> None:
    scale = _scale(expected, risk, risk_aversion)
    root = math.sqrt(risk_aversion / 2.0 / scale)
    program.views.value = expected / scale
    program.loadings.value = root * risk.loadings.T
    program.specific.value = root * np.sqrt(risk.specific)
    program.current.value = current
    program.lower.value = np.full(len(current), 0.0 if limits.long_only else -limits.box)
    program.upper.value = np.full(len(current), limits.box)
    program.gross.value = limits.gross - limits.outside_gross
    program.net.value = np.array([-limits.net, limits.net]) - limits.outside_net
    program.turnover.value = limits.turnover


def _scale(expected: Vector, risk: FactorRisk, risk_aversion: float) -> float:
    """What the objective is divided by, so that the largest view is one and tolerances mean the same always."""
    largest = float(np.abs(expected).max(initial=0.0))
    return largest if largest > 0.0 else risk_aversion * float(risk.variances.max())


def _fault_of_input(expected: Vector, risk: FactorRisk, current: Vector) -> str:
    named = {
        "expected returns": expected,
        "factor loadings": risk.loadings,
        "specific variances": risk.specific,
        "current weights": current,
    }
    for name, values in named.items():
        if not np.isfinite(values).all():
            return f"{name} are not finite"
    if not len(expected) == len(current) == len(risk.specific) == len(risk.loadings):
        return "expected returns, risk and current weights differ in length"
    if len(expected) == 0:
        return "there is nothing to allocate to"
    return "specific variances must be positive" if (risk.specific <= 0.0).any() else ""


def _conflict(current: Vector, limits: Limits) -> str:
    """Name the limits that no weights can satisfy together, as far as arithmetic alone can tell."""
    if min(limits.gross, limits.net, limits.box, limits.turnover) < 0.0:
        return "a limit is negative"
    room = limits.gross - limits.outside_gross
    if room < 0.0:
        return "gross: what is held outside the problem already exceeds it"
    reach = min(room, limits.box * len(current))
    lowest = limits.outside_net - (0.0 if limits.long_only else reach)
    if lowest > limits.net or limits.outside_net + reach < -limits.net:
        return "net: what is held outside the problem cannot be offset within gross, box and long_only"
    return _turnover_conflict(current, limits)


def _turnover_conflict(current: Vector, limits: Limits) -> str:
    clipped = np.clip(current, 0.0 if limits.long_only else -limits.box, limits.box)
    needed = {
        "box": float(np.abs(current - clipped).sum()),
        "gross": float(np.abs(current).sum()) + limits.outside_gross - limits.gross,
        "net": abs(float(current.sum()) + limits.outside_net) - limits.net,
    }
    tight = [name for name, change in needed.items() if change > limits.turnover + slack_of(len(current))]
    return f"turnover: too small to bring the current weights within {', '.join(tight)}" if tight else ""


def _on_grid(found: Vector, limits: Limits) -> Vector:
    clipped = np.clip(found, 0.0 if limits.long_only else -limits.box, limits.box)
    room = limits.gross - limits.outside_gross
    gross = float(np.abs(clipped).sum())
    if gross > room > 0.0:
        clipped = clipped * (room / gross)
    rounded: Vector = np.round(clipped, DECIMALS) + 0.0  # no negative zero
    return rounded
