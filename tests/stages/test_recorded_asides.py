"""A life in which trading was stopped while orders were leaving is told again to the same bytes."""

from datetime import timedelta
from uuid import UUID

import pytest
from order_messages import NOON, a_bar, an_intent

from contracts.claims import IntentsHandedOver, JournalClaim, Succession
from contracts.codec import encode
from contracts.control import KillSwitchCommand
from contracts.trading import ExecutionReport, OrderType
from kernel.asides import Asides
from kernel.memory_bus import MemoryBus
from kernel.pump import Pump
from kernel.recorder import HEEDED, OPERATED, SAID, Recorder, replay
from order_plane.brokers.paper_store import MemoryPaperStore
from order_plane.claims import Standing
from order_plane.command_channel import CommandRefused
from order_plane.composition import build_simulation, build_stage, paper_broker
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import JournalError
from order_plane.operator_commands import operator_commands
from order_plane.retelling import OPENED, RECONCILED, opened, retold, told_of
from order_plane.settings import OrderSettings

SETTINGS = OrderSettings.model_validate(
    {"guards": (), "limits": {"duplicate_window": 0, "max_order_value": 1e9, "max_gross_exposure": 1e9}}
)
WHO = {"operator": "ann", "reason": "drill"}


def a_command(number, minutes, *, engage, ends=None):
    at = NOON + timedelta(minutes=minutes)
    return KillSwitchCommand(command_id=UUID(int=number), engage=engage, timestamp=at, ends=ends, **WHO)


def a_limit(number, minutes=0):
    terms = {"order_type": OrderType.LIMIT, "limit_price": 90.0}
    return an_intent(number, minutes, quantity=float(number), **terms)


class Life:
    """An order plane on a bus, recorded; ``heard`` says which command is heard before the how-manieth order."""

    def __init__(self, path):
        self.path, self.heard, self.asked = path, {}, 0
        self.stage, self.asides, self.file = build_simulation(SETTINGS), Asides(), path.open("wb")
        recorder = Recorder(self.file)
        self.asides.attach(recorder)
        self.stage.heed(self.asides.heeding(self.answer))
        self.bus = MemoryBus()
        self.pump = Pump(self.stage, self.bus.connect(self.stage.handlers), (recorder, self.asides))
        publish = self.asides.publishing(lambda said: None)
        self.operate = self.asides.over(operator_commands(self.stage, publish), but="status")

    def answer(self):
        self.asked += 1
        return self.heard.get(self.asked, ())

    def tell(self, *messages):
        for message in messages:
            self.bus.publish(message)
        while self.pump.step(0):
            pass

    def retold(self):
        self.file.close()
        fresh = build_simulation(SETTINGS)
        return replay(fresh, self.path, fresh.heed, retold(fresh)), self.path.read_bytes().splitlines()


@pytest.fixture
def life(tmp_path):
    return Life(tmp_path / "order.jsonl")


def reports(lines, status):
    return [line for line in lines if line.startswith(SAID) and f'"status":"{status}"'.encode() in line]


def test_a_kill_and_a_release_in_the_middle_of_a_batch_are_told_again_where_they_took_effect(life):
    life.tell(a_bar(), a_limit(1))
    life.heard = {4: (a_command(500, 1, engage=True),), 6: (a_command(501, 2, engage=False, ends=UUID(int=500)),)}
    life.tell(a_bar(1), *(a_limit(number, 1) for number in range(2, 9)))
    life.tell(a_command(500, 1, engage=True), a_command(501, 2, engage=False, ends=UUID(int=500)))
    life.tell(a_bar(2), a_limit(20, 2))
    told_again, lines = life.retold()
    assert told_again.mismatch is None
    assert [line[:3] for line in lines if line.startswith(HEEDED)] == [HEEDED + b"3 ", HEEDED + b"5 "]
    assert (len(reports(lines, "REJECTED")), len(reports(lines, "CANCELED"))) == (2, 6)
    assert reports(lines, "ACKNOWLEDGED")[-1].count(f"{UUID(int=20)}".encode()) == 1


def test_a_recording_without_its_kill_does_not_replay(life):
    life.heard = {2: (a_command(500, 1, engage=True),)}
    life.tell(a_bar(), *(a_limit(number) for number in range(1, 4)))
    _, lines = life.retold()
    without = [line for line in lines if not line.startswith(HEEDED)]
    life.path.write_bytes(b"\n".join([*without, b""]))
    fresh = build_simulation(SETTINGS)
    assert not replay(fresh, life.path, fresh.heed, retold(fresh)).identical
    later = [line.replace(HEEDED + b"2 ", HEEDED + b"3 ") for line in lines]
    life.path.write_bytes(b"\n".join([*later, b""]))
    fresh = build_simulation(SETTINGS)
    assert not replay(fresh, life.path, fresh.heed, retold(fresh)).identical


def test_what_an_operator_did_by_the_socket_is_told_again(life):
    life.tell(a_bar(), *(a_limit(number) for number in range(1, 5)))
    life.operate["status"]({})
    life.operate["cancel"]({"intent_id": str(UUID(int=1)), **WHO})
    life.operate["replace"]({"intent_id": str(UUID(int=2)), "quantity": 1.0, **WHO})
    with pytest.raises(CommandRefused):
        life.operate["cancel"]({"intent_id": str(UUID(int=99)), **WHO})
    life.operate["limits"]({"limits": SETTINGS.limits.model_dump(mode="json") | {"max_order_value": 500.0}, **WHO})
    life.tell(a_bar(1), a_limit(6, 1))
    life.operate["kill"]({"message": encode(a_command(500, 2, engage=True)).decode()})
    life.tell(a_bar(2), a_limit(7, 2))
    with pytest.raises(CommandRefused, match="does not name"):
        life.operate["kill"]({"message": encode(a_command(501, 1, engage=False)).decode()})
    life.tell(a_bar(3), a_limit(8, 3))
    told_again, lines = life.retold()
    assert told_again.mismatch is None
    assert sum(line.startswith(OPERATED) for line in lines) == 6
    assert (len(reports(lines, "CANCELED")), len(reports(lines, "REJECTED"))) == (4, 3)


def test_nothing_is_noted_without_a_recorder():
    asides, said = Asides(), []
    asides.publishing(said.extend)([a_command(1, 0, engage=True)])
    assert [*asides.heeding(lambda: [a_command(2, 0, engage=True)])()] == [a_command(2, 0, engage=True)]
    assert [each.command_id.int for each in said] == [1]


class Place:
    """One venue, and journals by name: those of the lives that were recorded, or those of a replay."""

    def __init__(self):
        self.store, self.journals = MemoryPaperStore(), {}

    def stage(self, name):
        journal = self.journals.setdefault(name, MemoryJournal(retain=1000))
        journal.journal_id = name
        wanted = SETTINGS.model_copy(update={"mode": "paper"})
        return build_stage(wanted, journal, paper_broker(wanted, self.store))


def a_life(place, name, path, restored, standing, intents, *batches):
    """One recorded life; returns the reports that it published."""
    stage, asides, bus, said = place.stage(name), Asides(), MemoryBus(), []
    stage.yield_at(lambda mark: ())
    with path.open("wb") as file:
        recorder = Recorder(file)
        asides.attach(recorder)
        for message in restored:
            stage.restore(message)
            recorder.restored(message)
        first = opened(stage, standing, intents)
        asides.note(OPENED, told_of(standing, intents), first)
        said += first
        pump = Pump(stage, Listening(bus.connect(stage.handlers), said), (recorder, asides))
        for batch in batches:
            for message in batch:
                bus.publish(message)
            pump.step(0)
            asides.noting(RECONCILED, said.extend)(stage.reconcile())
    return [stage.stamp(each) for each in said if isinstance(each, ExecutionReport)]


class Listening:
    """An endpoint that also shows what is published."""

    def __init__(self, endpoint, said):
        self._endpoint, self._said = endpoint, said

    def __getattr__(self, name):
        return getattr(self._endpoint, name)

    def publish(self, message, cause=None, *, more=False):
        self._said.append(message)
        self._endpoint.publish(message, cause, more=more)


def test_lives_with_a_restart_and_a_take_over_are_told_again_from_their_beginning(tmp_path):
    place, alone = Place(), Standing()
    old = JournalClaim(timestamp=NOON, journal_id="old", account="PAPER", host="one", place="here")
    succeeds = Succession(journal_id="old", operator="ann", reason="its host is gone")
    new = old.model_copy(update={"journal_id": "new", "succeeds": succeeds})
    mark = IntentsHandedOver(timestamp=NOON, journal_id="new", predecessor="old")
    held = Standing(new, frozenset({"old"}), 4, 1)
    wishes = [a_limit(number) for number in range(1, 4)]
    kill = a_command(500, 1, engage=True)
    paths = [tmp_path / f"{number}.jsonl" for number in range(3)]
    bars = [a_bar(), a_bar(1)]
    reports = a_life(place, "old", paths[0], (), alone, (), [bars[0], *wishes[:2]], [kill])
    before = [bars[0], *reports]
    reports += a_life(place, "old", paths[1], before, Standing(old), (), [bars[1], wishes[1]])
    ids = {each.intent_id for each in wishes}
    again = [bars[0], *reports]
    a_life(place, "new", paths[2], again, held, ids, [mark, bars[1], wishes[2]], [a_limit(9, 1)])
    lines = paths[2].read_bytes()
    assert b'"status":"IN_DOUBT"' in lines, "what was handed over and not reported"
    assert b"intents_handed_over" in lines
    assert b'"engage":true' in paths[1].read_bytes().partition(b"settle")[0], "the restart says again what is engaged"
    fresh = Place()
    for name, path in zip(("old", "old", "new"), paths, strict=True):
        stage = fresh.stage(name)
        assert replay(stage, path, stage.heed, retold(stage)).mismatch is None
    forgetful = Place().stage("old")
    with pytest.raises(JournalError, match="older copy"):
        replay(forgetful, paths[1], forgetful.heed, retold(forgetful))
