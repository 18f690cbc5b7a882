from datetime import UTC, datetime, timedelta, timezone

from hypothesis import example, given
from hypothesis import strategies as st

from contracts.codec import decode, encode
from contracts.market import BarEvent
from domain.moments import text_of

ZONES = st.none() | st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=ZONES), ZONES)
@example(datetime(2024, 1, 2, 15, tzinfo=UTC), timezone(timedelta(hours=5)))
def test_a_moment_is_spelled_as_it_is_whatever_equal_one_was_spelled_before(at, zone):
    same = at if at.tzinfo is None or zone is None or not 2 < at.year < 9999 else at.astimezone(zone)
    moments = [at, same, at.replace(fold=1 - at.fold)] * 2
    assert [text_of(each) for each in moments] == [each.isoformat() for each in moments]


def test_a_moment_from_the_wire_is_spelled_like_one_of_our_own():
    noon = datetime(2024, 1, 2, 17, tzinfo=UTC)
    bar = BarEvent(symbol="X", timestamp=noon, open=1.0, high=1.0, low=1.0, close=1.0, volume=1.0)
    again = decode(encode(bar))
    assert text_of(again.timestamp) == again.timestamp.isoformat() == text_of(noon)
