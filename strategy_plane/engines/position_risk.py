"""Positions no larger than their average true range allows."""

from dataclasses import replace

from strategy_plane.history import AsOfView, History
from strategy_plane.sizing import average_true_range, units_at_risk
from strategy_plane.strategies.port import Alarm, Basis, Portfolio, Targets

_SMOOTHED_OVER = 5
"""Windows of true ranges that Wilder's average is given to forget how it began."""


class PositionRisk:
    """Cuts targets so that a move of ``multiple`` average true ranges costs at most ``risk`` of equity.

    Ranges are Wilder's over ``window`` bars. A position that is already smaller is left as it is, and one whose range
    is not known, or whose price has not moved, is neither opened nor enlarged.
    """

    def __init__(self, risk: float, window: int = 14, multiple: float = 2.0) -> None:
        if not risk > 0.0 or window < 1 or not multiple > 0.0:
            raise ValueError("risk and multiple must be positive and window at least 1")
        self._risk = risk
        self._window = window
        self._multiple = multiple
        self._bars = _SMOOTHED_OVER * window + 1
        self.history = History(self._bars, whole_bars=True)

    @property
    def warm_up(self) -> int:
        """A first average."""
        return self._window + 1

    def __call__(self, targets: Targets, view: AsOfView, portfolio: Portfolio) -> Targets:
        """The targets, none larger than its range allows, and an alarm for those without a range."""
        largest = {symbol: self._largest(view, symbol, portfolio, targets.basis) for symbol in targets.values}
        unknown = [symbol for symbol, value in targets.values.items() if value and not largest[symbol]]
        size = portfolio.holding if targets.basis is Basis.UNITS else portfolio.weight
        values = {}
        for symbol, value in targets.values.items():
            held = size(symbol) if symbol in unknown else 0.0
            values[symbol] = max(min(-largest[symbol], held), min(max(largest[symbol], held), value))
        if not unknown or targets.alarm:
            return replace(targets, values=values)
        told = f"too few bars, or none that moved: {', '.join(unknown[:10])}"
        return replace(targets, values=values, alarm=Alarm("RANGE_UNKNOWN", told))

    def _largest(self, view: AsOfView, symbol: str, portfolio: Portfolio, basis: Basis) -> float:
        bars, equity, rate = view.bars(symbol, self._bars), portfolio.equity(), portfolio.rate(symbol)
        found = average_true_range(bars.high, bars.low, bars.close, self._window) * rate
        if not found > 0.0 or not equity > 0.0:
            return 0.0
        units = units_at_risk(equity, self._risk, found, self._multiple)
        return units if basis is Basis.UNITS else units * float(bars.close[-1]) * rate / equity
