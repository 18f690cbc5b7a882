"""What waits for the next record of progress leaves before it, and nothing behind it is done earlier."""

import pytest

import kernel.kafka_outstanding
from kernel.kafka_outstanding import Outstanding
from kernel.kafka_producer import Consignment

HERE = ("t", 0)


class Wire:
    """A producer and a group that only keep books."""

    def __init__(self):
        self.sent, self.sealed = [], []
        self.consignment = Consignment()
        self.next, self.finished, self.recorded = 0, {}, []

    def send(self, text):
        self.sent.append(text)
        self.consignment.outstanding += 1

    def seal(self):
        self.sealed.append(self.consignment)
        self.consignment = Consignment()
        return self.sealed[-1]

    def acknowledge(self):
        for each in self.sealed:
            each.outstanding = 0

    def serve(self): ...

    def flush(self):
        self.acknowledge()

    def hand_over(self):
        self.next += 1
        return {HERE: self.next}

    def finish(self, handled):
        self.finished |= handled

    @property
    def recording(self):
        return bool(self.finished)

    def commit_soon(self):
        self.recorded.append(self.finished)
        self.finished = {}

    def commit(self):
        self.commit_soon()


class Time:
    """Seconds that pass when a test says so."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def clock(monkeypatch):
    clock = Time()
    monkeypatch.setattr(kernel.kafka_outstanding, "monotonic", clock)
    return clock


@pytest.fixture
def outstanding(wire, clock):
    """Has just recorded one batch, so that the next record is 0.1 s away."""
    outstanding = Outstanding(wire, wire, 0.1)
    outstanding.add(1)
    outstanding.go_on()
    assert wire.recorded == [{HERE: 1}]
    return outstanding


def handle(outstanding, wire, mark, *texts):
    for text in texts:
        outstanding.hold("cost", lambda text=text: wire.send(text))
    wire.send(f"report {mark}")
    outstanding.add(mark)
    wire.acknowledge()
    outstanding.go_on()


def test_the_newest_leaves_with_the_next_record_and_what_led_to_it_is_done_after_it(outstanding, wire, clock):
    handle(outstanding, wire, 2, "a", "b")
    handle(outstanding, wire, 3, "c")
    assert wire.sent == ["report 2", "report 3"]
    assert (outstanding.durable, len(wire.recorded)) == (1, 1)
    assert 0.0 < outstanding.patience() <= 0.1
    clock.now += 0.2
    outstanding.go_on()
    assert wire.sent == ["report 2", "report 3", "c"]
    assert (outstanding.durable, len(wire.recorded)) == (1, 1)
    wire.acknowledge()
    outstanding.go_on()
    assert (outstanding.durable, wire.recorded[1:]) == (3, [{HERE: 3}])
    assert outstanding.patience() > 1000


def test_at_a_slow_pace_nothing_waits(outstanding, wire, clock):
    clock.now += 1.0
    handle(outstanding, wire, 2, "a")
    assert wire.sent == ["report 2", "a"]
    assert (outstanding.durable, wire.recorded[1:]) == (2, [{HERE: 2}])


def test_a_stop_sends_what_is_held_first(outstanding, wire):
    handle(outstanding, wire, 2, "a")
    outstanding.wait()
    assert wire.sent == ["report 2", "a"]
    assert (outstanding.durable, wire.recorded[1:]) == (2, [{HERE: 2}])


def test_what_is_polled_later_is_not_done_with_what_waits(outstanding, wire, clock):
    handle(outstanding, wire, 2, "a")
    wire.next = 7  # taken meanwhile, and nobody has said that it is done
    clock.now += 0.2
    outstanding.go_on()
    wire.acknowledge()
    outstanding.go_on()
    assert wire.recorded[1:] == [{HERE: 2}]
