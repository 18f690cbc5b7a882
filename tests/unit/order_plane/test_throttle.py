from datetime import timedelta

import pytest

from order_plane.throttle import TokenBucket


def test_a_burst_passes_and_the_next_message_waits_for_event_time(noon):
    bucket = TokenBucket(rate=2.0, burst=3.0)
    assert [bucket.take(noon) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(noon + timedelta(milliseconds=499))
    assert bucket.take(noon + timedelta(milliseconds=500))


def test_rest_refills_no_further_than_the_burst(noon):
    bucket = TokenBucket(rate=10.0, burst=2.0)
    bucket.take(noon)
    later = noon + timedelta(days=1)
    assert [bucket.take(later) for _ in range(3)] == [True, True, False]


def test_time_that_steps_back_refills_nothing(noon):
    bucket = TokenBucket(rate=1.0, burst=1.0)
    assert bucket.take(noon)
    assert not bucket.take(noon - timedelta(hours=1))
    assert not bucket.take(noon)


def test_orders_leave_the_reserve_to_cancels(noon):
    bucket = TokenBucket(rate=1.0, burst=3.0, reserve=2.0)
    assert [bucket.take(noon) for _ in range(2)] == [True, False]


def test_cancels_always_pass_and_slow_orders_down(noon):
    bucket = TokenBucket(rate=1.0, burst=2.0)
    for _ in range(5):
        bucket.take_for_cancel(noon)
    assert not bucket.take(noon)
    assert bucket.take(noon + timedelta(seconds=1))


@pytest.mark.parametrize("reserve", [-1.0, 2.0])
def test_a_reserve_that_leaves_no_room_is_refused(reserve):
    with pytest.raises(ValueError, match="reserve"):
        TokenBucket(rate=1.0, burst=2.0, reserve=reserve)
