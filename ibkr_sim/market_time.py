"""Times as the TWS API writes and reads them; a moment is epoch seconds, the market's zone is New York."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
ZONE_NAME = "US/Eastern"
DAY = 86_400.0


def local(moment: float) -> datetime:
    """The market's wall time."""
    return datetime.fromtimestamp(moment, ZONE)


def trading_day(moment: float) -> date:
    """The market's calendar day."""
    return local(moment).date()


def moment_of(day: date, hour: int, minute: int = 0) -> float:
    """The moment of a wall time of the market."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZONE).timestamp()


def stamp(moment: float) -> str:
    """A time with its zone, as in executions: ``20240701 09:30:00 US/Eastern``."""
    return f"{local(moment):%Y%m%d %H:%M:%S} {ZONE_NAME}"


def bar_date(moment: float, daily: bool, epoch: bool) -> str:
    """The date of a bar: the day of a daily bar, else the zone time or the epoch seconds."""
    if daily:
        return f"{local(moment):%Y%m%d}"
    return str(int(moment)) if epoch else stamp(moment)


def parse(text: str) -> float:
    """A moment from any form that the API takes: ``yyyymmdd[ |-]HH:MM:SS[ zone]``.

    With a dash it is UTC, with a zone that zone, else the market's. Raises ValueError when it is none of these.
    """
    clean = " ".join(text.split())
    if "-" in clean and " " not in clean:
        return datetime.strptime(clean, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC).timestamp()
    day, _, rest = clean.partition(" ")
    time, _, zone = rest.partition(" ")
    try:
        where = ZoneInfo(zone) if zone else ZONE
    except (KeyError, ValueError, OSError):
        raise ValueError("the time zone is unknown") from None
    return datetime.strptime(f"{day} {time or '00:00:00'}", "%Y%m%d %H:%M:%S").replace(tzinfo=where).timestamp()


def days_before(moment: float, days: int) -> float:
    """The same wall time ``days`` calendar days earlier."""
    return (local(moment) - timedelta(days=days)).timestamp()
