"""A handful of bad messages passes; a flood does not."""

import pytest

from kernel.storm_breaker import StormBreaker


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_twenty_in_a_minute_pass_and_the_next_trips():
    breaker = StormBreaker(now=Clock())
    assert all(breaker.bad() for _ in range(20))
    assert breaker.reason is None
    assert not breaker.bad()
    assert "20 dead letters" in breaker.reason


def test_the_same_number_spread_over_hours_passes():
    clock = Clock()
    breaker = StormBreaker(now=clock)
    for _ in range(100):
        clock.now += 60
        for _ in range(100):
            breaker.good()
        assert breaker.bad()


@pytest.mark.parametrize(("good", "passes"), [(200, 10), (400, 21), (1000, 50)])
def test_a_share_of_the_recent_messages_trips_once_enough_were_seen(good, passes):
    clock = Clock()
    breaker = StormBreaker(burst=1000, now=clock)
    for _ in range(good):
        breaker.good()
    passed = 0
    while breaker.bad() and passed < 60:
        passed += 1
    assert passed == passes
    assert "last" in breaker.reason


def test_old_verdicts_leave_the_share():
    breaker = StormBreaker(burst=1000, recent=300)
    for _ in range(280):
        breaker.good()
    for _ in range(10):
        assert breaker.bad()
    for _ in range(300):
        breaker.good()
    assert [breaker.bad() for _ in range(15)] == [True] * 15


def test_it_stays_tripped_until_a_person_resets_it():
    clock = Clock()
    breaker = StormBreaker(now=clock)
    while breaker.bad():
        pass
    clock.now += 3600
    breaker.good()
    assert not breaker.bad()
    breaker.reset()
    assert breaker.reason is None
    assert breaker.bad()
