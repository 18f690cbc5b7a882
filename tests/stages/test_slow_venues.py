"""What must not happen while a venue takes long to answer: orders that are overdue, a kill unheard, nobody served."""

from datetime import timedelta
from uuid import UUID

import pytest
from order_messages import NOON, a_bar, an_intent, seen, tell

from contracts.control import KillSwitchCommand
from contracts.trading import ExecutionReport
from order_plane.brokers.port import BrokerStateUnknown, KeyLife
from order_plane.composition import build_stage
from order_plane.facts import Fact, FactKind
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import Resolution, Verdict
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
