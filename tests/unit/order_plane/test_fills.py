from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.market import BarEvent
from contracts.trading import OrderIntent, OrderType, Side
from domain.costs import BasisPointSlippage
from order_plane.brokers.fills import Pricing, execution_price

FREE = Pricing(BasisPointSlippage(0.0))
ONE_PERCENT = Pricing(BasisPointSlippage(100.0))
# the bar opens at 100, rises to 104, falls to 97 and closes at 101, in an order nobody knows
BAR = {"open": 100.0, "high": 104.0, "low": 97.0, "close": 101.0}


@pytest.mark.parametrize(
    ("kind", "side", "stop", "limit", "triggered", "expected"),
    [
        (OrderType.MARKET, Side.BUY, None, None, False, 100.0),
        (OrderType.ADAPTIVE, Side.SELL, None, None, False, 100.0),
        # limits: at the limit when touched, at the open when that is better, else not
        (OrderType.LIMIT, Side.BUY, None, 98.0, False, 98.0),
        (OrderType.LIMIT, Side.BUY, None, 97.0, False, 97.0),
        (OrderType.LIMIT, Side.BUY, None, 96.99, False, None),
        (OrderType.LIMIT, Side.BUY, None, 103.0, False, 100.0),
        (OrderType.LIMIT, Side.SELL, None, 104.0, False, 104.0),
        (OrderType.LIMIT, Side.SELL, None, 104.01, False, None),
        (OrderType.LIMIT, Side.SELL, None, 98.0, False, 100.0),
        # stops: at the stop when reached, at the open when that is beyond it
        (OrderType.STOP, Side.BUY, 103.0, None, False, 103.0),
        (OrderType.STOP, Side.BUY, 104.0, None, False, 104.0),
        (OrderType.STOP, Side.BUY, 104.01, None, False, None),
        (OrderType.STOP, Side.BUY, 95.0, None, False, 100.0),
        (OrderType.STOP, Side.SELL, 98.0, None, False, 98.0),
        (OrderType.STOP, Side.SELL, 96.0, None, False, None),
        (OrderType.STOP, Side.SELL, 105.0, None, False, 100.0),
        (OrderType.STOP, Side.SELL, 50.0, None, True, 100.0),
        # stop-limits: triggered within the bar, then a limit
        (OrderType.STOP_LIMIT, Side.BUY, 103.0, 103.5, False, 103.0),
        (OrderType.STOP_LIMIT, Side.BUY, 103.0, 102.0, False, 102.0),
        (OrderType.STOP_LIMIT, Side.BUY, 103.0, 100.5, False, None),
        (OrderType.STOP_LIMIT, Side.BUY, 105.0, 106.0, False, None),
        (OrderType.STOP_LIMIT, Side.BUY, 99.0, 98.0, False, 98.0),
        (OrderType.STOP_LIMIT, Side.SELL, 98.0, 97.5, False, 98.0),
        (OrderType.STOP_LIMIT, Side.SELL, 98.0, 100.5, False, 100.5),
        (OrderType.STOP_LIMIT, Side.SELL, 98.0, 102.0, False, None),
        (OrderType.STOP_LIMIT, Side.BUY, 500.0, 98.0, True, 98.0),
    ],
)
def test_price_within_a_bar(make_intent, make_bar, kind, side, stop, limit, triggered, expected):
    intent = make_intent(direction=side, order_type=kind, stop_price=stop, limit_price=limit)
    assert execution_price(intent, make_bar(**BAR), triggered, FREE) == expected


@pytest.mark.parametrize(
    ("kind", "side", "stop", "limit", "expected"),
    [
        (OrderType.MARKET, Side.BUY, None, None, 101.0),
        (OrderType.MARKET, Side.SELL, None, None, 99.0),
        (OrderType.STOP, Side.BUY, 103.0, None, 104.03),
        (OrderType.STOP, Side.SELL, 98.0, None, 97.02),
        (OrderType.LIMIT, Side.BUY, None, 98.0, 98.0),
    ],
)
def test_slippage_worsens_market_executions_and_no_limits(make_intent, make_bar, kind, side, stop, limit, expected):
    intent = make_intent(direction=side, order_type=kind, stop_price=stop, limit_price=limit)
    assert execution_price(intent, make_bar(**BAR), False, ONE_PERCENT) == pytest.approx(expected)


@pytest.mark.parametrize(("side", "expected"), [(Side.BUY, 101.0), (Side.SELL, 99.5)])
def test_a_market_execution_moves_to_the_next_tick_that_is_no_better(make_intent, make_bar, side, expected):
    pricing = Pricing(BasisPointSlippage(30.0), tick_size=0.5)
    bar = make_bar(**{**BAR, "open": 100.2})
    assert execution_price(make_intent(direction=side), bar, False, pricing) == expected


def test_a_limit_is_never_left_for_the_sake_of_a_tick(make_intent, make_bar):
    pricing = Pricing(BasisPointSlippage(0.0), tick_size=0.5)
    intent = make_intent(order_type=OrderType.LIMIT, limit_price=100.3)
    assert execution_price(intent, make_bar(**{**BAR, "open": 100.2}), False, pricing) == 100.3


prices = st.floats(1.0, 1_000.0)


@given(st.lists(prices, min_size=4, max_size=4), st.sampled_from(OrderType), st.sampled_from(Side), prices, prices)
def test_without_slippage_every_price_lies_in_the_bar_and_within_the_limit(four, kind, side, stop, limit):
    low, first, second, high = sorted(four)
    at = datetime(2024, 1, 2, tzinfo=UTC)
    bar = BarEvent(symbol="A", timestamp=at, open=first, high=high, low=low, close=second, volume=1.0)
    limited = kind in (OrderType.LIMIT, OrderType.STOP_LIMIT)
    intent = OrderIntent(
        intent_id=UUID(int=1),
        symbol="A",
        direction=side,
        quantity=1.0,
        order_type=kind,
        limit_price=limit if limited else None,
        stop_price=stop if kind in (OrderType.STOP, OrderType.STOP_LIMIT) else None,
        timestamp=at,
    )
    price = execution_price(intent, bar, False, FREE)
    if price is None:
        return
    assert low <= price <= high
    if limited:
        assert price <= limit if side is Side.BUY else price >= limit
