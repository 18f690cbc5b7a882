"""What must not happen while a venue takes long to answer: orders that are overdue, a kill unheard, nobody served."""

from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from order_messages import NOON, a_bar, an_intent, seen, tell

from contracts.control import KillSwitchCommand
from contracts.trading import ExecutionReport
from order_plane.brokers.port import BrokerStateUnknown, KeyLife, outcome_of
from order_plane.composition import build_stage
from order_plane.facts import Fact, FactKind
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import JournalError, Resolution, Verdict
from order_plane.settings import OrderSettings

SETTINGS = OrderSettings(limits={"duplicate_window": 0}, reconciliation=None, guards=())
KILL = KillSwitchCommand(command_id=UUID(int=9), timestamp=NOON, engage=True, operator="ada", reason="drill")


class Venue:
    """A venue that takes ``seconds`` by the clock of the test for each answer, and answers no cancel while ``hung``."""

    key_life = KeyLife.NONE
    dormant = converts = False

    def __init__(self):
        self.now, self.seconds, self.hung = 0.0, 0.0, False
        self.sent, self.asked, self.lost, self.meanwhile = [], [], False, lambda: None

    def submit(self, order):
        self.sent.append((order.intent.intent_id.int, order.attempt))
        self.now += self.seconds
        if self.lost:
            raise BrokerStateUnknown("timeout")
        return [self.fact(order, FactKind.ACK)]

    def cancel(self, order):
        self.asked.append(order.intent_id.int)
        self.now += self.seconds
        if self.hung:
            raise BrokerStateUnknown("timeout")
        return [self.fact(order, FactKind.CANCELLED)]

    def fact(self, order, kind):
        name = getattr(order, "intent_id", None) or order.intent.intent_id
        return Fact(name, kind, kind.value.lower(), NOON, f"v-{name.int}")

    def lookup(self, intent_id):
        self.meanwhile()

    def drain(self):
        return ()

    def observe(self, bar):
        pass


@pytest.fixture
def venue(monkeypatch):
    found = Venue()
    monkeypatch.setattr("order_plane.sending.since_boot", lambda: found.now)
    monkeypatch.setattr("order_plane.router.monotonic", lambda: found.now)
    return found


@pytest.fixture
def stage(venue):
    found = build_stage(SETTINGS, MemoryJournal(), venue)
    found.recover()
    tell(found, a_bar())
    return found


def until(seconds):
    return {"valid_until": NOON + timedelta(seconds=seconds)}


def test_an_order_that_is_overdue_when_its_turn_comes_does_not_leave(stage, venue):
    venue.seconds = 25.0
    said = tell(stage, *(an_intent(number, quantity=float(number), **until(60.0)) for number in range(1, 6)))
    assert [number for number, _ in venue.sent] == [1, 2, 3]
    refused = [each for each in said if isinstance(each, ExecutionReport) and each.reject_reason]
    assert [(each.intent_id.int, each.reject_reason.partition(":")[0]) for each in refused] == [
        (4, "INTENT_EXPIRED"),
        (5, "INTENT_EXPIRED"),
    ]
    assert len(stage.desk.open_orders) == 3


def test_a_moment_is_no_time_so_that_the_speed_of_a_machine_decides_nothing(stage, venue):
    venue.seconds = 0.2
    tell(stage, *(an_intent(number, quantity=float(number), **until(0.0)) for number in range(1, 6)))
    assert len(venue.sent) == 5


def test_an_order_that_stands_until_it_is_cancelled_leaves_however_late(stage, venue):
    venue.seconds = 3600.0
    tell(stage, an_intent(1), an_intent(2, quantity=9.0))
    assert len(venue.sent) == 2


def test_a_kill_that_comes_while_the_venue_is_asked_about_an_attempt_stops_the_next_one(stage, venue):
    venue.lost, waiting = True, []
    tell(stage, an_intent())
    stage.heed(lambda: waiting)
    venue.lost, venue.meanwhile = False, lambda: waiting.append(KILL)
    stage.resolve(Resolution(UUID(int=1), 1, Verdict.SEND_AGAIN, "ann", "asked the venue", NOON))
    assert seen(tell(stage))[-1][:2] == (1, "REJECTED")
    assert venue.sent == [(1, 1)]


def test_a_venue_that_answers_no_cancel_keeps_nobody_waiting_and_is_asked_about_every_order(stage, venue):
    tell(stage, *(an_intent(number, quantity=float(number)) for number in range(1, 9)))
    venue.seconds, venue.hung, began = 5.0, True, venue.now
    tell(stage, KILL)
    assert venue.now - began == 5.0
    for _ in range(7):
        tell(stage)
    assert venue.asked == [1, 2, 3, 4, 5, 6, 7, 8]
    assert len(stage.uncancelled) == 8
    venue.hung = False
    tell(stage)
    assert stage.desk.open_orders == ()


class Together(Venue):
    """The same venue, which can be asked for many cancels in the time of one."""

    def __init__(self):
        super().__init__()
        self.rounds = []

    def cancel_together(self, orders):
        self.rounds.append([(order.intent_id.int, order.stray) for order in orders])
        seconds, self.seconds = self.seconds, 0.0
        self.now += seconds
        said = [outcome_of(partial(self.cancel, order)) for order in orders]
        self.seconds = seconds
        return said


@pytest.fixture
def together(venue, monkeypatch):
    found = Together()
    monkeypatch.setattr("order_plane.sending.since_boot", lambda: found.now)
    monkeypatch.setattr("order_plane.router.monotonic", lambda: found.now)
    return found


def test_a_hung_venue_is_asked_for_all_cancels_in_the_time_of_one(together):
    stage = build_stage(SETTINGS, MemoryJournal(), together)
    stage.recover()
    tell(stage, a_bar(), *(an_intent(number, quantity=float(number)) for number in range(1, 9)))
    together.seconds, together.hung, began = 5.0, True, together.now
    tell(stage, KILL)
    assert together.asked == [1, 2, 3, 4, 5, 6, 7, 8]
    assert together.now - began == 5.0
    assert len(stage.uncancelled) == 8
    together.hung = False
    tell(stage)
    assert stage.desk.open_orders == ()


def test_two_cancels_of_one_intent_are_asked_for_one_after_the_other(together):
    stage = build_stage(SETTINGS, MemoryJournal(), together)
    stage.recover()
    tell(stage, a_bar(), an_intent(1), an_intent(2, quantity=3.0))
    stage.desk.cancels.stray(UUID(int=1), "another")
    tell(stage, KILL)
    assert together.rounds == [[(1, False), (2, False)]]
    assert together.asked == [1, 2, 1]


class Full(MemoryJournal):
    """A journal that takes no kill."""

    def record_command(self, command):
        raise JournalError("full")


def test_a_kill_that_cannot_be_latched_waits_for_a_hung_venue_as_long_as_for_one_cancel(together):
    stage = build_stage(SETTINGS, Full(), together)
    stage.recover()
    tell(stage, a_bar(), *(an_intent(number, quantity=float(number)) for number in range(1, 9)))
    together.seconds, together.hung, began = 5.0, True, together.now
    with pytest.raises(JournalError, match="full"):
        tell(stage, KILL)
    assert together.asked == [1, 2, 3, 4, 5, 6, 7, 8]
    assert together.now - began == 5.0
