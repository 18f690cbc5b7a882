"""Bounded windows of closed bars that no reader can see past its own moment."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from contracts.market import BarEvent

Vector = NDArray[np.float64]
"""One float per symbol or per moment."""
Matrix = NDArray[np.float64]
"""Rows are moments, columns symbols, unless a docstring says otherwise."""


_REST = ("open", "high", "low", "volume")
MAX_MISSING = 0.05
"""Share of bars that may be missing where a measure needs every one."""


class LookAheadError(LookupError):
    """Something later than the reader's moment was asked for, or history was told out of order."""


class _Window:
    """The newest closes of one symbol; twice the wanted length, so that trimming costs O(1) per bar.

    ``rest`` holds open, high, low and volume of each bar in a row, when whole bars are kept.
    """

    __slots__ = ("closes", "moments", "newest", "rest")

    def __init__(self) -> None:
        self.moments: list[datetime] = []
        self.closes = array("d")
        self.rest = array("d")
        self.newest: datetime | None = None

    def trim(self, length: int) -> None:
        del self.moments[:-length]
        del self.closes[:-length]
        del self.rest[: -length * len(_REST)]


class History:
    """The last ``length`` closes of every symbol; whole bars when ``whole_bars``.

    Bars of one symbol arrive in time order, symbols in any order. A bar that is already known is ignored
    and counted in ``duplicates``.
    """

    __slots__ = ("_length", "_moments", "_whole_bars", "_windows", "duplicates")

    def __init__(self, length: int, *, whole_bars: bool = False) -> None:
        if length < 1:
            raise ValueError("history length must be at least 1 bar")
        self._length = length
        self._whole_bars = whole_bars
        self._windows: dict[str, _Window] = {}
        self._moments: list[datetime] = []
        self.duplicates = 0

    def append(self, bar: BarEvent) -> bool:
        """Keep the close of ``bar``; False for a bar already known.

        Raises:
            LookAheadError: when ``bar`` is older than the symbol's newest and not known.
        """
        window = self._windows.get(bar.symbol)
        if window is None:
            window = self._windows[bar.symbol] = _Window()
        moment = bar.timestamp
        newest = window.newest
        if newest is not None and moment <= newest:
            return self._known(window, bar)
        window.newest = moment
        window.moments.append(moment)
        window.closes.append(bar.close)
        if self._whole_bars:
            window.rest.extend((bar.open, bar.high, bar.low, bar.volume))
        if len(window.moments) >= 2 * self._length:
            window.trim(self._length)
        self._note(moment)
        return True

    def as_of(self, at: datetime) -> "AsOfView":
        """What was known at ``at``."""
        return AsOfView(self, at)

    def _known(self, window: _Window, bar: BarEvent) -> bool:
        place = bisect_left(window.moments, bar.timestamp)
        if window.moments[place] != bar.timestamp and bar.timestamp > window.moments[0]:
            raise LookAheadError(f"{bar.symbol}: a bar arrived after a later one; publish bars in time order")
        self.duplicates += 1
        return False

    def _note(self, moment: datetime) -> None:
        moments = self._moments
        if not moments or moment > moments[-1]:
            moments.append(moment)
            if len(moments) >= 2 * self._length:
                del moments[: -self._length]
        elif moment != moments[-1]:
            place = bisect_left(moments, moment)
            if moments[place] != moment:
                moments.insert(place, moment)

    def _symbols(self) -> list[str]:
        return sorted(self._windows)

    def _closes(self, symbol: str, last: int, until: datetime) -> "tuple[list[datetime], array[float]]":
        start, end = self._span(symbol, last, until)
        if start == end:
            return [], array("d")
        window = self._windows[symbol]
        return window.moments[start:end], window.closes[start:end]

    def _whole(self, symbol: str, last: int, until: datetime) -> "tuple[list[datetime], array[float], array[float]]":
        start, end = self._span(symbol, last, until)
        if start == end:
            return [], array("d"), array("d")
        window, width = self._windows[symbol], len(_REST)
        return window.moments[start:end], window.closes[start:end], window.rest[start * width : end * width]

    def _span(self, symbol: str, last: int, until: datetime) -> tuple[int, int]:
        window = self._windows.get(symbol)
        if window is None:
            return 0, 0
        moments = window.moments
        end = len(moments) if moments[-1] <= until else bisect_right(moments, until)
        return max(0, end - last), end

    def _timeline(self, last: int, until: datetime) -> list[datetime]:
        end = bisect_right(self._moments, until)
        return self._moments[max(0, end - last) : end]

    def _check_length(self, wanted: int) -> None:
        if not 1 <= wanted <= self._length:
            raise ValueError(f"asked for {wanted} bars; this history keeps 1 to {self._length}")


@dataclass(frozen=True, slots=True)
class Panel:
    """Closes of several symbols over the same moments.

    ``closes`` has shape (moments, symbols), oldest first, in currency per unit; NaN where a symbol has no
    bar. Nothing is filled in.
    """

    moments: tuple[datetime, ...]
    symbols: tuple[str, ...]
    closes: Matrix


@dataclass(frozen=True, slots=True)
class Bars:
    """Whole bars of one symbol, oldest first: vectors of one length, prices per unit, ``volume`` in units."""

    moments: tuple[datetime, ...]
    open: Vector
    high: Vector
    low: Vector
    close: Vector
    volume: Vector


class AsOfView:
    """Everything known at ``at`` and nothing later; arrays are read-only copies."""

    __slots__ = ("_history", "at")

    def __init__(self, history: History, at: datetime) -> None:
        self._history = history
        self.at = at

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols with at least one bar by ``at``, sorted."""
        return tuple(s for s in self._history._symbols() if self._history._closes(s, 1, self.at)[0])

    @property
    def traded(self) -> tuple[str, ...]:
        """Symbols with a bar at ``at`` itself, sorted."""
        return tuple(s for s in self._history._symbols() if self._history._closes(s, 1, self.at)[0] == [self.at])

    def as_of(self, earlier: datetime) -> "AsOfView":
        """The view of an earlier moment; raises `LookAheadError` for a later one."""
        self._refuse_later(earlier)
        return AsOfView(self._history, earlier)

    def closes(self, symbol: str, last: int, until: datetime | None = None) -> Vector:
        """The newest ``last`` closes of ``symbol`` by ``until`` (default ``at``), oldest first.

        Fewer when there have not been as many.

        Raises:
            LookAheadError: when ``until`` is later than ``at``.
            ValueError: when more bars are asked for than the history keeps.
        """
        self._history._check_length(last)
        if until is not None:
            self._refuse_later(until)
        return _frozen(self._history._closes(symbol, last, until or self.at)[1])

    def bars(self, symbol: str, last: int) -> Bars:
        """The newest ``last`` whole bars of ``symbol`` by ``at``; fewer when there have not been as many.

        Raises:
            ValueError: when the history keeps closes only, or fewer bars than asked for.
        """
        self._history._check_length(last)
        if not self._history._whole_bars:
            raise ValueError("this history keeps closes only; build it with whole_bars=True")
        moments, closes, rest = self._history._whole(symbol, last, self.at)
        opened, high, low, volume = (_frozen(rest[place :: len(_REST)]) for place in range(len(_REST)))
        return Bars(tuple(moments), opened, high, low, _frozen(closes), volume)

    def panel(self, last: int, symbols: Iterable[str] | None = None) -> Panel:
        """Closes of ``symbols`` (default all known, sorted) at the newest ``last`` moments by ``at``.

        Raises:
            ValueError: when more bars are asked for than the history keeps.
        """
        self._history._check_length(last)
        moments = self._history._timeline(last, self.at)
        names = self.symbols if symbols is None else tuple(symbols)
        closes = np.full((len(moments), len(names)), np.nan)
        rows = {moment: row for row, moment in enumerate(moments)}
        for column, symbol in enumerate(names):
            self._fill(closes[:, column], symbol, moments, rows)
        closes.flags.writeable = False
        return Panel(tuple(moments), names, closes)

    def carried(
        self,
        last: int,
        max_missing: float = MAX_MISSING,
        symbols: Iterable[str] | None = None,
        *,
        late_starts: bool = False,
    ) -> Panel:
        """`panel` without gaps: where a symbol has no bar it keeps the close before.

        Of the symbols that lack at most the share ``max_missing`` of the bars; those without a close by the first
        moment are left out, too, unless ``late_starts`` lets them begin later, with NaN until then.
        """
        panel = self.panel(last, symbols)
        if not panel.moments:
            return panel
        kept = np.isnan(panel.closes).mean(axis=0) <= max_missing
        names = [name for name, keep in zip(panel.symbols, kept.tolist(), strict=True) if keep]
        closes = panel.closes[:, kept]
        for column, symbol in zip(closes.T, names, strict=True):
            if np.isnan(column).any():
                self._carry(column, symbol, panel.moments)
        if not late_starts:
            known = np.isfinite(closes[0])
            closes = closes[:, known]
            names = [name for name, keep in zip(names, known.tolist(), strict=True) if keep]
        closes.flags.writeable = False
        return Panel(panel.moments, tuple(names), closes)

    def _carry(self, column: Vector, symbol: str, moments: Sequence[datetime]) -> None:
        times, values = self._history._closes(symbol, len(moments), self.at)
        for row in np.flatnonzero(np.isnan(column)).tolist():
            place = bisect_right(times, moments[row])
            column[row] = values[place - 1] if place else np.nan

    def _fill(self, column: Vector, symbol: str, moments: list[datetime], rows: Mapping[datetime, int]) -> None:
        times, values = self._history._closes(symbol, len(moments), self.at) if moments else ([], array("d"))
        if times == moments:
            column[:] = values
            return
        for moment, value in zip(times, values, strict=True):
            row = rows.get(moment)
            if row is not None:
                column[row] = value

    def _refuse_later(self, asked: datetime) -> None:
        if asked > self.at:
            raise LookAheadError(f"asked for {asked.isoformat()}, which is after this view's {self.at.isoformat()}")


def _frozen(values: "array[float]") -> Vector:
    copy = np.array(values, dtype=np.float64)
    copy.flags.writeable = False
    return copy
