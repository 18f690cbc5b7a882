"""Weights scaled to a chosen volatility by what they would have risked lately."""

from dataclasses import replace

import numpy as np

from strategy_plane.history import AsOfView, History, Vector
from strategy_plane.sizing import ewma_volatility, volatility_scale
from strategy_plane.strategies.port import Alarm, Basis, Portfolio, Targets


class VolatilityTarget:
    """Scales weights so that the portfolio's annual volatility is ``target``.

    The expectation is the exponentially weighted volatility that today's weights would have had over ``window``
    returns, so correlations count. Never scaled up beyond ``largest``. Targets in units pass unchanged.
    """

    def __init__(
        self,
        target: float,
        window: int = 60,
        half_life: float = 20.0,
        largest: float = 1.0,
        periods_per_year: float = 252.0,
    ) -> None:
        if not target > 0.0 or window < 2 or not half_life > 0.0 or not largest > 0.0:
            raise ValueError("target, half_life and largest must be positive and window at least 2")
        self._target = target
        self._window = window
        self._half_life = half_life
        self._largest = largest
        self._periods_per_year = periods_per_year
        self.history = History(window + 1)

    @property
    def warm_up(self) -> int:
        """A whole window of returns."""
        return self._window + 1

    def __call__(self, targets: Targets, view: AsOfView, portfolio: Portfolio) -> Targets:
        """The weights, scaled; without an estimate nothing is traded."""
        if targets.basis is Basis.UNITS:
            return targets
        returns = self._past(view, targets)
        expected = ewma_volatility(returns, self._half_life, self._periods_per_year) if len(returns) else 0.0
        if not expected > 0.0:
            return Targets({}, alarm=Alarm("VOLATILITY_UNKNOWN", "too few complete bars to target a volatility"))
        scale = volatility_scale(self._target, expected, self._largest)
        return replace(targets, values={symbol: scale * weight for symbol, weight in targets.values.items()})

    def _past(self, view: AsOfView, targets: Targets) -> Vector:
        """Returns that today's weights would have had at moments when every weighted symbol had a bar."""
        weighted = {symbol: weight for symbol, weight in targets.values.items() if weight}
        closes = view.panel(self._window + 1, weighted).closes
        complete = closes[~np.isnan(closes).any(axis=1)]
        past: Vector = (complete[1:] / complete[:-1] - 1.0) @ np.array(list(weighted.values()))
        return past
