"""Promise: a new order plane tells reports of another journal, which it must not trade behind, from mere rubbish."""

from datetime import UTC, datetime
from threading import Event, Thread
from uuid import UUID

import pytest
from confluent_kafka import Producer

from contracts.codec import decode, encode
from contracts.control import Heartbeat, PlaneName
from contracts.topics import TOPIC_OF
from contracts.trading import ExecutionReport, OrderStatus
from kernel.clock import monotonic
from kernel.embedded_broker import MockCluster
from kernel.kafka_history import read_logs
from kernel.kafka_offsets import watermarks
from kernel.kafka_settings import KafkaSettings
from kernel.plane import Runtime
from order_plane.app import run
from order_plane.journals.port import JournalError
from order_plane.settings import OrderSettings

PATIENCE = 60.0
START = datetime(2024, 1, 2, 15, tzinfo=UTC)


@pytest.fixture
def kafka():
    cluster = MockCluster()
    cluster.create_topics()
    yield KafkaSettings(bootstrap_servers=cluster.bootstrap_servers, embedded=True)
    cluster.close()


class Plane:
    """A new order plane in a thread, with an empty journal of its own."""

    def __init__(self, kafka, directory):
        self._kafka = kafka
        self._runtime = Runtime(PlaneName.ORDER, "run", directory)
        self._stop = Event()
        self._ended_by = []
        self._thread = Thread(target=self._run)

    def _run(self):
        try:
            run(OrderSettings(mode="paper"), self._kafka, self._runtime, self._stop)
        except JournalError as error:
            self._ended_by.append(error)

    def started(self):
        """Whether it got as far as its first heartbeat; it is stopped again, and what ended it otherwise is raised."""
        self._thread.start()
        deadline, seen = monotonic() + PATIENCE, False
        while self._thread.is_alive() and not seen and monotonic() < deadline:
            records = read_logs(self._kafka, watermarks(self._kafka, [TOPIC_OF[Heartbeat].name]))
            seen = any(decode(record.value(), (Heartbeat,)).plane is PlaneName.ORDER for record in records)
            self._stop.wait(0.05)
        self._stop.set()
        self._thread.join(PATIENCE)
        if self._ended_by:
            raise self._ended_by[0]
        return seen


def produce(kafka, value):
    foreign = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})
    foreign.produce(kafka.topic("execution_reports"), value, b"AAPL", 0)
    assert foreign.flush(10) == 0


def a_report():
    return ExecutionReport(
        intent_id=UUID(int=7),
        order_id="1",
        symbol="AAPL",
        status=OrderStatus.SUBMITTED,
        filled_quantity=0.0,
        timestamp=START,
        journal_id="other",
        journal_seq=3,
    )


@pytest.mark.fault("F25 F28: poison on the reports of a new order plane")
@pytest.mark.parametrize("value", [b"\xff", b"", encode(a_report())[:-1]], ids=["byte", "nothing", "cut off"])
def test_a_record_that_is_no_report_stops_no_new_order_plane(kafka, tmp_path, value):
    produce(kafka, value)
    assert Plane(kafka, tmp_path).started()


@pytest.mark.fault("F28: two order planes on two journals")
def test_a_new_order_plane_behind_reports_of_another_journal_is_refused(kafka, tmp_path):
    produce(kafka, b"\xff")
    produce(kafka, encode(a_report()))
    with pytest.raises(JournalError, match="another journal"):
        Plane(kafka, tmp_path).started()
