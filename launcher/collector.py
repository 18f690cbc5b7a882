"""Follow a run on its topics and keep the same record of it as a backtest does."""

from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka import Message as Record

from backtest.run_record import RunRecord
from contracts.base import Message
from contracts.claims import IntentsHandedOver
from contracts.codec import ContractViolation, decode
from contracts.control import RiskAlert, RunMarker, RunState
from contracts.dead_letter import NotADeadLetter, parse_dead_letter
from contracts.topics import TOPICS, Topic
from contracts.trading import ExecutionReport, OrderIntent
from domain.valuation import Valuation
from kernel.clock import monotonic
from kernel.dead_letter_writer import wire_headers
from kernel.dead_letters import UNEXPLAINED
from kernel.kafka_errors import BrokerUnavailable
from kernel.kafka_offsets import watermarks
from kernel.kafka_settings import KafkaSettings, reader_config
from launcher.consumed_intents import WHILE_IT_RAN, IntentWitness, committed_positions
from launcher.trouble import Trouble
from order_plane.alerts import is_told

FOLLOWED = ("market_events", "order_intents", "execution_reports", "control", "risk_alerts")
_BATCH = 2000
_ASK_SECONDS = 5.0


class Collector:
    """Reads every message of a run from the beginning, without a group, and never blocks for long.

    What it sees of intents it tells ``witness``, and now and then how far the order plane has come.
    """

    def __init__(self, kafka: KafkaSettings, record: RunRecord, witness: IntentWitness | None = None) -> None:
        self._kafka = kafka
        self._record = record
        self._witness = witness
        self._topics = {kafka.topic(name): TOPICS[name] for name in (*FOLLOWED, *_dead_letter_topics())}
        self._read = dict.fromkeys(watermarks(kafka, [topic.name for topic in self._topics.values()]), 0)
        self.dead_letters: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()
        """Records by topic that were dropped before they were read, as the embedded broker does."""
        self.fills = 0
        self.untold: list[RiskAlert] = []
        """Alerts for a person that nobody has taken out yet."""
        self.trouble = Trouble()
        self._valuation = Valuation(record.initial_cash, record.currencies)
        self._buried: set[str] = set()
        self._ask_at = 0.0
        self.marker: RunMarker | None = None
        self._consumer = Consumer(
            {
                **reader_config(kafka, kafka.group("collector")),
                "auto.offset.reset": "earliest",
                # Nobody waits for the record: leave the machine to the planes.
                "fetch.wait.max.ms": 250,
                "fetch.min.bytes": 65_536,
            }
        )
        self._consumer.assign([TopicPartition(*partition, 0) for partition in self._read])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    @property
    def bars(self) -> int:
        """Bars collected so far."""
        return self._record.counts["bars"]

    @property
    def equity(self) -> float:
        """What the account is worth at the newest closes collected, in currency units."""
        return self._valuation.equity

    @property
    def finished(self) -> bool:
        """Whether the data plane has said that it has published everything."""
        return self.marker is not None and self.marker.state is not RunState.STARTED

    def collect(self, timeout_seconds: float) -> int:
        """Take in what has arrived, waiting at most ``timeout_seconds``; returns how many records that was."""
        first = self._consumer.poll(timeout_seconds)
        if first is None:
            return 0
        records = [first, *self._consumer.consume(_BATCH, 0)]
        for record in records:
            if record.error() is None:
                self._take(record)
        if self._witness is not None:
            self._ask_progress(self._witness)
            self._witness.flush()
        return len(records)

    def drain(self) -> None:
        """Take in everything up to the present end of every topic.

        Raises:
            BrokerUnavailable: when the broker no longer sends what it has.
        """
        ends = {key: high for key, (_, high) in watermarks(self._kafka, self._names()).items()}
        idle = 0
        while any(self._read[key] < end for key, end in ends.items()):
            idle = 0 if self.collect(0.2) else idle + 1
            if idle > 100:
                raise BrokerUnavailable(self._kafka.bootstrap_servers, "it stopped sending before the end of the run")

    def _ask_progress(self, witness: IntentWitness) -> None:
        """Have Kafka say what is consumed; seldom, and more seldom the longer it takes to answer."""
        asked_at = monotonic()
        if asked_at < self._ask_at:
            return
        with suppress(BrokerUnavailable):  # the order plane comes no further meanwhile
            witness.committed(committed_positions(self._kafka), WHILE_IT_RAN)
        self._ask_at = monotonic() + max(_ASK_SECONDS, 10 * (monotonic() - asked_at))

    def _names(self) -> list[str]:
        return [topic.name for topic in self._topics.values()]

    def _take(self, record: Record) -> None:
        name = record.topic() or ""
        topic = self._topics[name]
        partition, offset = (name, record.partition() or 0), record.offset() or 0
        if offset > self._read[partition]:  # no topic that is followed is compacted
            self.missing[topic.name] += offset - self._read[partition]
        self._read[partition] = offset + 1
        if not topic.messages:
            self._bury(record, topic)
            return
        message = _message(record, topic)
        if self._witness is not None and OrderIntent in topic.messages:
            self._witnessed(self._witness, record, message)
        if message is None:
            return  # its consumer sends it to the dead letters, and there it is counted
        if isinstance(message, RunMarker):
            self.marker = message
        if isinstance(message, ExecutionReport) and message.last_quantity:
            self.fills += 1
        if isinstance(message, RiskAlert) and is_told(message):
            self.untold.append(message)
        self.trouble.take(message)
        self._record.observe(message)
        self._valuation.take(message)

    @staticmethod
    def _witnessed(witness: IntentWitness, record: Record, message: Message | None) -> None:
        place = record.partition() or 0, record.offset() or 0
        if isinstance(message, IntentsHandedOver):
            witness.marked(*place)
        else:
            witness.published(*place, message.intent_id if isinstance(message, OrderIntent) else None)

    def _bury(self, record: Record, topic: Topic) -> None:
        try:
            letter = parse_dead_letter(wire_headers(record), record.key(), record.value())
        except NotADeadLetter:  # a foreign producer wrote it there
            self.dead_letters[UNEXPLAINED] += 1
            return
        if letter.dlq_id not in self._buried:  # one failure can be written twice, around a crash
            self._buried.add(letter.dlq_id)
            self.dead_letters[letter.code] += 1
            if self._witness is not None:
                self._witness.buried(topic.name, letter)


def _message(record: Record, topic: Topic) -> Message | None:
    try:
        return decode(record.value() or b"", topic.messages)
    except ContractViolation:
        return None


def _dead_letter_topics() -> tuple[str, ...]:
    return tuple(name for name, topic in TOPICS.items() if not topic.messages)
