"""When a market is open, from a fixed list of sessions."""

from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import accumulate, chain, repeat
from operator import attrgetter

_zone = attrgetter("tzinfo")
ALWAYS_OPEN = "24/7"
"""The name of a market that never closes."""


class OutsideCalendarError(ValueError):
    """A moment lies outside the period a calendar was loaded for, or needs a session beyond its end."""


@dataclass(frozen=True, slots=True)
class SessionCalendar:
    """The sessions of one market between two days, each from its open to its close.

    ``days``, ``opens`` and ``closes`` run in parallel, one entry a session, ascending; moments are UTC. A session is
    named by its trading day, which may open on the evening before. Breaks within a session count as open. The period
    covered is ``first`` 00:00 to ``last`` 24:00 UTC and at least every listed session.
    """

    name: str
    first: date
    last: date
    days: tuple[date, ...]
    opens: tuple[datetime, ...]
    closes: tuple[datetime, ...]

    def __post_init__(self) -> None:
        if not self.days or not len(self.days) == len(self.opens) == len(self.closes):
            raise ValueError(f"calendar {self.name} needs at least one session, and an open and a close for each")
        moments = list(chain.from_iterable(zip(self.opens, self.closes, strict=True)))
        if {*map(_zone, moments)} != {UTC} or moments != sorted(moments):
            raise ValueError(f"calendar {self.name}: opens and closes must be UTC and ascending without overlap")

    def corrected(self, closed: Collection[date], early_closes: Mapping[date, time]) -> "SessionCalendar":
        """The calendar without the ``closed`` trading days, and with earlier closes (UTC time) on others.

        Raises:
            ValueError: when such a day has no session, or its early close is not within it.
        """
        if not (closed or early_closes):
            return self
        sessions = dict(zip(self.days, zip(self.opens, self.closes, strict=True), strict=True))
        for day in sorted({*closed, *early_closes}):
            if day not in sessions:
                raise ValueError(f"calendar {self.name} has no session on {day} to be corrected")
        for day, at in early_closes.items():
            opened, closing = sessions[day]
            early = datetime.combine(opened.date(), at, UTC)
            early += timedelta(days=early <= opened)  # a session may go on after midnight
            if not opened < early <= closing:
                raise ValueError(f"the early close on {day} must be after {opened} and not after {closing}")
            sessions[day] = opened, early
        left = [(day, *session) for day, session in sessions.items() if day not in closed]
        days, opens, closes = zip(*left, strict=True) if left else ((), (), ())
        return replace(self, days=days, opens=opens, closes=closes)

    def is_open(self, at: datetime) -> bool:
        """Whether a session holds ``at``, its open and its close included; raises `OutsideCalendarError`."""
        return self.session_end(at) is not None

    def close_on(self, day: date) -> datetime | None:
        """Close of the session of trading day ``day``, None when there is none; raises `OutsideCalendarError`."""
        if not self.first <= day <= self.last:
            raise self._outside(day)
        index = bisect_left(self.days, day)
        return self.closes[index] if index < len(self.days) and self.days[index] == day else None

    def open_from(self, day: date) -> datetime | None:
        """Open of the first session whose trading day is ``day`` or later; None outside the period covered."""
        index = bisect_left(self.days, day)
        return self.opens[index] if self.first <= day and index < len(self.days) else None

    def session_end(self, at: datetime) -> datetime | None:
        """Close of the session that holds ``at``, None between sessions; raises `OutsideCalendarError`.

        Where one session closes at the moment the next opens, that moment belongs to the one that closes.
        """
        index = bisect_left(self.closes, at)
        if index == len(self.closes) or self.opens[index] > at:
            self._require_covered(at)
            return None
        return self.closes[index]

    def next_open(self, at: datetime) -> datetime:
        """The first open at or after ``at``; raises `OutsideCalendarError` when the calendar ends before it."""
        return self.opens[self._next_session(at)]

    def following_close(self, at: datetime) -> datetime:
        """Close of the first session that opens at or after ``at``: where an order decided at a close works.

        Raises:
            OutsideCalendarError: when the calendar ends before it.
        """
        return self.closes[self._next_session(at)]

    def _next_session(self, at: datetime) -> int:
        self._require_covered(at)
        index = bisect_left(self.opens, at)
        if index == len(self.opens):
            raise self._outside(at)
        return index

    def _require_covered(self, at: datetime) -> None:
        begin = min(_midnight(self.first), self.opens[0])
        end = max(_midnight(self.last) + timedelta(days=1), self.closes[-1])
        if not begin <= at <= end:
            raise self._outside(at)

    def _outside(self, at: date) -> OutsideCalendarError:
        return OutsideCalendarError(
            f"{at.isoformat()} needs a session outside calendar {self.name}, which covers {self.first} to {self.last}; "
            "load the calendar for a longer period"
        )


@cache
def always_open(first: date = date(1990, 1, 1), last: date = date(2100, 12, 31)) -> SessionCalendar:
    """A market that never closes; its sessions are the UTC days from ``first`` to ``last``."""
    days = tuple(map(date.fromordinal, range(first.toordinal(), last.toordinal() + 1)))
    edges = tuple(accumulate(repeat(timedelta(days=1), len(days)), datetime.__add__, initial=_midnight(first)))
    return SessionCalendar(ALWAYS_OPEN, first, last, days, edges[:-1], edges[1:])


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
