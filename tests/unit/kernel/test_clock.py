import sys
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from kernel.clock import ManualClock, SystemClock, monotonic, since_boot

START = datetime(2024, 1, 2, 21, 0, tzinfo=UTC)


def test_a_manual_clock_stands_still_until_it_is_moved():
    clock = ManualClock(START)

    assert clock.now() == clock.now() == START
    clock.advance(timedelta(minutes=5))
    assert clock.now() == START + timedelta(minutes=5)


def test_a_manual_clock_never_moves_back():
    clock = ManualClock(START)

    with pytest.raises(ValueError, match="negative"):
        clock.advance(timedelta(microseconds=-1))
    assert clock.now() == START


def test_a_manual_clock_tells_utc_and_needs_a_zone():
    seoul = timezone(timedelta(hours=9))

    assert ManualClock(START.astimezone(seoul)).now().utcoffset() == timedelta(0)
    with pytest.raises(ValueError, match="time zone"):
        ManualClock(START.replace(tzinfo=None))


def test_the_system_clock_tells_utc():
    before = datetime.now(UTC)
    now = SystemClock().now()

    assert before <= now <= datetime.now(UTC)
    assert now.utcoffset() == timedelta(0)


def test_durations_are_never_negative():
    first = monotonic()

    assert monotonic() >= first


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells how long the host slept")
def test_a_pause_is_measured_with_the_sleep_of_the_host():
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= since_boot() <= time.clock_gettime(time.CLOCK_BOOTTIME)
