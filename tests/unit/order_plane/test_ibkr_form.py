"""Intents as orders of Interactive Brokers."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.trading import OrderIntent, OrderType, Side, TimeInForce
from ibkr_client.contracts import ContractTerms, Qualified
from order_plane.brokers.ibkr_form import order_form
from order_plane.brokers.port import BrokerRefused

CONTRACT = Qualified(7, "AAPL", ContractTerms(), ((0.0, 0.0001), (1.0, 0.01)), 1.0)


def an_intent(**changes):
    fields = {
        "intent_id": UUID(int=1),
        "symbol": "AAPL",
        "direction": Side.BUY,
        "quantity": 10.0,
        "order_type": OrderType.LIMIT,
        "limit_price": 100.0,
        "timestamp": datetime(2024, 7, 10, tzinfo=UTC),
    }
    return OrderIntent(**{**fields, **changes})


@given(st.floats(0.001, 5_000), st.sampled_from(Side))
def test_a_limit_never_becomes_worse_and_moves_less_than_a_step(price, side):
    form = order_form(an_intent(limit_price=price, direction=side), "DU1", CONTRACT)
    sent = float(str(form.fields["lmtPrice"]))
    step = 0.01 if price >= 1 else 0.0001
    moved = price - sent if side is Side.BUY else sent - price
    assert -1e-6 * step <= moved < step


@given(st.floats(1.0, 1e6))
def test_a_size_is_whole_and_never_more_than_wished(quantity):
    form = order_form(an_intent(quantity=quantity), "DU1", CONTRACT)
    assert form.quantity == int(form.quantity)
    assert quantity - 1 < form.quantity <= quantity * (1 + 1e-6)


def test_an_order_is_labelled_with_its_intent_and_bears_its_account():
    fields = order_form(an_intent(), "DU1", CONTRACT).fields
    assert (fields["orderRef"], fields["account"], fields["transmit"]) == (str(UUID(int=1)), "DU1", True)


def test_an_adaptive_order_is_a_market_or_a_limit_order_with_a_priority():
    market = order_form(an_intent(order_type=OrderType.ADAPTIVE, limit_price=None), "DU1", CONTRACT, "Urgent")
    assert (market.fields["orderType"], market.fields["algoStrategy"]) == ("MKT", "Adaptive")
    assert market.algo == {"adaptivePriority": "Urgent"}
    limit = order_form(an_intent(order_type=OrderType.ADAPTIVE), "DU1", CONTRACT)
    assert (limit.fields["orderType"], limit.fields["lmtPrice"]) == ("LMT", 100.0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quantity": 0.5}, "QUANTITY_TOO_SMALL"),
        ({"limit_price": 0.00001}, "PRICE_OFF_GRID"),
        ({"time_in_force": TimeInForce.GTD}, "NO_DATE"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_a_reason(changes, reason):
    with pytest.raises(BrokerRefused, match=reason):
        order_form(an_intent(**changes), "DU1", CONTRACT)


def test_a_date_is_told_in_utc_whatever_zone_it_came_in():
    until = datetime(2024, 7, 10, 18, tzinfo=timezone(timedelta(hours=2)))
    form = order_form(an_intent(time_in_force=TimeInForce.GTD, valid_until=until), "DU1", CONTRACT)
    assert form.fields["goodTillDate"] == "20240710-16:00:00"
