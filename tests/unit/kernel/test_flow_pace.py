"""A source that is paced by event time does not wait for what is not paced."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts.market import FactEvent, SliceEvent
from kernel.flow import RealTime

START = datetime(2024, 1, 2, tzinfo=UTC)


def test_facts_of_long_ago_do_not_hold_up_the_bars():
    slept: list[float] = []
    pace = RealTime(speed=1.0, sleep=slept.append, unpaced=(FactEvent,))
    old = START - timedelta(days=4000)
    pace.before(FactEvent(table="t", symbol="A", timestamp=old, event_time=old, values={"x": 1.0}))
    for minutes in (0, 10):
        pace.before(SliceEvent(timestamp=START + timedelta(minutes=minutes), bar_size="1min", symbols=()))
    assert slept == [pytest.approx(600.0, abs=60.0)]
