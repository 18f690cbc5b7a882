"""Bars of Interactive Brokers as rows: their sizes, the windows they are asked for in, and their close times."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from data_plane.connectors.port import RawBar
from data_plane.session_grid import step_of
from ibkr_client.messages import HistoryBar

_SATURDAY = 5
SMALL = timedelta(seconds=30)
"""Bars up to this size have pacing rules of their own."""


class Window(NamedTuple):
    """UTC days from ``first`` to before ``beyond`` that one request covers."""

    first: date
    beyond: date

    @property
    def end(self) -> str:
        """The end of the window as the gateway reads it."""
        return f"{self.beyond:%Y%m%d}-00:00:00"

    @property
    def duration(self) -> str:
        """Long enough for the window: sessions are never more than days."""
        days = (self.beyond - self.first).days
        return f"{days} D" if days < 365 else f"{-(-days // 365)} Y"

    @property
    def has_weekdays(self) -> bool:
        """Whether any of its days is no Saturday or Sunday."""
        days = (self.beyond - self.first).days
        return any((self.first + timedelta(days=number)).weekday() < _SATURDAY for number in range(min(days, 3)))

    def until(self, today: date) -> "Window":
        """The part of it that is over."""
        return self._replace(beyond=min(self.beyond, today))


def windows(bar_size: str, first: date, last: date) -> Iterator[Window]:
    """Windows of a few thousand bars from ``first`` to ``last``, both included, oldest first.

    They begin at days that do not depend on ``first``, so that a longer period asks for the same windows again.
    """
    days = _days_of_window(bar_size)
    begin = date.fromordinal(first.toordinal() // days * days)
    while begin <= last:
        beyond = begin + timedelta(days=days)
        yield Window(begin, beyond)
        begin = beyond


def row_of(bar: HistoryBar, symbol: str, bar_size: str, line: int = 0) -> RawBar:
    """``bar`` with the close as its time, or the trading day of a daily bar."""
    step = step_of(bar_size)
    stamp: date = day(bar.start) if step is None else datetime.fromtimestamp(int(bar.start), UTC) + step
    return RawBar(symbol, stamp, bar.open, bar.high, bar.low, bar.close, bar.volume, bar_size, "ibkr", line)


def _days_of_window(bar_size: str) -> int:
    step = step_of(bar_size)
    if step is None:
        return 365
    return 1 if step <= SMALL else 5 if step <= timedelta(minutes=5) else 30


def day(text: str) -> date:
    """The trading day of a daily bar."""
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def epoch(start: date) -> int:
    """From 1970 to the beginning of a UTC day."""
    return (start.toordinal() - date(1970, 1, 1).toordinal()) * 86_400
