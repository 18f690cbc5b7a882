"""A venue that takes the next order before it has answered: several leave at once, and no promise is given up."""

from uuid import UUID

import pytest
from order_messages import NOON, a_bar, an_intent, seen, tell

from contracts.control import KillSwitchCommand
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, BrokerUnavailable, KeyLife
from order_plane.composition import build_stage
from order_plane.dispatch import AT_ONCE
from order_plane.facts import Fact, FactKind
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import JournalError, RowState
from order_plane.settings import OrderSettings

SYMBOLS = [f"S{number}" for number in range(AT_ONCE + 3)]


class Venue:
    """Notes when an order leaves and when its answer is asked for; ``problems`` are what it says no with, by number."""

    key_life = KeyLife.NONE
    dormant = False

    def __init__(self):
        self.log, self.problems, self.at_begin = [], {}, {}

    def submit(self, order):
        return self.dispatch(order)()

    def dispatch(self, order):
        number = order.intent.intent_id.int
        self.log.append(("sent", number))
        if number in self.at_begin:
            raise self.at_begin[number]

        def reply():
            self.log.append(("heard", number))
            if number in self.problems:
                raise self.problems[number]
            return [Fact(order.intent.intent_id, FactKind.ACK, "ack", NOON, f"v-{number}")]

        return reply

    def drain(self):
        return []

    def observe(self, bar):
        pass

    def most_unanswered(self):
        most = waiting = 0
        for what, _ in self.log:
            waiting += 1 if what == "sent" else -1
            most = max(most, waiting)
        return most


def a_plane(venue, journal=None, guards=()):
    limits = {"duplicate_window": 0, "max_gross_exposure": 1e9}
    settings = OrderSettings.model_validate({"limits": limits, "guards": guards, "reconciliation": None})
    stage = build_stage(settings, journal or MemoryJournal(), venue)
    stage.recover()
    tell(stage, *(a_bar(symbol=symbol) for symbol in SYMBOLS))
    return stage


def wishes(count, **changes):
    return [an_intent(1 + number, symbol=SYMBOLS[number], **changes) for number in range(count)]


def test_orders_of_several_symbols_leave_before_the_first_is_answered():
    venue = Venue()
    said = tell(a_plane(venue), *wishes(3))
    assert venue.log == [(what, number) for what in ("sent", "heard") for number in (1, 2, 3)]
    assert [number for number, status, _ in seen(said) if status == "ACKNOWLEDGED"] == [1, 2, 3]


def test_never_more_than_the_limit_wait_for_an_answer_and_all_are_heard():
    venue = Venue()
    tell(a_plane(venue), *wishes(len(SYMBOLS)))
    assert venue.most_unanswered() == AT_ONCE
    assert sorted(number for what, number in venue.log if what == "heard") == list(range(1, len(SYMBOLS) + 1))


def test_the_second_order_of_a_symbol_waits_for_the_first_and_does_not_leave_when_that_is_in_doubt():
    venue, journal = Venue(), MemoryJournal()
    venue.problems[1] = BrokerStateUnknown("timeout")
    said = tell(
        a_plane(venue, journal), an_intent(1, symbol="S0"), an_intent(2, symbol="S1"), an_intent(3, symbol="S0")
    )
    assert venue.log == [("sent", 1), ("sent", 2), ("heard", 1), ("heard", 2)]
    assert [(number, status) for number, status, _ in seen(said)][-3:] == [
        (1, "IN_DOUBT"), (3, "REJECTED"), (2, "ACKNOWLEDGED"),
    ]  # fmt: skip
    assert [journal.past(wish.intent_id).state for wish in wishes(3)] == [
        RowState.IN_DOUBT, RowState.ACKED, RowState.REJECTED,
    ]  # fmt: skip


@pytest.mark.parametrize("when", ["problems", "at_begin"])
@pytest.mark.parametrize(
    ("problem", "state"),
    [(BrokerRefused("NO: says the venue"), RowState.REJECTED), (BrokerStateUnknown("timeout"), RowState.IN_DOUBT)],
)
def test_a_problem_of_one_order_is_its_own_whenever_it_is_known(when, problem, state):
    venue, journal = Venue(), MemoryJournal()
    getattr(venue, when)[2] = problem
    tell(a_plane(venue, journal), *wishes(3))
    assert [journal.past(wish.intent_id).state for wish in wishes(3)] == [RowState.ACKED, state, RowState.ACKED]


def test_a_kill_that_comes_among_them_stops_the_next_and_those_under_way_are_heard():
    venue, journal = Venue(), MemoryJournal()
    stage = a_plane(venue, journal)
    kill = KillSwitchCommand(command_id=UUID(int=99), timestamp=NOON, engage=True, operator="tester", reason="a test")
    stage.heed(lambda: [kill] if len(venue.log) == 2 else [])
    tell(stage, *wishes(4))
    assert [number for what, number in venue.log if what == "sent"] == [1, 2]
    assert [journal.past(wish.intent_id).state for wish in wishes(4)] == [
        RowState.ACKED, RowState.ACKED, RowState.REJECTED, RowState.REJECTED,
    ]  # fmt: skip


class Inquisitive(Venue):
    """A venue that must be asked what each order needs before it can leave."""

    def prepare(self, order):
        self.log.append(("asked", order.intent.intent_id.int))
        if order.intent.intent_id.int in self.problems:
            raise self.problems[order.intent.intent_id.int]
        return True


def test_a_kill_that_comes_while_the_venue_is_asked_what_an_order_needs_stops_that_order():
    venue = Inquisitive()
    stage = a_plane(venue)
    kill = KillSwitchCommand(command_id=UUID(int=99), timestamp=NOON, engage=True, operator="tester", reason="a test")
    stage.heed(lambda: [kill] if ("asked", 2) in venue.log else [])
    tell(stage, *wishes(3))
    assert [number for what, number in venue.log if what == "sent"] == [1]


def test_who_waits_is_heard_after_each_question_though_nothing_can_be_sent():
    venue = Inquisitive()
    venue.problems = dict.fromkeys((1, 2), BrokerUnavailable())
    stage = a_plane(venue)
    stage.heed(lambda: venue.log.append("heeded") or [])
    tell(stage, *wishes(2))
    assert venue.log == [("asked", 1), "heeded", ("asked", 2), "heeded"]


@pytest.mark.parametrize("problem", [BrokerRefused("NO: says the venue"), BrokerUnavailable()])
def test_an_order_of_which_the_venue_says_beforehand_that_there_will_be_none_is_rejected_alone(problem):
    venue, journal = Inquisitive(), MemoryJournal()
    venue.problems[2] = problem
    tell(a_plane(venue, journal), *wishes(3))
    assert [number for what, number in venue.log if what == "sent"] == [1, 3]
    assert [journal.past(wish.intent_id).state for wish in wishes(3)] == [
        RowState.ACKED, RowState.REJECTED, RowState.ACKED,
    ]  # fmt: skip


def test_a_storm_that_an_answer_completes_stops_the_order_that_waited_for_it():
    venue = Venue()
    venue.problems = {number: BrokerRefused("NO: says the venue") for number in (1, 2)}
    guards = [{"daily_loss": None, "drawdown": None, "sharpe": None, "rejects": {"count": 1}}]
    tell(a_plane(venue, guards=guards), *(an_intent(number, symbol="S0") for number in (1, 2, 3)))
    assert [number for what, number in venue.log if what == "sent"] == [1, 2]


class Full(MemoryJournal):
    """A journal that takes no kill."""

    def record_command(self, command):
        raise JournalError("full")


def test_a_kill_that_cannot_be_latched_among_them_cancels_them_and_what_they_traded_is_not_lost():
    venue, journal, cancelled = Venue(), Full(), []

    def cancel(order):
        cancelled.append(order.intent_id.int)
        return [Fact(order.intent_id, FactKind.FILL, "fill", NOON, "v-1", 1.0, 100.0)]

    venue.cancel = cancel
    stage = a_plane(venue, journal)
    kill = KillSwitchCommand(command_id=UUID(int=99), timestamp=NOON, engage=True, operator="tester", reason="a test")
    stage.heed(lambda: [kill] if len(venue.log) == 2 else [])
    with pytest.raises(JournalError, match="full"):
        tell(stage, *wishes(4))
    assert cancelled[:2] == [1, 2]
    assert not any(stage.desk.positions.values()), "nothing is believed that is not written down"
    assert [number for what, number in venue.log if what == "sent"] == [1, 2]
    pasts = [journal.past(wish.intent_id) for wish in wishes(4)]
    assert [past.state for past in pasts] == [
        RowState.ACKED, RowState.ACKED, RowState.SUBMITTING, RowState.SUBMITTING,
    ]  # fmt: skip
    assert {fact.kind for past in pasts for fact in past.facts} <= {FactKind.SUBMITTING, FactKind.ACK}, "the next asks"


def test_a_kill_of_a_guard_that_cannot_be_latched_cancels_what_works():
    venue, cancelled = Venue(), []
    venue.problems = {number: BrokerRefused("NO: says the venue") for number in (2, 3)}
    venue.cancel = lambda order: cancelled.append(order.intent_id.int) or []
    guards = [{"daily_loss": None, "drawdown": None, "sharpe": None, "rejects": {"count": 1}}]
    stage = a_plane(venue, Full(), guards)
    with pytest.raises(JournalError, match="full"):
        tell(stage, *wishes(3))
    assert 1 in cancelled


def test_a_journal_that_was_taken_over_among_them_stops_the_rest_and_keeps_the_answers_of_those_under_way():
    venue, journal = Venue(), MemoryJournal()
    stage = a_plane(venue, journal)

    def taken_over():
        if len(venue.log) == 2:
            raise JournalError("taken over")
        return []

    stage.heed(taken_over)
    with pytest.raises(JournalError):
        tell(stage, *wishes(4))
    assert [number for what, number in venue.log if what == "heard"] == [1, 2]
    assert [journal.past(wish.intent_id).state for wish in wishes(4)] == [
        RowState.ACKED, RowState.ACKED, RowState.SUBMITTING, RowState.SUBMITTING,
    ]  # fmt: skip
