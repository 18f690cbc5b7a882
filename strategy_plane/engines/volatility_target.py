"""A strategy held at a chosen volatility: its weights scaled by what they would have risked lately."""

from dataclasses import replace

import numpy as np

from contracts.market import BarEvent, SliceEvent
from strategy_plane.history import History, Vector
from strategy_plane.sizing import ewma_volatility, volatility_scale
from strategy_plane.strategies.port import Alarm, Basis, Portfolio, Strategy, Targets


class VolatilityTarget:
    """Scales the weights of ``inner`` so that the portfolio's annual volatility is ``target``.

    The expectation is the exponentially weighted volatility that today's weights would have had over ``window``
    returns, so correlations count. Never scaled up beyond ``largest``. Targets in units pass unchanged.
    """

    def __init__(
        self,
        inner: Strategy,
        target: float,
        window: int = 60,
        half_life: float = 20.0,
        largest: float = 1.0,
        periods_per_year: float = 252.0,
    ) -> None:
        if not target > 0.0 or window < 2 or not half_life > 0.0 or not largest > 0.0:
            raise ValueError("target, half_life and largest must be positive and window at least 2")
        self._inner = inner
        self._target = target
        self._window = window
        self._half_life = half_life
        self._largest = largest
        self._periods_per_year = periods_per_year
        self._history = History(window + 1)

    @property
    def warm_up(self) -> int:
        """What the strategy or the volatility needs, whichever is more."""
        return max(self._inner.warm_up, self._window + 1)

    @property
    def period(self) -> int:
        """As the strategy has it."""
        return self._inner.period

    def on_bar(self, bar: BarEvent) -> None:
        """Take one close."""
        self._history.append(bar)
        self._inner.on_bar(bar)

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """The strategy's targets, scaled; without an alarm-free estimate they are not traded."""
        targets = self._inner.decide(moment, portfolio)
        if targets is None or targets.basis is Basis.UNITS or not any(targets.values.values()):
            return targets
        returns = self._past(moment, targets)
        expected = ewma_volatility(returns, self._half_life, self._periods_per_year) if len(returns) else 0.0
        if not expected > 0.0:
            return Targets({}, alarm=Alarm("VOLATILITY_UNKNOWN", "too few complete bars to target a volatility"))
        scale = volatility_scale(self._target, expected, self._largest)
        return replace(targets, values={symbol: scale * weight for symbol, weight in targets.values.items()})

    def _past(self, moment: SliceEvent, targets: Targets) -> Vector:
        """Returns that today's weights would have had at moments when every weighted symbol had a bar."""
        weighted = {symbol: weight for symbol, weight in targets.values.items() if weight}
        closes = self._history.as_of(moment.timestamp).panel(self._window + 1, weighted).closes
        complete = closes[~np.isnan(closes).any(axis=1)]
        past: Vector = (complete[1:] / complete[:-1] - 1.0) @ np.array(list(weighted.values()))
        return past
