"""A strategy whose positions are no larger than their average true range allows."""

from dataclasses import replace

from contracts.market import BarEvent, SliceEvent
from strategy_plane.history import AsOfView, History
from strategy_plane.sizing import average_true_range, units_at_risk
from strategy_plane.strategies.port import Alarm, Basis, Portfolio, Strategy, Targets

_SMOOTHED_OVER = 5
"""Windows of true ranges that Wilder's average is given to forget how it began."""


class PositionRisk:
    """Cuts the targets of ``inner``: a move of ``multiple`` average true ranges costs at most ``risk`` of equity.

    Ranges are Wilder's over ``window`` bars. A position that is already smaller is left as it is, and one whose range
    is not known is not opened.
    """

    def __init__(self, inner: Strategy, risk: float, window: int = 14, multiple: float = 2.0) -> None:
        if not risk > 0.0 or window < 1 or not multiple > 0.0:
            raise ValueError("risk and multiple must be positive and window at least 1")
        self._inner = inner
        self._risk = risk
        self._window = window
        self._multiple = multiple
        self._bars = _SMOOTHED_OVER * window + 1
        self._history = History(self._bars, whole_bars=True)

    @property
    def warm_up(self) -> int:
        """What the strategy or the range needs, whichever is more."""
        return max(self._inner.warm_up, self._window + 1)

    @property
    def period(self) -> int:
        """As the strategy has it."""
        return self._inner.period

    def on_bar(self, bar: BarEvent) -> None:
        """Take one bar."""
        self._history.append(bar)
        self._inner.on_bar(bar)

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """The strategy's targets, none larger than its range allows, and an alarm for those without a range."""
        targets = self._inner.decide(moment, portfolio)
        if targets is None or not any(targets.values.values()):
            return targets
        view, equity = self._history.as_of(moment.timestamp), portfolio.equity()
        largest = {symbol: self._largest(view, symbol, equity, targets.basis) for symbol in targets.values}
        values = {
            symbol: max(-largest[symbol], min(largest[symbol], value)) for symbol, value in targets.values.items()
        }
        unknown = [symbol for symbol, value in targets.values.items() if value and not largest[symbol]]
        if not unknown or targets.alarm:
            return replace(targets, values=values)
        return replace(targets, values=values, alarm=Alarm("RANGE_UNKNOWN", f"too few bars: {', '.join(unknown[:10])}"))

    def _largest(self, view: AsOfView, symbol: str, equity: float, basis: Basis) -> float:
        bars = view.bars(symbol, self._bars)
        found = average_true_range(bars.high, bars.low, bars.close, self._window)
        if not found > 0.0 or not equity > 0.0:
            return 0.0
        units = units_at_risk(equity, self._risk, found, self._multiple)
        return units if basis is Basis.UNITS else units * float(bars.close[-1]) / equity
