from datetime import timedelta
from math import inf
from uuid import UUID

import pytest

from contracts.control import KillScope, RiskAlert
from contracts.market import TickEvent, TickType
from contracts.trading import ExecutionReport, OrderStatus, OrderType, Side
from domain.ids import report_id
from order_plane.desk import Desk
from order_plane.effects import SubmitOrder
from order_plane.facts import Fact, FactKind
from order_plane.journals.port import Past, RowState
from order_plane.risk.exposure import max_gross_exposure, max_strategy_notional, max_symbol_notional
from order_plane.risk.halt import not_halted, not_in_doubt
from order_plane.risk.order_size import max_order_value
from order_plane.risk.port import Refusal
from order_plane.risk.price import fresh_reference
from order_plane.throttle import TokenBucket


def make_desk(*checks):
    return Desk("ACC", checks or (not_halted, not_in_doubt), TokenBucket(100.0, 100.0))


@pytest.fixture
def make_fact(noon):
    def make(kind, number=1, name="x", quantity=0.0, price=100.0, **more):
        return Fact(UUID(int=number), kind, name, noon, "o-1", quantity, price, **more)

    return make


def test_an_intent_that_every_control_passes_becomes_one_order(make_intent):
    intent = make_intent()
    assert make_desk().decide(intent) == SubmitOrder(intent, "ACC", 1)


def test_the_first_refusal_wins_and_is_reported_with_its_code(make_intent, noon):
    desk = make_desk(
        lambda intent, view: None,
        lambda intent, view: Refusal("FIRST", "because"),
        lambda intent, view: Refusal("SECOND", "never heard"),
    )
    report = desk.decide(make_intent(strategy_id="momentum"))
    assert (report.status, report.reject_reason) == (OrderStatus.REJECTED, "FIRST: because")
    assert (report.sequence, report.strategy_id, report.timestamp) == (1, "momentum", noon)
    assert report.report_id == report_id(make_intent().intent_id, 1)
    assert desk.open_orders == ()


def test_reports_tell_the_order_from_acknowledgement_to_the_last_fill(make_intent, make_fact):
    desk = make_desk()
    desk.decide(make_intent(quantity=10.0))
    told = [
        *desk.learn(make_fact(FactKind.ACK)),
        *desk.learn(make_fact(FactKind.FILL, name="1", quantity=4.0, price=10.0, commission=1.0)),
        *desk.learn(make_fact(FactKind.FILL, name="2", quantity=6.0, price=20.0, commission=0.5)),
    ]
    assert [report.status.value for report in told] == ["ACKNOWLEDGED", "PARTIAL_FILL", "FILLED"]
    assert [report.sequence for report in told] == [1, 2, 3]
    assert [report.filled_quantity for report in told] == [0.0, 4.0, 10.0]
    assert [report.avg_fill_price for report in told] == [None, 10.0, 16.0]
    assert [report.last_quantity for report in told] == [0.0, 4.0, 6.0]
    assert [report.last_price for report in told] == [None, 10.0, 20.0]
    assert [report.commission for report in told] == [0.0, 1.0, 1.5]
    assert {report.order_id for report in told} == {"o-1"}
    assert {report.direction for report in told} == {Side.BUY}
    for report in told:
        assert ExecutionReport.model_validate(report.model_dump()) == report
    assert desk.positions == {"AAPL": 10.0}
    assert desk.open_orders == ()


def test_a_fact_told_twice_is_reported_once(make_intent, make_fact):
    desk = make_desk()
    desk.decide(make_intent())
    fact = make_fact(FactKind.FILL, name="1", quantity=4.0)
    assert len(desk.learn(fact)) == 1
    assert desk.learn(fact) == ()
    assert desk.positions == {"AAPL": 4.0}


def test_an_acknowledgement_after_a_fill_is_no_news(make_intent, make_fact):
    desk = make_desk()
    desk.decide(make_intent())
    desk.learn(make_fact(FactKind.FILL, name="1", quantity=4.0))
    assert desk.learn(make_fact(FactKind.ACK)) == ()


def test_a_refusal_of_the_broker_is_reported_with_its_reason(make_intent, make_fact):
    desk = make_desk()
    desk.decide(make_intent())
    (report,) = desk.learn(make_fact(FactKind.REJECT, reason="NO_MARGIN: too poor"))
    assert (report.status, report.reject_reason) == (OrderStatus.REJECTED, "NO_MARGIN: too poor")


def test_a_sent_order_counts_at_once_for_the_next_one(make_intent, make_bar):
    desk = make_desk(max_symbol_notional(1_500.0))
    desk.mark(make_bar(price=100.0))
    assert isinstance(desk.decide(make_intent(1, quantity=10.0)), SubmitOrder)
    assert desk.decide(make_intent(2, quantity=10.0)).reject_reason.startswith("SYMBOL_NOTIONAL_EXCEEDED")


def test_every_working_order_of_a_strategy_counts(make_intent, make_bar):
    desk = make_desk(max_strategy_notional(4_000.0))
    desk.mark(make_bar(price=100.0))
    answers = [desk.decide(make_intent(number, quantity=10.0)) for number in range(1, 6)]
    assert [isinstance(each, SubmitOrder) for each in answers] == [True] * 4 + [False]


def test_an_order_in_doubt_keeps_counting(make_intent, make_bar):
    desk = make_desk(max_gross_exposure(1_500.0))
    desk.mark(make_bar(price=100.0))
    desk.decide(make_intent(1, quantity=10.0))
    desk.doubt(make_intent(1).intent_id, "timeout")
    assert desk.decide(make_intent(2, quantity=10.0)).reject_reason.startswith("EXPOSURE_EXCEEDED")


@pytest.mark.parametrize("end", [FactKind.CANCELLED, FactKind.EXPIRED, FactKind.REJECT])
def test_an_order_that_ended_counts_no_more(make_intent, make_bar, make_fact, end):
    desk = make_desk(max_symbol_notional(1_500.0))
    desk.mark(make_bar(price=100.0))
    desk.decide(make_intent(1, quantity=10.0))
    desk.learn(make_fact(end))
    assert isinstance(desk.decide(make_intent(2, quantity=10.0)), SubmitOrder)


def test_an_order_that_somebody_else_sends_counts_no_more(make_intent, make_bar):
    desk = make_desk(max_symbol_notional(1_500.0))
    desk.mark(make_bar(price=100.0))
    desk.decide(make_intent(1, quantity=10.0))
    desk.withdraw(make_intent(1).intent_id)
    assert isinstance(desk.decide(make_intent(2, quantity=10.0)), SubmitOrder)


def test_exposure_is_unknown_while_something_held_has_no_price(make_intent, make_fact, make_bar):
    desk = make_desk(max_gross_exposure(1e9))
    held = (make_fact(FactKind.ACK), make_fact(FactKind.FILL, name="1", quantity=10.0))
    desk.adopt(Past(make_intent(1, symbol="AAPL", quantity=10.0), "ACC", 1, RowState.ACKED, "o-1", held, 2))
    desk.mark(make_bar(symbol="MSFT"))
    refused = desk.decide(make_intent(2, symbol="MSFT"))
    assert refused.reject_reason.startswith("EXPOSURE_EXCEEDED")


@pytest.mark.parametrize(
    ("changes", "worth"),
    [
        ({}, 100.0),
        ({"limit_price": 1.0}, 100.0),
        ({"order_type": OrderType.STOP, "stop_price": 130.0, "limit_price": 1.0}, 130.0),
        ({"order_type": OrderType.LIMIT, "limit_price": 90.0}, 90.0),
        ({"order_type": OrderType.LIMIT, "limit_price": 120.0, "direction": Side.SELL}, 120.0),
        ({"order_type": OrderType.LIMIT, "limit_price": 90.0, "direction": Side.SELL}, 100.0),
        ({"order_type": OrderType.STOP, "stop_price": 130.0}, 130.0),
        ({"order_type": OrderType.STOP_LIMIT, "stop_price": 130.0, "limit_price": 135.0}, 135.0),
    ],
)
def test_an_order_is_judged_by_the_most_it_can_be_worth(make_intent, make_bar, changes, worth):
    intent = make_intent(quantity=1.0, **changes)
    for limit, passes in ((worth, True), (worth - 0.01, False)):
        desk = make_desk(max_order_value(limit))
        desk.mark(make_bar(price=100.0))
        assert isinstance(desk.decide(intent), SubmitOrder) is passes


def test_event_time_is_the_newest_market_event_and_never_an_intent(make_intent, make_bar, noon):
    desk = make_desk()
    desk.mark(make_bar(5))
    desk.mark(make_bar(3, symbol="MSFT"))
    desk.decide(make_intent(timestamp=noon + timedelta(days=9)))
    assert desk.now == noon + timedelta(minutes=5)


def test_an_intent_from_the_future_finds_its_reference_stale(make_intent, make_bar, noon):
    desk = make_desk(fresh_reference(timedelta(hours=1)))
    desk.mark(make_bar())
    refused = desk.decide(make_intent(timestamp=noon + timedelta(days=1)))
    assert refused.reject_reason.startswith("NO_REFERENCE")


def test_a_trade_tick_is_a_reference_too(make_intent, make_bar, noon):
    desk = make_desk(max_order_value(1_000.0))
    desk.mark(make_bar(price=500.0))
    desk.mark(TickEvent(symbol="AAPL", timestamp=noon, price=100.0, size=1.0, tick_type=TickType.TRADE))
    assert isinstance(desk.decide(make_intent(quantity=10.0)), SubmitOrder)


def test_an_order_in_doubt_blocks_its_symbol_and_side_until_resolved(make_intent, make_bar):
    desk = make_desk()
    desk.decide(make_intent(1))
    report, alert = desk.doubt(make_intent(1).intent_id, "timeout")
    assert report.status is OrderStatus.IN_DOUBT
    assert isinstance(alert, RiskAlert)
    assert desk.decide(make_intent(2)).reject_reason.startswith("IN_DOUBT_BLOCK")
    assert isinstance(desk.decide(make_intent(3, direction=Side.SELL)), SubmitOrder)
    assert isinstance(desk.decide(make_intent(4, symbol="MSFT")), SubmitOrder)
    desk.resolve(make_intent(1).intent_id)
    assert isinstance(desk.decide(make_intent(5)), SubmitOrder)


def test_doubt_is_reported_once(make_intent):
    desk = make_desk()
    desk.decide(make_intent(1))
    assert desk.doubt(make_intent(1).intent_id, "timeout") != ()
    assert desk.doubt(make_intent(1).intent_id, "timeout") == ()


def test_a_kill_refuses_new_orders_and_asks_to_cancel_the_open_ones_it_covers(make_intent, make_command):
    desk = make_desk()
    desk.decide(make_intent(1, strategy_id="momentum"))
    desk.decide(make_intent(2, strategy_id="pairs"))
    desk.command(make_command(True, scope=KillScope.STRATEGY, target="momentum"))
    assert [order.intent_id for order in desk.cancels.due()] == [make_intent(1).intent_id]
    assert desk.decide(make_intent(3, strategy_id="momentum")).reject_reason.startswith("TRADING_HALTED")
    assert isinstance(desk.decide(make_intent(4, strategy_id="pairs")), SubmitOrder)
    desk.command(make_command(False, 2, KillScope.STRATEGY, "momentum"))
    assert isinstance(desk.decide(make_intent(5, strategy_id="momentum")), SubmitOrder)


def test_odd_facts_halt_the_symbol_and_alarm(make_intent, make_fact):
    desk = make_desk()
    desk.decide(make_intent(1, quantity=10.0))
    report, alert = desk.learn(make_fact(FactKind.FILL, name="1", quantity=11.0))
    assert report.status is OrderStatus.FILLED
    assert (alert.code, alert.symbol) == ("ORDER_FACTS_ODD", "AAPL")
    assert "OVERFILLED" in alert.detail
    assert desk.decide(make_intent(2)).reject_reason.startswith("TRADING_HALTED")
    assert isinstance(desk.decide(make_intent(3, symbol="MSFT")), SubmitOrder)
    assert desk.positions == {"AAPL": 11.0}


def test_a_fill_after_the_cancel_is_booked_on_the_reopened_order(make_intent, make_fact):
    desk = make_desk()
    desk.decide(make_intent(1))
    facts = (make_fact(FactKind.ACK), make_fact(FactKind.CANCELLED))
    for fact in facts:
        desk.learn(fact)
    late = make_fact(FactKind.FILL, name="1", quantity=3.0)
    assert desk.learn(late) is None
    desk.reopen(Past(make_intent(1), "ACC", 1, RowState.ACKED, "o-1", facts, 2))
    (report,) = desk.learn(late)
    assert (report.status, report.filled_quantity, report.sequence) == (OrderStatus.CANCELED, 3.0, 3)
    assert desk.positions == {"AAPL": 3.0}
    assert desk.open_orders == ()


def test_adopted_orders_count_and_go_on(make_intent, make_fact):
    facts = (make_fact(FactKind.ACK), make_fact(FactKind.FILL, name="1", quantity=4.0))
    desk = make_desk()
    desk.adopt(Past(make_intent(1, quantity=10.0), "ACC", 1, RowState.ACKED, "o-1", facts, 2))
    assert desk.positions == {"AAPL": 4.0}
    (report,) = desk.learn(make_fact(FactKind.FILL, name="2", quantity=6.0))
    assert (report.sequence, report.status) == (3, OrderStatus.FILLED)
    assert desk.positions == {"AAPL": 10.0}


@pytest.mark.parametrize("state", [RowState.INTENDED, RowState.REJECTED])
def test_an_intent_that_was_never_sent_is_no_order(make_intent, state):
    desk = make_desk()
    desk.adopt(Past(make_intent(1), "ACC", 1, state, "", (), 0))
    assert desk.open_orders == ()


def test_a_pending_cancel_still_reports_its_fills_as_such(make_intent, make_fact):
    desk = make_desk()
    desk.decide(make_intent(1, quantity=10.0))
    desk.learn(make_fact(FactKind.ACK))
    assert desk.learn(make_fact(FactKind.CANCEL_REQUESTED)) == ()
    (report,) = desk.learn(make_fact(FactKind.FILL, name="1", quantity=4.0))
    assert report.status is OrderStatus.PARTIAL_FILL
    assert desk.learn(make_fact(FactKind.CANCEL_REFUSED)) == ()


def test_a_limitless_price_never_passes_a_limit(make_intent, make_view):
    assert max_order_value(1e9)(make_intent(), make_view(price=inf)) is not None
