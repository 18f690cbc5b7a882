"""Promise: whatever happens to Kafka, each intent becomes one order and all that is said arrives."""

from contextlib import ExitStack, contextmanager
from random import Random

import pytest
from confluent_kafka import Producer
from drills import FIRST, LONG, SETTINGS, SYMBOLS, a_bar, an_intent

from contracts.codec import decode
from contracts.control import RiskAlert
from contracts.market import BarEvent
from contracts.trading import ExecutionReport, OrderIntent
from kernel import kafka_producer
from kernel.clock import monotonic
from kernel.kafka_bus import KafkaBus
from kernel.kafka_history import read_logs
from kernel.kafka_offsets import watermarks
from kernel.ports import DeliveryFailed
from kernel.pump import Pump
from order_plane.brokers.paper_store import MemoryPaperStore
from order_plane.composition import build_stage, paper_broker
from order_plane.journals.memory import MemoryJournal

AUTHORIZATION_FAILED = 29
PATIENCE = 60.0
SLOW_MILLISECONDS = 5_000
FEW = 2
"""Records that the client holds, where it is to be full as soon as one batch has three intents."""


class Plane:
    """An order plane on Kafka with a producer of intents beside it."""

    def __init__(self, kafka, stack, before=None, client=kafka_producer.Producer):
        self.kafka = kafka
        self.venue = before.venue if before else paper_broker(SETTINGS, MemoryPaperStore(retain=10_000))
        self.journal = before.journal if before else MemoryJournal(retain=10_000)
        self.stage = build_stage(SETTINGS, self.journal, self.venue)
        said = (ExecutionReport, RiskAlert)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kafka_producer, "Producer", client)
            self.bus = stack.enter_context(KafkaBus(kafka, "order", self.stage.handlers, said, stamp=self.stage.stamp))
        # One batch of records for all that is published before a flush: it is fetched as a whole by a slow Kafka, too.
        together = kafka.model_copy(update={"linger_ms": 500.0})
        self.source = stack.enter_context(KafkaBus(together, "data", (), (BarEvent, OrderIntent)))
        assert self.bus.wait_ready(PATIENCE)
        for message in self.stage.recover():
            self.bus.publish(message)
        self.stage.follow(lambda: self.bus.durable)
        self.pump = Pump(self.stage, self.bus, mark=lambda: self.stage.appended)
        self.chance = Random(FIRST)
        self.wishes = before.wishes if before else []
        for symbol in SYMBOLS:
            self.source.publish(a_bar(symbol, 0, self.chance))
        self.source.flush()

    def wish(self, count):
        for _ in range(count):
            number = len(self.wishes) + 1
            intent = an_intent(number, self.chance.choice(SYMBOLS), 1, self.chance)
            self.wishes.append(intent)
            self.source.publish(intent)

    def run(self, done):
        deadline = monotonic() + PATIENCE
        while not done() and monotonic() < deadline:
            self.pump.step(0.1)
        self.bus.commit()

    def sent(self):
        return {intent.intent_id for intent in self.wishes if self.venue.lookup(intent.intent_id) is not None}

    def told(self):
        records = read_logs(self.kafka, watermarks(self.kafka, ["execution_reports"]))
        return {decode(record.value(), (ExecutionReport,)).intent_id for record in records}

    def check(self):
        everything = {intent.intent_id for intent in self.wishes}
        assert self.told() == everything
        assert self.sent() <= everything
        assert self.venue.duplicates_refused == 0
        assert self.stage.desk.in_doubt == 0


@contextmanager
def a_plane(kafka, *more):
    """An order plane, or the next life of another one."""
    with ExitStack() as stack:
        yield Plane(kafka, stack, *more)


def run_for_ever(kafka):
    with a_plane(kafka) as plane:
        plane.run(lambda: False)


def answered(plane):
    return lambda: plane.stage.appended >= len(plane.wishes) and plane.bus.durable >= plane.stage.appended


@pytest.mark.fault("F10: Kafka goes down and comes up again")
def test_kafka_down_and_up_again_loses_and_doubles_nothing(cluster, kafka):
    with a_plane(kafka) as plane:
        plane.wish(20)
        plane.run(answered(plane))
        plane.wish(20)
        plane.pump.step(0.1)
        cluster.go_down()
        for _ in range(20):
            plane.pump.step(0.1)
        cluster.come_up()
        plane.wish(20)
        plane.run(answered(plane))
        plane.check()


class SmallQueue(kafka_producer.Producer):
    """A client whose queue is full after a few records."""

    refused = 0

    def __init__(self, config):
        super().__init__({**config, "queue.buffering.max.messages": FEW})

    def produce(self, *arguments):
        try:
            super().produce(*arguments)
        except BufferError:
            SmallQueue.refused += 1
            raise


@pytest.fixture
def slow(kafka):
    """A member that is not taken for dead while its answers are on their way."""
    return kafka.model_copy(
        update={"group_protocol": "classic", "session_timeout_ms": 60_000, "start_timeout_seconds": 60.0}
    )


@pytest.mark.fault("F11: Kafka answers after five seconds")
def test_a_slow_kafka_loses_and_doubles_nothing(cluster, slow):
    with a_plane(slow, None, SmallQueue) as plane:
        plane.wish(1)
        plane.run(answered(plane))
        plane.wish(2 * FEW + 1)
        plane.source.flush()
        SmallQueue.refused = 0
        cluster.answer_after(SLOW_MILLISECONDS)
        plane.run(answered(plane))
        cluster.answer_after(0)
        assert SmallQueue.refused, "the queue was never full"
        plane.check()


@pytest.mark.fault("F11: Kafka is too slow to acknowledge anything in time")
def test_a_kafka_too_slow_to_acknowledge_stops_the_plane_and_nothing_is_lost(cluster, slow):
    brisk = slow.model_copy(update={"session_timeout_ms": 6000})
    hasty = brisk.model_copy(update={"delivery_timeout_ms": 1000})
    with a_plane(hasty) as plane:
        settle = plane.stage.settle

        def and_slow():
            """What is settled is said to a Kafka that is slow by then; one that was so before may give no intent."""
            said = settle()
            if said:
                cluster.answer_after(SLOW_MILLISECONDS)
            return said

        plane.stage.settle = and_slow
        plane.wish(30)
        plane.source.flush()
        with pytest.raises(DeliveryFailed):
            plane.run(lambda: False)
        cluster.answer_after(0)
        assert plane.stage.appended
        assert not any(high for name, high in plane.bus.positions.items() if name.startswith("order_intents"))
    # This broker waits for a member that was taken for dead, and is gone, as long as its newest one may be silent.
    with a_plane(brisk, plane) as again:
        again.run(answered(again))
        again.check()


@pytest.mark.fault("F12: the dead-letter topic refuses")
def test_a_dead_letter_that_cannot_be_written_stops_the_plane(cluster, kafka):
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce("order_intents", b"\xff no intent", b"AAPL")
    assert producer.flush(20) == 0
    cluster.refuse_topic("dlq_order_intents", AUTHORIZATION_FAILED)
    with pytest.raises(DeliveryFailed):
        run_for_ever(kafka)
    with KafkaBus(kafka, "order", (OrderIntent,), ()) as bus:
        assert bus.wait_ready(PATIENCE)
        assert not any(bus.positions.values()), "the poison was passed over"


@pytest.mark.fault("F26: rebalances without end")
@pytest.mark.timeout(400)
def test_a_storm_of_rebalances_loses_and_doubles_nothing(cluster, kafka):
    with a_plane(kafka) as plane:
        for _ in range(10 if LONG else 3):
            with KafkaBus(kafka, "order", plane.stage.handlers, ()):
                plane.wish(10)
                stop = monotonic() + 1.0
                plane.run(lambda stop=stop: monotonic() > stop)
        plane.run(answered(plane))
        plane.check()
