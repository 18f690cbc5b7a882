from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from data_plane.connectors.port import RawQuote
from data_plane.order_flow import OrderFlow, flow_of
from data_plane.session_grid import SessionGrid
from domain.exchange_sessions import load_calendar

CALENDAR = load_calendar("XNYS", date(2024, 7, 1), date(2024, 7, 5))
OPEN = datetime(2024, 7, 1, 13, 30, tzinfo=UTC)


def quote(seconds, bid=10.0, bid_size=5.0, ask=10.1, ask_size=7.0, symbol="A"):
    return RawQuote(symbol, OPEN + timedelta(seconds=seconds), bid, bid_size, ask, ask_size, "q", 1)


def of_minute():
    return OrderFlow(SessionGrid(CALENDAR, "1min"))


@pytest.mark.parametrize(
    ("after", "flow"),
    [
        ({"bid_size": 8.0}, 3.0),  # the bid queue grows
        ({"bid_size": 1.0}, -4.0),  # it shrinks
        ({"ask_size": 9.0}, -2.0),  # the ask queue grows
        ({"ask_size": 4.0}, 3.0),  # it shrinks
        ({"bid": 10.05, "bid_size": 2.0}, 2.0),  # a better bid: all of it is new
        ({"bid": 9.9, "bid_size": 20.0}, -5.0),  # the bid is gone: all of it was lost
        ({"ask": 10.05, "ask_size": 2.0}, -2.0),
        ({"ask": 10.2, "ask_size": 20.0}, 7.0),
        ({}, 0.0),
    ],
)
def test_flow_of_one_change(after, flow):
    assert flow_of(quote(0), quote(1, **after)) == flow


def test_the_flow_of_the_manual_of_wickra():
    """`OrderFlowImbalance`: a bid of 5 at 100 is lifted to 6 at 100.5, 4 are asked at 101, and the flow is 6."""
    before, now = (
        {"bid": bid, "bid_size": size, "ask": 101.0, "ask_size": 4.0} for bid, size in ((100.0, 5), (100.5, 6))
    )
    assert flow_of(quote(0, **before), quote(1, **now)) == 6.0


def test_flow_is_the_signed_change_of_both_queues_in_a_simulated_book():
    # A book with one level a side and no move of prices: every event's size is known, and so is its sign.
    rng = np.random.default_rng(7)
    depth = {"bid": 1e6, "ask": 1e6}
    order_flow, expected, events = of_minute(), {}, []
    for n in range(3000):
        side = str(rng.choice(["bid", "ask"]))
        size = float(rng.integers(-50, 51))
        depth[side] += size
        now = quote(n * 0.1, bid_size=depth["bid"], ask_size=depth["ask"])
        minute = int(n * 0.1 // 60) + 1
        if n:
            expected[minute] = expected.get(minute, 0.0) + (size if side == "bid" else -size)
        events += order_flow.add(now)
    events += order_flow.expire(OPEN + timedelta(hours=1))
    assert {(e.timestamp - OPEN) // timedelta(minutes=1): e.ofi_value for e in events} == expected


def test_flow_counts_whole_queues_when_the_book_moves_by_a_level():
    # A ladder of resting sizes: market orders eat levels, the best quote follows, and each signed size is known.
    rng = np.random.default_rng(11)
    bids, asks = {cents: 100.0 for cents in range(500, 1000)}, {cents: 100.0 for cents in range(1000, 1500)}
    order_flow, signed, previous = of_minute(), 0.0, None
    events = []
    for n in range(400):
        side, kind = int(rng.integers(2)), int(rng.integers(2))
        book, best = (bids, max(bids)) if side == 0 else (asks, min(asks))
        if kind == 0:
            change = float(rng.integers(1, 40))
            book[best] += change
        else:
            change = -book.pop(best)
        signed += (change if side == 0 else -change) if previous is not None else 0.0
        bid, ask = max(bids), min(asks)
        previous = quote(n * 0.1, bid / 100, bids[bid], ask / 100, asks[ask])
        events += order_flow.add(previous)
    events += order_flow.expire(OPEN + timedelta(hours=1))
    assert sum(event.ofi_value for event in events) == pytest.approx(signed)


def test_state_of_the_queues_is_that_of_the_last_quote():
    order_flow = of_minute()
    order_flow.add(quote(1, bid_size=1.0, ask_size=1.0))
    order_flow.add(quote(2, bid_size=30.0, ask_size=10.0))
    (event,) = order_flow.expire(OPEN + timedelta(minutes=1))
    assert (event.bid_volume, event.ask_volume, event.volume_imbalance) == (30.0, 10.0, 0.5)
    assert event.timestamp == OPEN + timedelta(minutes=1)


def test_empty_queues_are_balanced():
    order_flow = of_minute()
    order_flow.add(quote(1, bid_size=0.0, ask_size=0.0))
    assert order_flow.expire(OPEN + timedelta(minutes=1))[0].volume_imbalance == 0.0


def test_flow_goes_on_across_intervals_and_not_across_sessions():
    order_flow = of_minute()
    order_flow.add(quote(59, bid_size=5.0))
    (first,) = order_flow.add(quote(61, bid_size=9.0))
    (second,) = order_flow.add(quote(24 * 3600 + 1, bid_size=100.0))
    (third,) = order_flow.expire(OPEN + timedelta(days=2))
    assert [first.ofi_value, second.ofi_value, third.ofi_value] == [0.0, 4.0, 0.0]


def test_quote_for_a_published_interval_or_outside_sessions_is_not_summed():
    order_flow = of_minute()
    order_flow.expire(OPEN + timedelta(minutes=1))
    assert order_flow.add(quote(30)) is None
    assert order_flow.add(quote(-30)) is None
    assert order_flow.add(quote(60)) == ()


def test_flow_is_the_published_sum_over_columns():
    """Cont, Kukanov and Stoikov (2014), equation for e_n, written a second time for whole columns in pandas."""
    rng = np.random.default_rng(8)
    count = 400
    table = pd.DataFrame(
        {
            "bid": 10.0 + np.cumsum(rng.integers(-1, 2, count)) * 0.01,
            "bid_size": rng.integers(1, 50, count).astype(float),
            "ask_size": rng.integers(1, 50, count).astype(float),
        }
    ).round(2)
    table["ask"] = (table["bid"] + rng.integers(1, 3, count) * 0.01).round(2)
    before = table.shift()
    bid = (table.bid >= before.bid) * table.bid_size - (table.bid <= before.bid) * before.bid_size
    ask = (table.ask <= before.ask) * table.ask_size - (table.ask >= before.ask) * before.ask_size
    quotes = [quote(number, **row) for number, row in enumerate(table.to_dict("records"))]
    assert [flow_of(*pair) for pair in pairwise(quotes)] == (bid - ask).iloc[1:].tolist()


def test_no_flow_is_summed_over_a_cut():
    order_flow = of_minute()
    order_flow.add(quote(0))
    order_flow.add(quote(1, bid_size=8.0))
    order_flow.cut()
    order_flow.add(quote(20, bid=12.0, ask=12.1))
    order_flow.add(quote(21, bid=12.0, ask=12.1, bid_size=6.0))
    (event,) = order_flow.expire(OPEN + timedelta(minutes=1))
    assert event.ofi_value == 3.0 + 1.0
