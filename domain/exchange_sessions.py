"""Session calendars of real exchanges, half-days and holidays included."""

import warnings
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import exchange_calendars
from exchange_calendars import errors

from domain.calendar import SessionCalendar


@lru_cache(maxsize=16)
def load_calendar(name: str, first: date, last: date) -> SessionCalendar:
    """The sessions of exchange ``name`` (an ISO 10383 code such as XNYS, or 24/7) from ``first`` to ``last``.

    Raises:
        ValueError: naming the exchange, when it is not known or has no session in that period.
    """
    if last < first:
        raise ValueError(f"calendar {name}: last {last} is before first {first}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the package warns of its own use of pandas
            beyond = last + timedelta(days=1)  # the package wants two different days
            source = exchange_calendars.get_calendar(name, start=first.isoformat(), end=beyond.isoformat())
            days = tuple(stamp.date() for stamp in source.sessions if stamp.date() <= last)
            opens, closes = _moments(source.opens), _moments(source.closes)
        return SessionCalendar(name, first, last, days, opens[: len(days)], closes[: len(days)])
    except errors.InvalidCalendarName:
        raise ValueError(f"calendar {name!r} is not an exchange; use an ISO 10383 code such as XNYS, or 24/7") from None
    except (errors.NoSessionsError, errors.DateOutOfBounds, ValueError) as error:
        raise ValueError(f"calendar {name} has no sessions from {first} to {last}: {error}") from None


def _moments(column: Any) -> tuple[datetime, ...]:  # noqa: ANN401 - a column of a package without types
    return tuple(stamp.to_pydatetime().astimezone(UTC) for stamp in column)
