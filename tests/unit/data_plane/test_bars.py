from datetime import UTC, date, datetime, timedelta

import pytest

from contracts.market import TickType
from data_plane.bars import TickAggregator
from data_plane.connectors.port import RawTick
from data_plane.session_grid import SessionGrid, step_of
from domain.exchange_sessions import load_calendar

CALENDAR = load_calendar("XNYS", date(2024, 7, 1), date(2024, 7, 5))
OPEN = datetime(2024, 7, 1, 13, 30, tzinfo=UTC)
HALF_DAY_CLOSE = datetime(2024, 7, 3, 17, 0, tzinfo=UTC)


def tick(seconds, price=1.0, size=1.0, symbol="A", at=OPEN):
    return RawTick(symbol, at + timedelta(seconds=seconds), price, size, TickType.TRADE, "t", 1)


@pytest.fixture
def aggregator():
    return TickAggregator(SessionGrid(CALENDAR, "1min"), "1min")


def test_bar_holds_its_first_moment_and_closes_with_the_first_trade_at_its_end(aggregator):
    for seconds, price, size in ((0, 5.0, 1), (20, 7.0, 2), (40, 4.0, 3), (59.999999, 6.0, 4)):
        assert aggregator.add(tick(seconds, price, size)) == ()
    (bar,) = aggregator.add(tick(60, 9.0, 5))
    assert bar[:8] == ("A", OPEN + timedelta(minutes=1), 5.0, 7.0, 4.0, 6.0, 10.0, "1min")


def test_trade_of_any_symbol_closes_all_bars_that_ended_by_symbol(aggregator):
    aggregator.add(tick(1, symbol="B"))
    aggregator.add(tick(2, symbol="A"))
    closed = aggregator.add(tick(61, symbol="C"))
    assert [bar.symbol for bar in closed] == ["A", "B"]


def test_minutes_without_trades_have_no_bar(aggregator):
    aggregator.add(tick(1))
    closed = [*aggregator.add(tick(301)), *aggregator.expire(OPEN + timedelta(hours=1))]
    assert [(bar.timestamp - OPEN) // timedelta(minutes=1) for bar in closed] == [1, 6]


def test_trades_at_the_close_belong_to_the_last_bar_of_the_session(aggregator):
    aggregator.add(tick(-1, 1.0, at=HALF_DAY_CLOSE))
    assert aggregator.add(tick(0, 2.0, at=HALF_DAY_CLOSE)) == ()
    assert aggregator.expire(HALF_DAY_CLOSE) == ()
    (bar,) = aggregator.expire(HALF_DAY_CLOSE + timedelta(microseconds=1))
    assert (bar.timestamp, bar.close, bar.volume) == (HALF_DAY_CLOSE, 2.0, 2.0)


def test_trade_for_a_closed_bar_or_outside_sessions_has_no_bar(aggregator):
    aggregator.add(tick(61, symbol="A"))
    aggregator.expire(OPEN + timedelta(minutes=2))
    assert aggregator.add(tick(119, symbol="B")) is None
    assert aggregator.add(tick(120, symbol="B")) == ()
    assert aggregator.add(tick(3600 * 10, symbol="B")) is None


def test_clock_closes_a_bar_without_a_trade(aggregator):
    aggregator.add(tick(1))
    assert aggregator.expire(OPEN + timedelta(seconds=59)) == ()
    assert len(aggregator.expire(OPEN + timedelta(seconds=60))) == 1


def test_hours_of_a_half_day_end_with_a_short_bar():
    grid = SessionGrid(CALENDAR, "1h")
    ends, at = [], grid.following(datetime(2024, 7, 3, 13, 0, tzinfo=UTC))
    while at <= HALF_DAY_CLOSE:
        ends.append(at.strftime("%H:%M"))
        at = grid.following(at)
    assert ends == ["14:30", "15:30", "16:30", "17:00"]
    assert all(grid.closes_at(datetime(2024, 7, 3, *map(int, end.split(":")), tzinfo=UTC)) for end in ends)
    assert not grid.closes_at(datetime(2024, 7, 3, 17, 30, tzinfo=UTC))


def test_daily_bars_close_with_their_session():
    grid = SessionGrid(CALENDAR, "1d")
    assert grid.interval(OPEN + timedelta(hours=1)).end == datetime(2024, 7, 1, 20, 0, tzinfo=UTC)
    assert grid.following(HALF_DAY_CLOSE) == datetime(2024, 7, 5, 20, 0, tzinfo=UTC)
    assert grid.following(datetime(2024, 7, 5, 20, 0, tzinfo=UTC)) is None


@pytest.mark.parametrize("text", ["2d", "0min", "1m", "", "1 min", "one"])
def test_unusable_bar_size_is_named(text):
    with pytest.raises(ValueError, match="bar_size"):
        step_of(text)
