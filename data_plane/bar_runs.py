"""Runs of bars that no gate could object to, found in columns and published together."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from contracts.base import Message
from data_plane.bar_intake import PLAIN_MAX, PLAIN_MIN, BarIntake
from data_plane.completeness import CompletenessGate
from data_plane.connectors.layout import moment_of
from data_plane.connectors.port import Chunk, Values
from data_plane.quality import SymbolHistory
from domain.bar_run import BarRun

_SHORTEST = 8
"""Bars in a run: fewer are not worth the arrays."""
_MICROSECOND = timedelta(microseconds=1)


class BarRuns:
    """Takes the bars of one symbol a chunk at a time, with the same result as `BarIntake` one by one.

    A bar is plain when it follows the one before it by the length of a bar and is inside all limits. Plain bars behind
    each other are a run; whatever is not plain goes through the gates.
    """

    def __init__(self, bars: BarIntake, slices: CompletenessGate) -> None:
        self._bars = bars
        self._slices = slices

    def handle(self, chunk: Chunk) -> Iterator[Sequence[Message]]:
        """The messages that the rows of ``chunk`` give rise to, in the order to publish them."""
        stride, symbols = self._bars.stride // _MICROSECOND, chunk.symbols
        if not stride or symbols.count(symbols[0]) < len(symbols):
            yield from self._one_by_one(chunk, 0, len(symbols))
            return
        begin = place = 0
        for end in self._breaks(chunk, stride):
            while end - place >= _SHORTEST:
                yield from self._one_by_one(chunk, begin, place)
                begin, history = place, self._bars.known(symbols[0])
                run_end = place if history is None else self._end_of_run(chunk, place, end, history)
                if history is not None and run_end - place >= _SHORTEST:
                    yield self._publish(chunk.part(place, run_end), history)
                    begin = place = run_end
                else:
                    place += 1
            place = end
        yield from self._one_by_one(chunk, begin, place)

    def _one_by_one(self, chunk: Chunk, begin: int, end: int) -> Iterator[Sequence[Message]]:
        rows: Iterator[Any] = chunk.part(begin, end).rows() if begin < end else iter(())
        return map(self._bars.handle, rows)

    def _breaks(self, chunk: Chunk, stride: int) -> list[int]:
        """Places, and the end, of which the bar cannot continue a run that holds the bar before it."""
        open_, high, low, close, volume = _numbers(chunk)
        before = close[:-1]
        plain = (low <= open_) & (open_ <= high) & (low <= close) & (close <= high)
        plain &= (low > PLAIN_MIN) & (high < PLAIN_MAX) & (volume >= 0) & (volume <= PLAIN_MAX)
        plain[1:] &= (before * self._bars.down <= low[1:]) & (high[1:] <= before * self._bars.up)
        plain[1:] &= (close[1:] != before) & (np.diff(chunk.moments) == stride)
        found: list[int] = np.flatnonzero(~plain).tolist()
        return [*found, len(plain)]

    def _end_of_run(self, chunk: Chunk, place: int, end: int, history: SymbolHistory) -> int:
        """Where the run that begins at ``place`` ends, at most ``end``; ``place`` itself when its bar is not plain."""
        row: Any = chunk.row(place)
        if not self._bars.is_plain(row, row.timestamp, history):
            return place
        moments = chunk.moments
        return min(
            end,
            int(np.searchsorted(moments, moment_of(history.regular_until), "right")),
            int(np.searchsorted(moments, moment_of(self._slices.alone_until), "left")),
        )

    def _publish(self, run: Chunk, history: SymbolHistory) -> Sequence[Message]:
        numbers = np.array(_numbers(run))
        if history.adjusted:
            factor, units, _ = history.factors
            numbers[:4] *= factor
            numbers[4] /= units
        last: Any = run.row(len(run.symbols) - 1)
        self._bars.took(last, last.timestamp, history)
        moment = self._slices.take_alone(last.timestamp)
        return BarRun(history.template, moment, run.moments, numbers)


def _numbers(chunk: Chunk) -> list[Values]:
    """Open, high, low, close and volume."""
    return [np.asarray(column) for column in chunk.columns[2:7]]
