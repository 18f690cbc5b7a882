"""The moments at which bars of one size close within the sessions of a market."""

import re
from bisect import bisect_left, bisect_right
from datetime import datetime, timedelta
from typing import NamedTuple

from domain.calendar import SessionCalendar

_INSTANT = timedelta(microseconds=1)
_UNITS = {"s": timedelta(seconds=1), "min": timedelta(minutes=1), "h": timedelta(hours=1)}


def step_of(bar_size: str) -> timedelta | None:
    """Length of an intraday bar, None for ``1d``, which is one session long.

    Raises:
        ValueError: when the text is no bar size, or names several days.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,3})(s|min|h|d)", bar_size)
    if found is None or (found[2] == "d" and found[1] != "1"):
        raise ValueError(f"bar_size {bar_size!r}: use a number of s, min or h such as 5min, or 1d for one session")
    return None if found[2] == "d" else int(found[1]) * _UNITS[found[2]]


class Interval(NamedTuple):
    """A bar that is still open: it closes at ``end``, takes trades before ``until``, and lies in a session.

    A bar holds its first moment and not its last, except that a session's last bar holds the session's close too.
    """

    end: datetime
    until: datetime
    session_close: datetime


class SessionGrid:
    """Bar closes: every ``step`` from a session's open, and at its close; the last bar may be shorter."""

    def __init__(self, calendar: SessionCalendar, bar_size: str) -> None:
        self.step = step_of(bar_size)
        self._opens = calendar.opens
        self._closes = calendar.closes

    def interval(self, at: datetime) -> Interval | None:
        """The bar that a trade at ``at`` belongs to; None outside sessions."""
        session = self._session(at)
        if session is None:
            return None
        opened, closed = self._opens[session], self._closes[session]
        if self.step is None or at >= closed:
            return Interval(closed, closed + _INSTANT, closed)
        end = min(opened + ((at - opened) // self.step + 1) * self.step, closed)
        return Interval(end, end if end < closed else closed + _INSTANT, closed)

    def closes_at(self, at: datetime) -> bool:
        """Whether a bar closes at ``at``."""
        session = self._session(at)
        if session is None or at == self._opens[session]:
            return False
        return at == self._closes[session] or (self.step is not None and not (at - self._opens[session]) % self.step)

    def following(self, at: datetime) -> datetime | None:
        """The first bar close after the bar close ``at``; None past the end of the calendar."""
        session = bisect_right(self._closes, at)
        if session == len(self._closes):
            return None
        if self.step is None:
            return self._closes[session]
        return min(max(at, self._opens[session]) + self.step, self._closes[session])

    def regular_until(self, at: datetime) -> datetime:
        """Up to where bars close every ``step`` in the session of the bar close ``at``, that end included."""
        if self.step is None:
            return at
        session = bisect_left(self._closes, at)
        opened = self._opens[session]
        return opened + (self._closes[session] - opened) // self.step * self.step

    def between(self, after: datetime, until: datetime) -> int:
        """How many bars close later than the bar close ``after`` and before the bar close ``until``."""
        first, last = bisect_left(self._closes, after), bisect_left(self._closes, until)
        whole = sum(self._bars_until(session, self._closes[session]) for session in range(first, last))
        return max(whole + self._bars_until(last, until) - self._bars_until(first, after) - 1, 0)

    def _bars_until(self, session: int, at: datetime) -> int:
        return 1 if self.step is None else -((self._opens[session] - at) // self.step)

    def _session(self, at: datetime) -> int | None:
        session = bisect_left(self._closes, at)
        return session if session < len(self._closes) and self._opens[session] <= at else None
