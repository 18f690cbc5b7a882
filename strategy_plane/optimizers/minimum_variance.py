"""The least volatile portfolio that is fully invested within limits."""

from dataclasses import replace

import numpy as np

from strategy_plane.optimizers.mean_variance import MeanVariance
from strategy_plane.optimizers.port import Allocation, FactorRisk, Limits, TradingCosts, Vector


class MinimumVariance:
    """Mean-variance without views, with everything invested that gross, net and box allow (Markowitz 1952)."""

    def __init__(self) -> None:
        self._solve = MeanVariance(1.0)

    def __call__(
        self, expected: Vector, risk: FactorRisk, current: Vector, limits: Limits, costs: TradingCosts | None = None
    ) -> Allocation:
        """Choose weights; see `Optimizer`; ``expected`` is not read."""
        invested = min(limits.net, limits.outside_net + min(limits.room, limits.box * len(current)))
        floor = max(limits.lowest_net, invested)
        return self._solve(np.zeros(len(current)), risk, current, replace(limits, net_floor=floor), costs)
