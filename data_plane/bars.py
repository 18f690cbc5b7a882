"""Trades into bars, on the boundaries of sessions."""

from collections.abc import Sequence
from datetime import UTC, datetime

from data_plane.connectors.port import RawBar, RawTick
from data_plane.session_grid import Interval, SessionGrid


class _OpenBar:
    __slots__ = ("close", "end", "high", "last", "low", "open", "until", "volume")

    def __init__(self, tick: RawTick, interval: Interval) -> None:
        self.open = self.high = self.low = self.close = tick.price
        self.volume = tick.size
        self.end = interval.end
        self.until = interval.until
        self.last = tick

    def add(self, tick: RawTick) -> None:
        price = tick.price
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume += tick.size
        self.last = tick


class TickAggregator:
    """Builds the bars of one size from trades in event time.

    A bar is open from its first trade until the first trade of any symbol, or the clock, at or after its end; the last
    bar of a session takes trades at the close itself and ends after it. An interval without a trade has no bar.
    """

    def __init__(self, grid: SessionGrid, bar_size: str) -> None:
        self._grid = grid
        self._bar_size = bar_size
        self._open: dict[str, _OpenBar] = {}
        self._closed_through = datetime.min.replace(tzinfo=UTC)
        self._earliest = datetime.max.replace(tzinfo=UTC)

    def add(self, tick: RawTick) -> Sequence[RawBar] | None:
        """Take a trade and return the bars it ends; None when its own bar is closed already or was never open."""
        at = tick.timestamp
        closed = self.expire(at) if at >= self._earliest else ()
        bar = self._open.get(tick.symbol)
        if bar is not None and at < bar.until:
            bar.add(tick)
            return closed
        interval = self._grid.interval(at)
        if interval is None or interval.until <= self._closed_through:
            return None
        self._open[tick.symbol] = _OpenBar(tick, interval)
        self._earliest = min(self._earliest, interval.until)
        return closed

    def expire(self, now: datetime) -> Sequence[RawBar]:
        """Close every bar that ended by ``now``, in order of time and symbol."""
        self._closed_through = max(self._closed_through, now)
        ended = sorted((bar.end, symbol) for symbol, bar in self._open.items() if bar.until <= now)
        bars = tuple(self._row(symbol, self._open.pop(symbol)) for _, symbol in ended)
        self._earliest = min((bar.until for bar in self._open.values()), default=datetime.max.replace(tzinfo=UTC))
        return bars

    def _row(self, symbol: str, bar: _OpenBar) -> RawBar:
        return RawBar(
            symbol, bar.end, bar.open, bar.high, bar.low, bar.close, bar.volume,
            self._bar_size, bar.last.source, bar.last.line,
        )  # fmt: skip
