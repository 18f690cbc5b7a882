"""Historical bars of any size the API knows, made of a tape up to a moment."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

from ibkr_sim.market_time import days_before, moment_of, trading_day
from ibkr_sim.tape import Bar, Tape, merged, whole

_MINUTE, _HOUR = 60, 3600
BAR_SIZES: dict[str, int | str] = {
    **{f"{n} secs": n for n in (1, 5, 10, 15, 30)},
    "1 min": _MINUTE,
    **{f"{n} mins": n * _MINUTE for n in (2, 3, 5, 10, 15, 20, 30)},
    "1 hour": _HOUR,
    **{f"{n} hours": n * _HOUR for n in (2, 3, 4, 8)},
    "1 day": "day",
    "1 week": "week",
    "1W": "week",
    "1 month": "month",
    "1M": "month",
}
"""Bar size settings to seconds, or to the calendar period."""

SMALL_BAR_IN_SECONDS = 30
_UNITS = ("S", "D", "W", "M", "Y")


class What(StrEnum):
    """What the bars are made of."""

    TRADES = "TRADES"
    MIDPOINT = "MIDPOINT"
    BID = "BID"
    ASK = "ASK"
    BID_ASK = "BID_ASK"
    ADJUSTED_LAST = "ADJUSTED_LAST"


_NO_VOLUME = {What.MIDPOINT, What.BID, What.ASK, What.BID_ASK}
_OFFSETS = {What.BID: -0.005, What.ASK: 0.005}


class InvalidHistoryRequestError(ValueError):
    """A bar size, duration or kind that the API does not know."""


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """Bars of ``size`` over ``length`` ``unit`` up to a moment."""

    size: int | str
    length: int
    unit: str
    what: What

    @property
    def daily(self) -> bool:
        """Whether a bar is dated by its day."""
        return isinstance(self.size, str)

    @property
    def small(self) -> bool:
        """Whether the strict pacing of bars of 30 seconds or less applies."""
        return isinstance(self.size, int) and self.size <= SMALL_BAR_IN_SECONDS


def request(bar_size: str, duration: str, what: str) -> HistoryRequest:
    """The request in the API's words.

    Raises:
        InvalidHistoryRequestError: when one of them is unknown.
    """
    size = BAR_SIZES.get(bar_size.strip())
    if size is None:
        raise InvalidHistoryRequestError("Historical data bar size setting is invalid. Legal ones are: 1 secs ... 1M")
    length, _, unit = duration.strip().partition(" ")
    if not length.isdigit() or int(length) == 0 or unit not in _UNITS:
        raise InvalidHistoryRequestError("Invalid duration: use a whole number and one of S, D, W, M, Y")
    if what not in set(What):
        raise InvalidHistoryRequestError("Historical data type is not known: use TRADES, MIDPOINT, BID or ASK")
    return HistoryRequest(size, int(length), unit, What(what))


def bars(tape: Tape, wanted: HistoryRequest, end: float) -> list[Bar]:
    """Bars up to ``end``, the last one as far as it has come; labelled by their start."""
    begin = _begin(tape, wanted, end)
    found = _native(tape, wanted, begin, end)
    if found is None:
        found = [bar for start, close in _slots(tape, wanted, begin, end) if (bar := _bar(tape, start, close, end))]
    return [_shown(bar, wanted.what) for bar in found]


def current_bar(tape: Tape, wanted: HistoryRequest, now: float) -> Bar | None:
    """The bar that ``now`` closes or falls into, as far as it has come; None outside the sessions."""
    session = tape.session_at(now)
    if session is None:
        return None
    slots = list(_slots(tape, wanted, session[0] if not wanted.daily else _period(wanted, now), now))
    if not slots:
        return None
    bar = _bar(tape, *slots[-1], now)
    return None if bar is None else _shown(bar, wanted.what)


def _native(tape: Tape, wanted: HistoryRequest, begin: float, end: float) -> list[Bar] | None:
    """The tape's own complete bars when they have the wanted size already."""
    first = tape.bars[0]
    length = "day" if first.end - first.start > _HOUR else int(first.end - first.start)
    if wanted.size != length:
        return None
    found = list(tape.bars_between(begin, end))
    after = found[-1].end if found else begin
    started = [bar for bar in tape.bars[bisect_right(tape.bars, after, key=_end) :][:1] if bar.start < end]
    for bar in started:
        partial = _bar(tape, bar.start, bar.end, end)
        if partial is not None:
            found.append(partial)
    return found


def _end(bar: Bar) -> float:
    return bar.end


def _begin(tape: Tape, wanted: HistoryRequest, end: float) -> float:
    if wanted.unit == "S":
        return end - wanted.length
    if wanted.unit == "D":
        sessions = [opened for opened, _ in tape.sessions if opened < end]
        return sessions[-wanted.length] if wanted.length <= len(sessions) else tape.bars[0].start
    return days_before(end, wanted.length * {"W": 7, "M": 30, "Y": 365}[wanted.unit])


def _period(wanted: HistoryRequest, moment: float) -> float:
    """Start of the day, week or month of ``moment``."""
    return moment_of(_first_day(str(wanted.size), trading_day(moment)), 0)


def _first_day(period: str, day: date) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def _slots(tape: Tape, wanted: HistoryRequest, begin: float, end: float) -> Iterator[tuple[float, float]]:
    """Start and end of each bar that starts in [``begin``, ``end``): on the clock in a session, or whole periods."""
    sessions = [each for each in tape.sessions if each[1] > begin and each[0] < end]
    if isinstance(wanted.size, str):
        yield from _periods(wanted.size, sessions)
        return
    for opened, closed in sessions:
        start = opened
        while start < min(closed, end):
            # The first bar may be short, so that all others start on a multiple of their size.
            following = min(closed, start - start % wanted.size + wanted.size)
            if start >= begin:
                yield start, following
            start = following


def _periods(period: str, sessions: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    slots: dict[date, tuple[float, float]] = {}
    for opened, closed in sessions:
        first = _first_day(period, trading_day(opened))
        slots[first] = (slots.get(first, (opened, closed))[0], closed)
    yield from slots.values()


def _bar(tape: Tape, start: float, close: float, now: float) -> Bar | None:
    """The bar from ``start`` to ``close`` with what happened until ``now``: whole bars, then single prints."""
    until = min(close, now)
    complete = tape.bars_between(start, until)
    pieces = list(complete)
    after = complete[-1].end if complete else start
    rest = whole(tape.prints_between(after, until), after, until) if after < until else None
    if rest is not None:
        pieces.append(rest)
    return merged(pieces, start, close)


def _shown(bar: Bar, what: What) -> Bar:
    if what not in _NO_VOLUME:
        return bar
    offset = _OFFSETS.get(what, 0.0)
    prices = (round(price + offset, 4) for price in (bar.open, bar.high, bar.low, bar.close))
    opened, high, low, close = prices
    return replace(bar, open=opened, high=high, low=low, close=close, volume=-1.0, wap=-1.0, count=-1)
