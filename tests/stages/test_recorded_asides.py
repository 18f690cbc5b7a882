"""A life in which trading was stopped while orders were leaving is told again to the same bytes."""

from datetime import timedelta
from uuid import UUID

import pytest
from order_messages import NOON, a_bar, an_intent

from contracts.codec import encode
from contracts.control import KillSwitchCommand
from contracts.trading import OrderType
from kernel.asides import Asides
from kernel.memory_bus import MemoryBus
from kernel.pump import Pump
from kernel.recorder import HEEDED, OPERATED, SAID, Recorder, replay
from order_plane.command_channel import CommandRefused
from order_plane.composition import build_simulation
from order_plane.operator_commands import operator_commands, retold
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
    assert asides.heeding(lambda: [a_command(2, 0, engage=True)])() == (a_command(2, 0, engage=True),)
    assert [each.command_id.int for each in said] == [1]
