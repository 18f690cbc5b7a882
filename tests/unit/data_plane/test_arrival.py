from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from data_plane.connectors.arrival import InOrder
from data_plane.connectors.port import RawBar

START = datetime(2024, 7, 10, 13, 30, tzinfo=UTC)


def bar(symbol, minute):
    at = START + timedelta(minutes=minute)
    return at, RawBar(symbol, at, 1.0, 1.0, 1.0, 1.0, 1.0, "1min", "", 0)


def minutes(rows):
    return [(row.symbol, (row.timestamp - START) // timedelta(minutes=1)) for row in rows]


def test_a_bar_waits_until_nothing_earlier_can_come():
    order = InOrder(START)
    for symbol, minute in (("A", 1), ("A", 2), ("B", 1)):
        order.add(*bar(symbol, minute))
    assert minutes(order.until(START)) == []
    assert minutes(order.until(START + timedelta(minutes=1))) == [("A", 1), ("B", 1)]
    assert minutes(order.until(START + timedelta(minutes=2))) == [("A", 2)]


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 9)), unique=True), st.lists(st.integers(0, 9)))
def test_however_bars_come_they_leave_by_time_and_symbol(bars, horizons):
    order, given_out = InOrder(START), []
    for symbol, minute in bars:
        order.add(*bar(symbol, minute))
    for horizon in [*sorted(horizons), 9]:
        given_out += minutes(order.until(START + timedelta(minutes=horizon)))
        assert order.through == START + timedelta(minutes=horizon)
    assert given_out == sorted(bars, key=lambda each: (each[1], each[0]))
