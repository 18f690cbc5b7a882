"""Weights scaled to a chosen volatility by what they would have risked lately."""

from dataclasses import replace

import numpy as np

from strategy_plane.history import AsOfView, History, Matrix, Vector
from strategy_plane.sizing import ewma_volatility, volatility_scale
from strategy_plane.strategies.port import Alarm, Basis, Portfolio, Targets


class VolatilityTarget:
    """Scales weights so that the portfolio's annual volatility is ``target``.

    The expectation is the exponentially weighted volatility that today's weights would have had over ``window``
    returns, so correlations count; half of the window is enough, as of a symbol that was listed in it. Never scaled up
    beyond ``largest``. Targets in units pass unchanged.
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
        weighted = {symbol: weight for symbol, weight in targets.values.items() if weight}
        closes = view.carried(self._window + 1, 1.0, weighted, late_starts=True).closes
        returns = _past(closes, np.array(list(weighted.values())))
        enough = 2 * len(returns) >= self._window
        expected = ewma_volatility(returns, self._half_life, self._periods_per_year) if enough else 0.0
        if not expected > 0.0:
            short = [symbol for symbol in weighted if 2 * len(view.closes(symbol, self._window + 1)) <= self._window]
            told = f"too few bars to target a volatility{': ' if short else ''}{', '.join(short[:10])}"
            return Targets({}, alarm=Alarm("VOLATILITY_UNKNOWN", told))
        scale = volatility_scale(self._target, expected, self._largest)
        return replace(targets, values={symbol: scale * weight for symbol, weight in targets.values.items()})


def _past(closes: Matrix, weights: Vector) -> Vector:
    """Returns that ``weights`` would have had since every symbol has had a close; without one a price stays."""
    known = closes[np.isfinite(closes).all(axis=1)]
    past: Vector = (known[1:] / known[:-1] - 1.0) @ weights
    return past
