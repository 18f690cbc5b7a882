"""Order planes on Kafka as their app makes them, in this process: in hand, or in a thread until something ends them."""

from contextlib import ExitStack
from datetime import UTC, datetime
from threading import Event, Thread
from uuid import UUID

from confluent_kafka import Producer
from drills import SETTINGS

from contracts.codec import decode
from contracts.control import Heartbeat, KillSwitchCommand, PlaneName
from contracts.market import BarEvent
from contracts.topics import TOPIC_OF
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus
from kernel.clock import monotonic
from kernel.kafka_bus import KafkaBus
from kernel.kafka_history import Span, read_logs
from kernel.kafka_offsets import watermarks
from kernel.plane import Runtime
from kernel.pump import Pump
from order_plane.app import run
from order_plane.composition import build_stage
from order_plane.journals.port import JournalError
from order_plane.settings import OrderSettings

PATIENCE = 60.0
REMEMBERED = (BarEvent, KillSwitchCommand, OrderIntent)
FOREIGN_REPORT = ExecutionReport(
    intent_id=UUID(int=7),
    order_id="1",
    symbol="AAPL",
    status=OrderStatus.SUBMITTED,
    filled_quantity=0.0,
    timestamp=datetime(2024, 1, 2, 15, tzinfo=UTC),
    journal_id="other",
    journal_seq=3,
)


def report(kafka, value):
    """Write to the reports, past the contracts."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})
    producer.produce(kafka.topic("execution_reports"), value, b"AAPL", 0)
    assert producer.flush(10) == 0


class PlaneInHand:
    """An order plane with the journal and the line to the venue it is given; the test makes each of its steps."""

    def __init__(self, kafka, journal, line):
        self._stack = ExitStack()
        self.journal = journal
        self.stage = stage = build_stage(SETTINGS, journal, line)
        self.bus = bus = self._stack.enter_context(
            KafkaBus(kafka, "order", stage.handlers, (ExecutionReport,), stamp=stage.stamp)
        )
        span = Span(newest=50_000, to_end=True)
        for received in bus.history(REMEMBERED, (ExecutionReport,), span=span, others=stage.published.overhear):
            stage.restore(received.message)
        for message in stage.recover():
            bus.publish(message)
        bus.flush()
        bus.finish(stage.appended)
        stage.follow(lambda: bus.durable)
        self.step = Pump(stage, bus, mark=lambda: stage.appended).step

    def holds(self, partition):
        """Whether the group has given it ``partition``."""
        return partition in self.bus.positions

    def record_nothing(self):
        """From here on, what it does is durable and said, and its progress is not recorded."""
        self.bus.finish = lambda mark=0: None

    def die(self):
        """Go; a process that is killed would be given up for dead a few seconds later, and this one says goodbye."""
        self._stack.close()


class PlaneInThread:
    """An order plane as a process runs it, with a journal and a venue of its own in ``directory``."""

    def __init__(self, kafka, directory, settings=None):
        self._kafka = kafka
        self._settings = settings or OrderSettings(mode="paper")
        self._runtime = Runtime(PlaneName.ORDER, "run", directory)
        self._stop = Event()
        self._ended_by = []
        self._thread = Thread(target=self._run)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self._stop.set()
        self._thread.join(PATIENCE)

    def started(self):
        """Whether it gets as far as its first heartbeat; raises what ended it before."""
        deadline, seen = monotonic() + PATIENCE, False
        while self._thread.is_alive() and not seen and monotonic() < deadline:
            records = read_logs(self._kafka, watermarks(self._kafka, [TOPIC_OF[Heartbeat].name]))
            seen = any(decode(record.value(), (Heartbeat,)).plane is PlaneName.ORDER for record in records)
            self._stop.wait(0.05)
        self._raise_end()
        return seen

    def running(self):
        """Make sure that nothing has ended it."""
        self._raise_end()
        assert self._thread.is_alive()

    def ended(self):
        """Wait for it to end of itself; raises what ended it."""
        self._thread.join(PATIENCE)
        self._raise_end()

    def _run(self):
        try:
            run(self._settings, self._kafka, self._runtime, self._stop)
        except JournalError as error:
            self._ended_by.append(error)

    def _raise_end(self):
        if self._ended_by:
            raise self._ended_by[0]
