"""The only reader of wall time."""

import time
from datetime import UTC, datetime, timedelta

_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current time, UTC."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until it is moved, and never moves back."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("start needs a time zone; use datetime(..., tzinfo=UTC)")
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """The time it was last moved to, UTC."""
        return self._now

    def advance(self, by: timedelta) -> None:
        """Move forward.

        Raises:
            ValueError: when ``by`` is negative.
        """
        if by < timedelta(0):
            raise ValueError("by must not be negative: a clock never moves back")
        self._now += by


def monotonic() -> float:
    """Seconds on a clock that never steps back and stands while the host sleeps; for timeouts and durations only."""
    return time.monotonic()


def since_boot() -> float:
    """Seconds on a clock that never steps back and, on Linux, goes on while the host sleeps.

    For whatever may have been missed meanwhile: to the rest of the world the time has passed.
    """
    return time.clock_gettime(_SINCE_BOOT)
