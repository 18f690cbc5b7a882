"""Promise: the same facts on both sides give no finding, and any single difference is found by its name."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.trading import OrderIntent, OrderType, Side
from order_plane.brokers.port import CompletedOrder, OpenOrder, Snapshot
from order_plane.facts import Fact, FactKind
from order_plane.journals.port import Past, RowState
from order_plane.lifecycle import TERMINAL, Status, history_of
from order_plane.reconcile import Difference, OwnView, differences

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
SYMBOLS = ("AAPL", "MSFT", "IBM")


def a_past(number, symbol, side, quantity, fills, end):
    name = UUID(int=number)
    intent = OrderIntent(
        intent_id=name,
        symbol=symbol,
        direction=side,
        quantity=float(quantity),
        order_type=OrderType.MARKET,
        timestamp=NOON,
    )
    facts = [Fact(name, FactKind.ACK, "ack", NOON, f"o{number}")]
    left = float(quantity)
    for ordinal, (units, price, fee) in enumerate(fills):
        filled = min(float(units), left)
        if filled:
            left -= filled
            facts.append(Fact(name, FactKind.FILL, f"e{ordinal}", NOON, f"o{number}", filled, price, fee))
    if end and left:
        facts.append(Fact(name, end, "end", NOON, f"o{number}"))
    return Past(intent, "ACC", 1, RowState.ACKED, f"o{number}", tuple(facts), 0)


orders = st.builds(
    lambda *terms: terms,
    st.sampled_from(SYMBOLS),
    st.sampled_from(list(Side)),
    st.integers(1, 50),
    st.lists(st.tuples(st.integers(1, 20), st.sampled_from([99.5, 100.0, 101.25]), st.sampled_from([0.0, 1.0]))),
    st.sampled_from([None, FactKind.CANCELLED, FactKind.EXPIRED]),
)
accounts = st.lists(orders, min_size=1, max_size=6).map(
    lambda terms: {UUID(int=number): a_past(number, *each) for number, each in enumerate(terms, start=1)}
)


def both_sides(pasts):
    """What we believe and what the venue says, each worked out from the same facts."""
    positions, cash, works, ended, executions = {}, 0.0, [], [], []
    for name, past in pasts.items():
        intent, history = past.intent, history_of(past.intent.quantity, past.facts)
        sign = 1 if intent.direction is Side.BUY else -1
        positions[intent.symbol] = positions.get(intent.symbol, 0.0) + sign * history.filled
        cash -= sign * history.value + history.commission
        executions += [fact for fact in past.facts if fact.kind is FactKind.FILL]
        status = history.status()
        if status in TERMINAL:
            ended.append(CompletedOrder(name, past.order_id, intent.symbol, history.filled, status))
        else:
            terms = (intent.direction, intent.quantity)
            works.append(OpenOrder(name, past.order_id, intent.symbol, history.filled, *terms))
    own = OwnView(pasts, positions, cash)
    return own, Snapshot(tuple(works), tuple(executions), dict(positions), tuple(ended), cash)


def found(own, venue):
    return {finding.difference for finding in differences(own, venue)}


@given(accounts)
def test_the_same_facts_on_both_sides_give_no_finding(pasts):
    assert differences(*both_sides(pasts)) == ()


@given(accounts, st.sampled_from(SYMBOLS), st.sampled_from([-3.0, 0.001, float("nan")]))
def test_a_position_that_differs_is_found_in_its_symbol(pasts, symbol, more):
    own, venue = both_sides(pasts)
    moved = {**venue.positions, symbol: venue.positions.get(symbol, 0.0) + more}
    (finding,) = differences(own, replace(venue, positions=moved))
    assert (finding.difference, finding.symbol) == (Difference.POSITION_DIFFERS, symbol)


@given(accounts, st.sampled_from([-0.5, 12.0, float("nan")]))
def test_cash_that_differs_is_found(pasts, more):
    own, venue = both_sides(pasts)
    assert found(own, replace(venue, cash=venue.cash + more)) == {Difference.CASH_DIFFERS}
    assert found(own, replace(venue, cash=None)) == set()


@given(accounts)
def test_orders_and_executions_of_somebody_else_are_found(pasts):
    own, venue = both_sides(pasts)
    stranger = UUID(int=999)
    works = OpenOrder(stranger, "x", "AAPL", 0.0, Side.BUY, 5.0)
    ended = CompletedOrder(stranger, "x", "AAPL", 0.0, Status.CANCELLED)
    executed = Fact(stranger, FactKind.FILL, "e", NOON, "x", 1.0, 10.0)
    assert found(own, replace(venue, open_orders=(*venue.open_orders, works))) == {Difference.UNKNOWN_ORDER}
    assert found(own, replace(venue, completed_orders=(*venue.completed_orders, ended))) == {Difference.UNKNOWN_ORDER}
    assert found(own, replace(venue, executions=(*venue.executions, executed))) == {Difference.UNKNOWN_EXECUTION}


@given(accounts, st.data())
def test_a_working_order_that_differs_is_found(pasts, data):
    own, venue = both_sides(pasts)
    if not venue.open_orders:
        return
    place = data.draw(st.integers(0, len(venue.open_orders) - 1))
    order = venue.open_orders[place]

    def planted(*instead):
        return replace(venue, open_orders=(*venue.open_orders[:place], *instead, *venue.open_orders[place + 1 :]))

    ended = CompletedOrder(order.intent_id, order.order_id, order.symbol, order.filled, Status.CANCELLED)
    assert found(own, planted()) == {Difference.MISSING_ORDER}
    assert found(own, replace(planted(), completed_orders=(*venue.completed_orders, ended))) == {Difference.MISSED_END}
    assert found(own, planted(replace(order, quantity=order.quantity + 1))) == {Difference.ORDER_DIFFERS}
    assert found(own, planted(replace(order, symbol="TSLA"))) == {Difference.ORDER_DIFFERS}
    assert found(own, planted(replace(order, filled=order.filled + 0.5))) == {Difference.MISSED_EXECUTION}
    if order.filled:
        assert found(own, planted(replace(order, filled=0.0))) == {Difference.EXECUTION_NOT_AT_VENUE}
    doubtful = {**pasts, order.intent_id: pasts[order.intent_id]._replace(state=RowState.IN_DOUBT)}
    assert found(replace(own, pasts=doubtful), venue) == {Difference.FOUND_ORDER}
    assert found(replace(own, pasts=doubtful), planted()) == set()


@given(accounts, st.data())
def test_an_ended_order_that_differs_is_found(pasts, data):
    own, venue = both_sides(pasts)
    if not venue.completed_orders:
        return
    order = data.draw(st.sampled_from(venue.completed_orders))
    intent = pasts[order.intent_id].intent
    others = tuple(each for each in venue.completed_orders if each is not order)
    works = OpenOrder(order.intent_id, order.order_id, order.symbol, order.filled, intent.direction, intent.quantity)
    still = replace(venue, completed_orders=others, open_orders=(*venue.open_orders, works))
    assert found(own, still) == {Difference.STILL_WORKS}
    other = Status.EXPIRED if order.status is not Status.EXPIRED else Status.CANCELLED
    moved = replace(venue, completed_orders=(*others, replace(order, status=other)))
    assert found(own, moved) == {Difference.END_DIFFERS}
    assert found(own, replace(venue, completed_orders=others)) == set(), "a venue lists what has ended for a while only"


@given(accounts, st.data())
def test_an_execution_that_differs_is_found(pasts, data):
    own, venue = both_sides(pasts)
    if not venue.executions:
        return
    one = data.draw(st.sampled_from(venue.executions))
    others = tuple(each for each in venue.executions if each is not one)
    assert found(own, replace(venue, executions=others)) == set(), "a venue lists executions for a while only"
    for changed in (one._replace(price=one.price + 1), one._replace(quantity=one.quantity / 2)):
        assert found(own, replace(venue, executions=(*others, changed))) == {Difference.EXECUTION_DIFFERS}
    corrected = one._replace(price=one.price + 1, revision=1)
    unbooked = one._replace(fact_id="unheard")
    for news in (corrected, unbooked):
        assert found(own, replace(venue, executions=(*venue.executions, news))) == {Difference.MISSED_EXECUTION}


@pytest.mark.parametrize("state", [RowState.SUBMITTING, RowState.IN_DOUBT])
def test_an_order_that_may_have_left_is_not_missing(state):
    past = a_past(1, "AAPL", Side.BUY, 5, [], None)._replace(state=state, facts=())
    own, venue = OwnView({UUID(int=1): past}, {}, 0.0), Snapshot((), (), {})
    assert found(own, venue) == set()
