"""A session in which the gateway refuses orders: they are counted apart from what our own controls refuse."""

from types import SimpleNamespace
from uuid import UUID

import pytest

from gates.paper_session import few_refused
from gates.session_plan import SessionPlan
from gates.timed_broker import TimedBroker
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, BrokerUnavailable
from order_plane.facts import Fact, FactKind


class Gateway:
    """Answers each order as the test says; `drain` tells what it said later."""

    def __init__(self):
        self.answer, self.later = (), ()

    def submit(self, order):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def drain(self):
        return self.later


def an_order(number):
    return SimpleNamespace(intent=SimpleNamespace(intent_id=UUID(int=number)))


def a_fact(number, kind):
    return Fact(UUID(int=number), kind, "x", None)


def test_orders_that_the_gateway_refuses_at_once_or_later_are_counted_once():
    gateway, seconds, refused = Gateway(), {}, set()
    broker = TimedBroker(gateway, SimpleNamespace(submit=lambda order: None), seconds, refused)
    answers = {
        1: (a_fact(1, FactKind.ACK),),
        2: BrokerRefused("VENUE: 201"),
        3: BrokerUnavailable("cut"),
        4: BrokerStateUnknown("silence"),
        5: (a_fact(5, FactKind.ACK),),
    }
    for number, gateway.answer in answers.items():
        if isinstance(gateway.answer, Exception):
            with pytest.raises(type(gateway.answer)):
                broker.submit(an_order(number))
        else:
            assert broker.submit(an_order(number)) == gateway.answer
    gateway.later = (a_fact(5, FactKind.REJECT), a_fact(2, FactKind.REJECT), a_fact(1, FactKind.FILL))
    assert broker.drain() == gateway.later
    assert {each.int for each in refused} == {2, 3, 5}
    assert {each.int for each in seconds} == {1, 5}


@pytest.mark.parametrize(
    ("taken", "refused", "passes"), [(100, 0, True), (98, 2, True), (97, 3, False), (0, 1, False), (200, 5, False)]
)
def test_a_session_with_many_refused_orders_does_not_pass(taken, refused, passes):
    had = {UUID(int=number) for number in range(taken)}
    not_had = {UUID(int=number) for number in range(1_000, 1_000 + refused)}
    made = few_refused(SessionPlan(), had, not_had)
    assert made.passed is passes
    assert made.found == f"{refused} of {taken + refused}"
