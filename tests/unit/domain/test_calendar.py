from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from domain.calendar import OutsideCalendarError, SessionCalendar, always_open
from domain.exchange_sessions import load_calendar

THANKSGIVING_WEEK = load_calendar("XNYS", date(2012, 11, 19), date(2012, 11, 25))
WEDNESDAY_CLOSE = datetime(2012, 11, 21, 21, tzinfo=UTC)
FRIDAY_OPEN = datetime(2012, 11, 23, 14, 30, tzinfo=UTC)
EARLY_CLOSE = datetime(2012, 11, 23, 18, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_open_and_close_belong_to_the_session_and_nothing_beyond():
    calendar = THANKSGIVING_WEEK
    assert [calendar.is_open(at) for at in (FRIDAY_OPEN - SECOND, FRIDAY_OPEN, EARLY_CLOSE, EARLY_CLOSE + SECOND)] == [
        False,
        True,
        True,
        False,
    ]


def test_holiday_has_no_close_and_half_day_closes_early():
    assert THANKSGIVING_WEEK.close_on(date(2012, 11, 22)) is None
    assert THANKSGIVING_WEEK.close_on(date(2012, 11, 23)) == EARLY_CLOSE
    assert THANKSGIVING_WEEK.session_end(FRIDAY_OPEN + SECOND) == EARLY_CLOSE
    assert THANKSGIVING_WEEK.session_end(WEDNESDAY_CLOSE + SECOND) is None


def test_order_decided_at_a_close_works_until_the_close_of_the_next_session():
    assert THANKSGIVING_WEEK.next_open(WEDNESDAY_CLOSE) == FRIDAY_OPEN
    assert THANKSGIVING_WEEK.following_close(WEDNESDAY_CLOSE) == EARLY_CLOSE
    assert THANKSGIVING_WEEK.following_close(FRIDAY_OPEN) == EARLY_CLOSE


def test_summer_time_moves_the_sessions_in_utc():
    calendar = load_calendar("XNYS", date(2013, 3, 8), date(2013, 3, 11))
    assert [opened.hour for opened in calendar.opens] == [14, 13]


def test_first_session_from_a_day_on():
    assert THANKSGIVING_WEEK.open_from(date(2012, 11, 22)) == FRIDAY_OPEN
    assert THANKSGIVING_WEEK.open_from(date(2012, 11, 24)) is None
    assert THANKSGIVING_WEEK.open_from(date(2012, 11, 1)) is None


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.is_open(datetime(2012, 11, 18, tzinfo=UTC)),
        lambda c: c.is_open(datetime(2012, 11, 26, 1, tzinfo=UTC)),
        lambda c: c.next_open(EARLY_CLOSE),
        lambda c: c.following_close(EARLY_CLOSE),
        lambda c: c.close_on(date(2012, 11, 26)),
    ],
)
def test_question_beyond_the_loaded_period_names_the_calendar_and_the_period(ask):
    with pytest.raises(OutsideCalendarError, match="XNYS, which covers 2012-11-19 to 2012-11-25"):
        ask(THANKSGIVING_WEEK)


def test_weekend_within_the_period_is_closed_and_no_error():
    assert not THANKSGIVING_WEEK.is_open(datetime(2012, 11, 24, 12, tzinfo=UTC))


def test_round_the_clock_market_is_open_at_every_moment_and_midnight_ends_the_day():
    calendar = always_open()
    midnight = datetime(2024, 1, 1, tzinfo=UTC)
    assert all(calendar.is_open(midnight + timedelta(minutes=m)) for m in range(0, 4321, 7))
    assert calendar.session_end(midnight) == midnight
    assert calendar.session_end(midnight + SECOND) == midnight + timedelta(days=1)
    assert calendar.following_close(midnight) == midnight + timedelta(days=1)


def test_single_session_can_be_loaded():
    assert load_calendar("XNYS", date(2012, 11, 23), date(2012, 11, 23)).closes == (EARLY_CLOSE,)


@pytest.mark.parametrize(
    ("name", "first", "last", "message"),
    [
        ("XNOPE", date(2020, 1, 1), date(2020, 2, 1), "XNOPE.*ISO 10383"),
        ("XNYS", date(2012, 11, 22), date(2012, 11, 22), "XNYS.*at least one session"),
        ("XNYS", date(2012, 11, 22), date(2012, 11, 20), "XNYS.*before first"),
    ],
)
def test_calendar_that_cannot_be_loaded_is_named(name, first, last, message):
    with pytest.raises(ValueError, match=message):
        load_calendar(name, first, last)


@pytest.mark.parametrize(
    ("opens", "closes"),
    [
        ((FRIDAY_OPEN,), ()),
        ((EARLY_CLOSE,), (FRIDAY_OPEN,)),
        ((FRIDAY_OPEN.astimezone(timezone(timedelta(hours=1))),), (EARLY_CLOSE,)),
    ],
)
def test_inconsistent_sessions_are_refused(opens, closes):
    with pytest.raises(ValueError, match="calendar X"):
        SessionCalendar("X", date(2012, 11, 23), date(2012, 11, 23), (date(2012, 11, 23),), opens, closes)
