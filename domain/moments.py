"""How moments are spelled."""

from datetime import date, datetime, timedelta
from functools import lru_cache

_UTC = timedelta(0)
_TWO_DIGITS = tuple(f"{number:02}" for number in range(60))


def text_of(at: datetime) -> str:
    """``at.isoformat()``, remembered when it is in UTC: one order writes the same moment a dozen times."""
    # Moments of other zones are equal to one in UTC and spelled otherwise.
    return _spelled(at) if at.utcoffset() == _UTC else at.isoformat()


@lru_cache(maxsize=1024)
def _spelled(at: datetime) -> str:
    """``at.isoformat()`` in a third of its time, for a moment in UTC: most have the day of the one before."""
    if at.microsecond:
        return at.isoformat()
    return f"{_day(at.date())}T{_TWO_DIGITS[at.hour]}:{_TWO_DIGITS[at.minute]}:{_TWO_DIGITS[at.second]}+00:00"


@lru_cache(maxsize=1)
def _day(day: date) -> str:
    return day.isoformat()
