"""A plane that is told to stop asks for the cancels that are due, for a while, and says what may work on."""

from uuid import UUID

import pytest
from order_messages import NOON, a_bar, an_intent, tell
from venue_double import Venue

from contracts.control import KillSwitchCommand, RiskAlert
from order_plane.brokers.port import BrokerStateUnknown
from order_plane.composition import build_stage
from order_plane.facts import Fact, FactKind
from order_plane.journals.memory import MemoryJournal
from order_plane.parting import part
from order_plane.settings import OrderSettings

SETTINGS = OrderSettings(limits={"duplicate_window": 0}, reconciliation=None, guards=())
KILL = KillSwitchCommand(command_id=UUID(int=9), timestamp=NOON, engage=True, operator="ada", reason="drill")


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self, meanwhile=lambda now: None):
        self.now, self.meanwhile = 0.0, meanwhile

    def wait(self, seconds):
        self.now += seconds
        self.meanwhile(self.now)


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr("order_plane.parting.monotonic", lambda: found.now)
    monkeypatch.setattr("order_plane.parting._PAUSE", found)
    return found


@pytest.fixture
def venue():
    return Venue(*([Fact(UUID(int=number), FactKind.ACK, "ack", NOON, f"v-{number}")] for number in (1, 2)))


@pytest.fixture
def stage(venue):
    found = build_stage(SETTINGS, MemoryJournal(), venue)
    found.recover()
    tell(found, a_bar(), an_intent(1), an_intent(2, quantity=3.0))
    return found


@pytest.mark.parametrize("when", ["between two batches", "while the last batch is sent"])
def test_a_kill_obeyed_in_the_last_pass_has_its_cancels_sent(stage, venue, clock, when):
    if when == "between two batches":
        stage.handlers[KillSwitchCommand](KILL)
    else:
        stage.heed(lambda: [KILL])
        tell(stage, an_intent(3, quantity=4.0))
    said = part(stage)
    assert {number for number, _, _ in venue.cancelled} >= {1, 2}
    assert not any(isinstance(each, RiskAlert) for each in said)


def test_a_venue_that_answers_again_in_time_is_asked_again(stage, venue, clock):
    venue.problem = BrokerStateUnknown("timeout")
    clock.meanwhile = lambda now: setattr(venue, "problem", None)
    stage.handlers[KillSwitchCommand](KILL)
    part(stage)
    assert stage.uncancelled == {}


def test_what_a_hung_venue_does_not_take_up_is_listed_and_nobody_waits_for_ever(stage, venue, clock):
    venue.problem = BrokerStateUnknown("timeout")
    stage.handlers[KillSwitchCommand](KILL)
    said = part(stage)
    (alert,) = [each for each in said if isinstance(each, RiskAlert) and each.code == "NOT_CANCELLED"]
    assert all(str(UUID(int=number)) in alert.detail for number in (1, 2))
    assert clock.now < 6.0


def test_nothing_that_is_due_takes_no_time_and_says_nothing(stage, clock):
    assert (part(stage), clock.now) == ([], 0.0)
