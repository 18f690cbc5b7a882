"""The mean-variance problem written a second time, in cvxpy, and solved by another solver."""

from dataclasses import dataclass
from typing import Any

import cvxpy
import numpy as np

from strategy_plane.optimizers.mean_variance import MeanVariance
from strategy_plane.optimizers.port import Allocation, AllocationStatus, FactorRisk, Limits, TradingCosts, Vector

cp: Any = cvxpy  # its atoms come through star imports that type checkers do not follow
TOLERANCE = 1e-5
"""How far two solvers' objectives may lie apart, as a share of the largest view (or risk, without views)."""

_CONE_SOLVER = {"solver": cp.SCS, "eps_abs": 1e-8, "eps_rel": 1e-8, "max_iters": 100_000}


class SolverMissing(ImportError):
    """The second solver is not installed."""


@dataclass(frozen=True, slots=True)
class CrossChecked:
    """Keeps the current weights when a second solver finds a better answer, or none, to the same question.

    Quadratic programs go to PIQP (Schwan et al. 2023), those with a volatility limit, a cone, to SCS.
    """

    optimizer: MeanVariance
    risk_aversion: float

    def __post_init__(self) -> None:
        if "PIQP" not in cp.installed_solvers():
            raise SolverMissing("the cross-check needs the package piqp: pip install 'algo-trade[validate]'")

    def __call__(
        self, expected: Vector, risk: FactorRisk, current: Vector, limits: Limits, costs: TradingCosts | None = None
    ) -> Allocation:
        """Choose weights; see `Optimizer` for shapes and units."""
        found = self.optimizer(expected, risk, current, limits, costs)
        if found.status is not AllocationStatus.OPTIMAL:
            return found
        weights = cp.Variable(len(expected))
        utility = objective(weights, expected, risk, current, self.risk_aversion, costs)
        scale = float(np.abs(expected).max()) or self.risk_aversion * float(risk.variances.max())
        solver = {"solver": cp.PIQP} if limits.volatility is None else _CONE_SOLVER
        best = _optimum(utility / scale, constraints(weights, risk, current, limits), solver)
        weights.value = found.weights
        reached = float(utility.value) / scale
        allowed = TOLERANCE * max(1.0, len(expected) / 10.0)
        if best is None or best - reached > allowed:
            return Allocation(current, AllocationStatus.KEPT, "a second solver does not confirm the optimum")
        return found


def objective(
    weights: Any,  # noqa: ANN401 - a cvxpy variable, which has no type
    expected: Vector,
    risk: FactorRisk,
    current: Vector,
    risk_aversion: float,
    costs: TradingCosts | None = None,
) -> Any:  # noqa: ANN401
    """``expected @ w - risk_aversion / 2 * w' Sigma w - costs``, to be maximised."""
    variance = cp.sum_squares(risk.loadings.T @ weights) + cp.sum_squares(cp.multiply(np.sqrt(risk.specific), weights))
    utility = expected @ weights - risk_aversion / 2.0 * variance
    if costs is None:
        return utility
    change = weights - current
    return utility - costs.per_year * (costs.linear @ cp.abs(change) + costs.quadratic @ cp.square(change))


def constraints(weights: Any, risk: FactorRisk, current: Vector, limits: Limits) -> list[Any]:  # noqa: ANN401
    """`Limits` as they are said."""
    net = cp.sum(weights) + limits.outside_net
    stated = [
        cp.norm1(weights) + limits.outside_gross <= limits.gross,
        net <= limits.net,
        net >= limits.lowest_net,
        cp.abs(weights) <= limits.box,
        cp.norm1(weights - current) <= limits.turnover,
    ]
    if limits.long_only:
        stated.append(weights >= 0.0)
    for group in limits.groups:
        held = weights[list(group.members)]
        sums = ((cp.sum(held), group.high), (-cp.sum(held), -group.low), (cp.norm1(held), group.gross))
        stated += [total <= bound for total, bound in sums if np.isfinite(bound)]
    if limits.volatility is not None:
        parts = cp.hstack([risk.loadings.T @ weights, cp.multiply(np.sqrt(risk.specific), weights)])
        stated.append(cp.norm2(parts) <= limits.volatility)
    return stated


def _optimum(utility: Any, stated: list[Any], solver: dict[str, Any]) -> float | None:  # noqa: ANN401
    problem = cp.Problem(cp.Maximize(utility), stated)
    try:
        problem.solve(**solver)
    except cp.error.SolverError:
        return None
    return float(problem.value) if problem.status == cp.OPTIMAL else None
