"""Every row of the error policy, and every fault of the simulator: no order is doubled, lost or taken for dead."""

from contextlib import suppress
from uuid import UUID

import pytest
from ibkr_codes import FALSE_CANCELS

from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, BrokerUnavailable
from order_plane.effects import ReplaceOrder
from order_plane.facts import FactKind
from order_plane.lifecycle import history_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

OTHERS = (105, 107, 110, 321, 329, 399, 404, 434, 2109, 2161, 10167, 99999)


def test_an_error_on_a_living_order_never_ends_it(desk, simulate, told, until):
    simulator = simulate("--active-orders", "0")
    broker = desk.broker(simulator)
    facts = told(broker)
    codes = (*FALSE_CANCELS, *OTHERS)
    for number, code in enumerate(codes, start=1):
        simulator.fault(do="order_error", code=code, text="order message")
        facts.facts += broker.submit(desk.resting(number))
    broker.snapshot()
    assert facts.kinds() == ["ACK"] * len(codes)
    assert {order["status"] for order in simulator.state()["orders"]} == {"Submitted"}
    assert len(broker.snapshot().open_orders) == len(codes)
    assert facts.kinds() == ["ACK"] * len(codes)


@pytest.mark.parametrize("code", [201, 203])
def test_a_rejection_ends_the_order(desk, simulator, code):
    simulator.fault(do="reject", code=code, text="not allowed")
    broker = desk.broker(simulator)
    with pytest.raises(BrokerRefused, match=f"IBKR_{code}: not allowed"):
        broker.submit(desk.order())
    assert list(broker.drain()) == []


@pytest.mark.parametrize("code", [104, 161, 10147, 10148])
def test_a_refused_cancel_leaves_the_order_working(desk, simulator, told, code):
    simulator.fault(do="order_error", on="cancelOrder", code=code)
    broker = desk.broker(simulator)
    facts = told(broker, broker.submit(desk.resting()))
    with pytest.raises(BrokerRefused, match=f"IBKR_{code}"):
        broker.cancel(desk.a_cancel())
    assert facts.kinds() == ["ACK"]
    facts.facts += broker.cancel(desk.a_cancel())
    facts.wait("ACK", "CANCELLED")


def test_a_cancel_that_crosses_a_fill_finds_the_execution(desk, simulate, told):
    simulator = simulate("--cancel-latency-ms", "300", "--latency-ms", "100")
    broker = desk.broker(simulator)
    facts = told(broker, broker.submit(desk.order()))
    broker.cancel(desk.a_cancel())
    facts.wait("ACK", "FILL")
    assert history_of(10.0, facts.facts).filled == 10.0


def test_a_cancel_without_an_answer_is_not_taken_for_done(desk, simulator):
    broker = desk.broker(simulator)
    broker.submit(desk.resting())
    simulator.fault(do="lose_request", on="cancelOrder")
    with pytest.raises(BrokerStateUnknown):
        broker.cancel(desk.a_cancel())
    assert len(broker.snapshot().open_orders) == 1


def test_of_cancels_that_leave_together_each_hears_its_own_answer(desk, simulate):
    simulator = simulate("--active-orders", "0")
    broker = desk.broker(simulator)
    for number in range(1, 61):  # more than the gateway takes in a second
        broker.submit(desk.resting(number))
    simulator.fault(do="lose_request", on="cancelOrder")
    outcomes = broker.cancel_together([*map(desk.a_cancel, range(1, 61)), desk.a_cancel(99)])
    kinds = [type(each) if isinstance(each, Exception) else FactKind.CANCELLED for each in outcomes]
    assert kinds == [BrokerStateUnknown, *[FactKind.CANCELLED] * 59, BrokerRefused]
    assert [order["status"] for order in simulator.state()["orders"]].count("Cancelled") == 59
    assert simulator.state()["pacing_violations"] == 0


@pytest.mark.parametrize("code", [104, 105, 201, 10147])
def test_a_refused_change_leaves_the_order_as_it_was(desk, simulator, told, code):
    broker = desk.broker(simulator)
    facts = told(broker, broker.submit(desk.resting()))
    simulator.fault(do="order_error", on="modifyOrder", code=code)
    with pytest.raises(BrokerRefused, match=f"IBKR_{code}"):
        broker.replace(desk.a_change())
    assert [order["quantity"] for order in simulator.state()["orders"]] == [10.0]
    broker.replace(desk.a_change())
    assert [(order["quantity"], order["status"]) for order in simulator.state()["orders"]] == [(6.0, "Submitted")]
    assert facts.kinds() == ["ACK"]


@pytest.mark.parametrize(
    ("fault", "quantity"),
    [({"do": "lose_request"}, 10.0), ({"do": "order_error", "code": 99_999}, 10.0), ({"do": "drop_link"}, 6.0)],
    ids=["request lost", "unknown error", "link cut"],
)
def test_a_change_without_an_answer_leaves_an_order_that_works(desk, simulator, told, until, fault, quantity):
    broker = desk.broker(simulator)
    facts = told(broker, broker.submit(desk.resting()))
    simulator.fault(on="modifyOrder", **fault)
    with pytest.raises(BrokerStateUnknown):
        broker.replace(desk.a_change())
    until(lambda: broker.ready)
    assert [(order["quantity"], order["status"]) for order in simulator.state()["orders"]] == [(quantity, "Submitted")]
    assert len(broker.snapshot().open_orders) == 1
    facts.facts += broker.cancel(desk.a_cancel())
    facts.wait("ACK", "CANCELLED")


def test_a_market_order_that_has_not_traded_yet_is_made_smaller_and_smaller_again(desk, simulate, told):
    broker = desk.broker(simulate("--latency-ms", "3000"))
    facts = told(broker, broker.submit(desk.order()))
    broker.replace(ReplaceOrder(desk.order().intent, "DU1234567", 6.0))
    broker.replace(ReplaceOrder(desk.order().intent, "DU1234567", 4.0, request_id="r2", revision=2))
    facts.wait("ACK", "FILL", "CANCELLED")
    assert history_of(10.0, facts.facts).filled == 4.0


def test_a_change_is_known_to_the_next_life(desk, simulator, told):
    first = desk.broker(simulator)
    first.submit(desk.resting())
    first.replace(desk.a_change(limit_price=12.0))
    first.close()
    second = desk.broker(simulator)
    facts = told(second, second.replace(desk.a_change(quantity=3.0, limit_price=500.0)))
    facts.wait("ACK", "FILL", "CANCELLED")
    assert history_of(10.0, facts.facts).filled == 3.0


def test_a_change_of_an_order_that_the_gateway_does_not_list_is_refused_and_places_nothing(desk, simulate):
    first, another = desk.broker(simulate()), simulate()
    first.submit(desk.resting())
    first.close()
    second = desk.broker(another)
    with pytest.raises(BrokerRefused, match="UNKNOWN_ORDER"):
        second.replace(desk.a_change())
    assert another.state()["orders"] == []


def test_a_silent_order_is_found_by_asking(desk, simulator):
    simulator.fault(do="silent_ack")
    broker = desk.broker(simulator)
    assert [fact.kind for fact in broker.submit(desk.resting())] == [FactKind.ACK]


def test_an_order_leaves_while_the_one_before_is_not_answered_and_each_hears_its_own_answer(desk, simulator):
    broker = desk.broker(simulator)
    broker.submit(desk.resting())  # after this the contract is known, so nothing else is asked
    simulator.fault(do="lose_request", on="placeOrder")
    lost, found = broker.dispatch(desk.resting(2)), broker.dispatch(desk.resting(3))
    assert [fact.kind for fact in found()] == [FactKind.ACK]
    with pytest.raises(BrokerStateUnknown):
        lost()
    assert [order["order_ref"] for order in simulator.state()["orders"]] == [str(UUID(int=each)) for each in (1, 3)]


def test_a_link_cut_under_several_orders_leaves_each_in_doubt_until_it_is_looked_up(desk, simulator, until):
    broker = desk.broker(simulator)
    broker.submit(desk.resting())
    simulator.fault(do="silent_ack")
    replies = [broker.dispatch(desk.resting(number)) for number in (2, 3)]
    simulator.fault(do="drop_link")
    ends = []
    for reply in replies:
        try:
            ends.append([fact.kind for fact in reply()])
        except BrokerStateUnknown:
            ends.append("unknown")
    assert "unknown" in ends
    until(lambda: broker.ready)
    assert [[fact.kind for fact in broker.lookup(UUID(int=number))] for number in (2, 3)] == [[FactKind.ACK]] * 2
    assert len(simulator.state()["orders"]) == 3


def test_an_order_that_got_lost_is_in_doubt_and_not_sent_again(desk, simulator):
    simulator.fault(do="lose_request", on="placeOrder")
    broker = desk.broker(simulator)
    with pytest.raises(BrokerStateUnknown):
        broker.submit(desk.resting())
    assert simulator.state()["orders"] == []
    assert broker.lookup(UUID(int=1)) is None


def test_an_order_whose_answer_was_cut_off_is_in_doubt_until_it_is_found(desk, simulator, told):
    simulator.fault(do="drop_link", on="placeOrder", seconds=0.3)
    broker = desk.broker(simulator)
    with pytest.raises(BrokerStateUnknown):
        broker.submit(desk.order())
    with pytest.raises(BrokerUnavailable):
        broker.submit(desk.order(2))
    told(broker).wait("ACK", "FILL")
    assert len(simulator.state()["orders"]) == 1


def test_a_fill_that_nobody_saw_is_learnt_after_the_cut(desk, simulator, told):
    simulator.fault(do="drop_link", on="fill", seconds=0.2)
    broker = desk.broker(simulator)
    facts = told(broker)
    with suppress(BrokerStateUnknown):
        facts.facts += broker.submit(desk.order())
    facts.wait("ACK", "FILL")
    assert broker.connects == 2


@pytest.mark.parametrize("data", ["kept", "lost"])
def test_fills_while_the_gateway_was_cut_off_are_learnt_when_it_is_back(desk, simulate, told, until, data):
    simulator = simulate("--latency-ms", "400")
    broker = desk.broker(simulator)
    facts = told(broker, broker.submit(desk.order()))
    simulator.fault(do="connectivity", seconds=1.0, data=data)
    until(lambda: not broker.ready)
    with pytest.raises(BrokerUnavailable):
        broker.submit(desk.order(2))
    facts.wait("ACK", "FILL")
    until(lambda: broker.ready)
    assert broker.connects == 1
    broker.submit(desk.order(3))


def test_a_nightly_reset_is_ridden_out(desk, simulator, told, until):
    broker = desk.broker(simulator)
    facts = told(broker, broker.submit(desk.resting()))
    simulator.fault(do="nightly_reset", seconds=0.5)
    until(lambda: not broker.ready)
    until(lambda: broker.ready)
    assert len(broker.snapshot().open_orders) == 1
    facts.facts += broker.cancel(desk.a_cancel())
    facts.wait("ACK", "CANCELLED")


def test_executions_may_come_twice_corrected_or_after_their_commission(desk, simulator, told):
    broker = desk.broker(simulator)
    for number, fault in enumerate(("duplicate_execution", "correct_execution", "commission_first"), start=1):
        simulator.fault(do=fault)
        facts = told(broker, broker.submit(desk.order(number)))
        expected = ["ACK", "FILL", "FILL"] if fault == "correct_execution" else ["ACK", "FILL"]
        facts.wait(*expected)
        history = history_of(10.0, facts.facts)
        assert (history.filled, history.commission) == (10.0, 1.0)
        if fault == "correct_execution":
            first, second = facts.facts[1:]
            assert second.revision > first.revision
            assert history.average_price == second.price == pytest.approx(first.price + 0.01)
            assert simulator.state()["executions"][-1]["price"] == pytest.approx(second.price)


def test_an_order_in_a_hundred_pieces_is_whole(desk, simulator, told, until):
    simulator.fault(do="shred", quantity=1)
    broker = desk.broker(simulator)
    facts = told(broker, broker.submit(desk.order(quantity=100.0)))
    until(lambda: facts.kinds().count("FILL") == 100)
    assert history_of(100.0, facts.facts).filled == 100.0


def test_slow_answers_are_waited_for(desk, simulator):
    broker = desk.broker(simulator)
    broker.submit(desk.resting())
    simulator.fault(do="slow_answers", seconds=0.5)
    assert [fact.kind for fact in broker.submit(desk.resting(2))] == [FactKind.ACK]


@pytest.mark.slow
def test_a_burst_of_orders_stays_below_the_gateways_limit(desk, simulate):
    simulator = simulate("--active-orders", "0")
    broker = desk.broker(simulator)
    for number in range(1, 101):
        broker.submit(desk.resting(number))
    assert simulator.state()["pacing_violations"] == 0
    assert len(broker.snapshot().open_orders) == 100


def test_another_life_finds_everything_by_its_label(desk, simulator):
    first = desk.broker(simulator)
    first.submit(desk.resting(1))
    first.submit(desk.order(2))
    first.submit(desk.resting(3))
    first.cancel(desk.a_cancel(3))
    first.close()
    second = desk.broker(simulator)
    kinds = {number: [fact.kind.value for fact in second.lookup(UUID(int=number)) or ()] for number in (1, 2, 3, 4)}
    assert kinds[1] == ["ACK"]
    assert sorted(kinds[2]) == ["ACK", "FILL"]
    assert kinds[3][0] == "ACK"
    assert kinds[4] == []
    assert list(second.cancel(desk.a_cancel(1)))[-1].kind is FactKind.CANCELLED
