"""An order that works at the venue and that nobody wants: a second one of its intent, or one that was given up."""

from datetime import timedelta
from uuid import UUID

import pytest
from order_messages import NOON, a_bar, an_intent, seen, tell
from venue_double import Venue

from contracts.control import KillSwitchCommand, RiskAlert
from contracts.trading import ExecutionReport, OrderType
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown
from order_plane.composition import build_stage
from order_plane.facts import Fact, FactKind
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import Resolution, RowState, Verdict
from order_plane.operator_commands import operator_commands
from order_plane.settings import OrderSettings

SETTINGS = OrderSettings(limits={"duplicate_window": 0}, reconciliation=None, guards=())
FIRST = UUID(int=1)


def a_fact(kind, name, order_id, **more):
    return Fact(FIRST, kind, name, NOON + timedelta(minutes=1), order_id, **more)


SECOND = a_fact(FactKind.SECOND_ORDER, "o-1", "o-1")
FILL = {"quantity": 10.0, "price": 100.0}


def decide(stage, verdict):
    said = stage.resolve(Resolution(FIRST, 1, verdict, "ann", "asked the venue", NOON))
    return [*said, *tell(stage)]


def alerts(said):
    return [each.code for each in said if isinstance(each, RiskAlert)]


@pytest.fixture
def sent_again():
    """A plane whose second attempt works: a person had signed that the first was not sent."""
    ack = [a_fact(FactKind.ACK, "ack", "o-2")]
    venue, journal = Venue(BrokerStateUnknown("timeout"), ack), MemoryJournal()
    stage = build_stage(SETTINGS, journal, venue)
    stage.recover()
    tell(stage, a_bar(), an_intent(order_type=OrderType.LIMIT, limit_price=100.0))
    assert seen(decide(stage, Verdict.SEND_AGAIN)) == [(1, "ACKNOWLEDGED", 2)]
    venue.known[FIRST] = ack
    return stage, venue, journal


def test_a_late_first_attempt_is_cancelled_after_the_second_has_filled(sent_again):
    stage, venue, _ = sent_again
    venue.news = [a_fact(FactKind.FILL, "e1", "o-2", **FILL)]
    assert seen(tell(stage)) == [(1, "FILLED", 3)]
    venue.news = [SECOND]
    said = tell(stage)
    assert venue.cancelled == [(1, "o-1", True)]
    assert (alerts(said), list(stage.desk.halts.reasons)) == (["ORDER_FACTS_ODD"], ["AAPL"])
    assert stage.desk.open_orders == ()


def test_a_late_first_attempt_is_cancelled_alone_while_the_second_works(sent_again):
    stage, venue, _ = sent_again
    venue.news = [SECOND]
    tell(stage)
    assert venue.cancelled == [(1, "o-1", True)]
    assert len(stage.desk.open_orders) == 1
    venue.news = [a_fact(FactKind.FILL, "e1", "o-2", **FILL)]
    assert seen(tell(stage)) == [(1, "FILLED", 3)]


def test_what_a_late_first_attempt_trades_is_booked_and_shown(sent_again):
    stage, venue, _ = sent_again
    venue.news = [a_fact(FactKind.FILL, "e1", "o-2", **FILL), SECOND, a_fact(FactKind.FILL, "e2", "o-1", **FILL)]
    venue.problem = BrokerRefused("UNKNOWN_ORDER: it has traded")
    said = tell(stage)
    assert stage.desk.positions == {"AAPL": 20.0}
    assert [each.filled_quantity for each in said if isinstance(each, ExecutionReport)][-1] == 20.0
    assert alerts(said).count("ORDER_FACTS_ODD") == 2
    assert list(stage.desk.halts.reasons) == ["AAPL"]
    venue.asked.clear()
    tell(stage, a_bar(5))
    assert venue.asked == [], "what the venue refuses for good is not asked for again"


def test_a_cancel_that_was_not_answered_is_asked_for_again_and_after_a_restart(sent_again):
    stage, venue, journal = sent_again
    venue.news, venue.problem = [a_fact(FactKind.FILL, "e1", "o-2", **FILL), SECOND], BrokerStateUnknown("timeout")
    assert alerts(tell(stage)).count("CANCEL_FAILED") == 1
    assert alerts(tell(stage)) == []
    assert venue.asked == ["o-1", "o-1"]
    (shown,) = operator_commands(stage, lambda said: None)["status"]({})["uncancelled"]
    assert shown == f"{FIRST} order o-1, which nobody wants"
    again = build_stage(SETTINGS, journal, venue)
    again.recover()
    venue.news, venue.problem = [SECOND], None
    tell(again)
    assert venue.cancelled == [(1, "o-1", True)]


@pytest.fixture
def doubted_again():
    """A plane of which nobody knows whether its second attempt arrived, and whose first one turned up."""
    venue, journal = Venue(), MemoryJournal()
    stage = build_stage(SETTINGS, journal, venue)
    stage.recover()
    tell(stage, a_bar(), an_intent(order_type=OrderType.LIMIT, limit_price=100.0))
    decide(stage, Verdict.SEND_AGAIN)
    venue.known[FIRST] = [SECOND]
    return stage, venue, journal


@pytest.mark.parametrize("heard_before", [True, False])
def test_a_late_first_attempt_does_not_say_what_became_of_the_second(doubted_again, heard_before):
    stage, venue, journal = doubted_again
    if heard_before:
        venue.news = [SECOND]
        tell(stage)
    assert (journal.past(FIRST).state, journal.past(FIRST).attempt) == (RowState.IN_DOUBT, 2)
    stage = build_stage(SETTINGS, journal, venue)
    stage.recover()
    tell(stage)
    assert (journal.past(FIRST).state, stage.desk.in_doubt) == (RowState.IN_DOUBT, 1)
    assert SECOND in journal.past(FIRST).facts
    assert (1, "o-1", True) in venue.cancelled


def test_what_a_person_adopts_works_though_the_venue_tells_only_of_another_attempt(doubted_again):
    stage, _, journal = doubted_again
    stage.resolve(Resolution(FIRST, 2, Verdict.ADOPTED, "ann", "it is there", NOON, "o-2"))
    assert journal.past(FIRST).facts[-1].kind is FactKind.ACK
    assert stage.desk.in_doubt == 0


def test_no_third_attempt_is_taken_for_one_that_the_venue_has(doubted_again):
    stage, venue, journal = doubted_again
    stage.resolve(Resolution(FIRST, 2, Verdict.SEND_AGAIN, "ann", "asked the venue", NOON))
    tell(stage)
    assert [attempt for _, attempt in venue.sent] == [1, 2]
    assert (journal.past(FIRST).state, journal.past(FIRST).attempt) == (RowState.IN_DOUBT, 3)
    assert (1, "o-1", True) in [*venue.cancelled, *map(cancel_of, stage.uncancelled.values())]


def cancel_of(order):
    return order.intent_id.int, order.order_id, order.stray


@pytest.mark.parametrize(
    "late", [a_fact(FactKind.ACK, "ack", "o-1"), a_fact(FactKind.FILL, "e1", "o-1", quantity=4.0, price=99.0)]
)
def test_an_order_that_turns_up_after_a_person_gave_it_up_is_cancelled(late):
    venue = Venue()
    stage = build_stage(SETTINGS, MemoryJournal(), venue)
    stage.recover()
    tell(stage, a_bar(), an_intent())
    assert seen(decide(stage, Verdict.NOT_SENT))[-1][1] == "REJECTED"
    venue.news = [late]
    said = tell(stage)
    assert venue.cancelled == [(1, "o-1", True)]
    assert "ORDER_FACTS_ODD" in alerts(said)
    assert list(stage.desk.halts.reasons) == ["AAPL"]
    assert dict(stage.desk.positions) == ({"AAPL": 4.0} if late.quantity else {})


def test_an_order_that_was_refused_here_and_works_at_the_venue_is_cancelled_by_the_kill_that_came_before():
    venue = Venue()
    stage = build_stage(SETTINGS, MemoryJournal(), venue)
    stage.recover()
    kill = KillSwitchCommand(command_id=UUID(int=9), timestamp=NOON, engage=True, operator="ada", reason="drill")
    assert seen(tell(stage, a_bar(), kill, an_intent())) == [(1, "REJECTED", 1)]
    venue.news = [a_fact(FactKind.ACK, "ack", "o-1")]
    tell(stage)
    assert (venue.sent, venue.cancelled) == ([], [(1, "o-1", False)])


def test_the_cancel_of_one_that_was_given_up_is_asked_for_again_after_a_restart():
    venue, journal = Venue(), MemoryJournal()
    stage = build_stage(SETTINGS, journal, venue)
    stage.recover()
    tell(stage, a_bar(), an_intent())
    decide(stage, Verdict.NOT_SENT)
    late = a_fact(FactKind.ACK, "ack", "o-1")
    venue.news, venue.problem = [late], BrokerStateUnknown("timeout")
    assert "CANCEL_FAILED" in alerts(tell(stage))
    venue.known[FIRST], venue.problem = [late], None
    again = build_stage(SETTINGS, journal, venue)
    again.recover()
    tell(again)
    assert venue.cancelled == [(1, "o-1", True)]
    venue.known[FIRST] = [late, a_fact(FactKind.CANCELLED, "cancelled", "o-1")]
    last = build_stage(SETTINGS, journal, venue)
    last.recover()
    tell(last)
    assert len(venue.cancelled) == 1
