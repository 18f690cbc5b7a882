"""Write what could not be used to its dead-letter topic, bytes unchanged, on the same partition."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from confluent_kafka import Message as Record

from contracts.base import Message
from contracts.codec import FieldError
from contracts.dead_letter import Header, Refuser, SourceRecord, dead_letter_headers
from contracts.topics import TOPICS, Topic
from kernel.kafka_producer import DurableProducer
from kernel.kafka_settings import KafkaSettings
from kernel.ports import Clock, Received

_TIMESTAMP_TYPES = {1: "create", 2: "log-append"}


def schema_name(message: type[Message]) -> str:
    """The contract and its version as records name it, such as ``bar_event.v1``."""
    return f"{message.model_fields['event_type'].default}.v{message.schema_version}"


def source_of(record: Record) -> SourceRecord:
    """A record as the client delivers it, in the words of the dead-letter contract."""
    kind, timestamp = record.timestamp()
    return SourceRecord(
        topic=record.topic() or "",
        partition=record.partition() or 0,
        offset=record.offset() or 0,
        key=record.key(),
        value=record.value(),
        headers=wire_headers(record),
        timestamp_ms=max(0, timestamp),
        timestamp_type=_TIMESTAMP_TYPES.get(kind, "none"),
    )


def wire_headers(record: Record) -> tuple[Header, ...]:
    """Headers as the wire has them: in order, repeated names and null values included."""
    headers = record.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return tuple((name, value.encode() if isinstance(value, str) else value) for name, value in pairs)


class RecordHeaders(Mapping[str, bytes]):
    """Headers of a record by name, read when somebody asks: of most records nobody does.

    Of a repeated name it has the last value, and null values are left out; ``wire`` has all of them.
    """

    __slots__ = ("_record",)

    def __init__(self, record: Record) -> None:
        self._record = record

    @property
    def wire(self) -> tuple[Header, ...]:
        """What the wire had."""
        return wire_headers(self._record)

    def __getitem__(self, name: str) -> bytes:
        return self._plain()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._plain())

    def __len__(self) -> int:
        return len(self._plain())

    def __repr__(self) -> str:
        return repr(self._plain())

    def _plain(self) -> dict[str, bytes]:
        return {name: value for name, value in self.wire if value is not None}


class DeadLetterWriter:
    """Sends dead letters of one process and counts them by topic and error code."""

    def __init__(
        self,
        producer: DurableProducer,
        settings: KafkaSettings,
        group: str,
        instance: str,
        app_version: str,
        clock: Clock,
    ) -> None:
        self._producer = producer
        self._settings = settings
        self._group = group
        self._instance = instance
        self._app_version = app_version
        self._clock = clock
        self.counts: Counter[tuple[str, str]] = Counter()

    def refuse_received(self, received: Received, error: FieldError) -> None:
        """Send a message that a handler refused."""
        headers = received.headers
        source = SourceRecord(
            topic=self._settings.topic(received.topic),
            partition=received.partition,
            offset=received.offset,
            key=received.key,
            value=received.raw,
            headers=headers.wire if isinstance(headers, RecordHeaders) else tuple(headers.items()),
            timestamp_ms=received.timestamp_ms,
        )
        self.refuse(TOPICS[received.topic], source, error, ())

    def refuse(self, topic: Topic, source: SourceRecord, error: FieldError, expected: Sequence[str]) -> None:
        """Send ``source``, read from ``topic`` of the table.

        Raises:
            DeliveryFailed: here or from the next flush, when the dead letter cannot be made durable.
        """
        refuser = Refuser(self._group, self._instance, self._app_version, tuple(expected))
        self._producer.send(
            self._settings.topic(topic.dead_letter or f"dlq_{topic.name}"),
            source.value,
            source.key,
            dead_letter_headers(source, error, refuser, self._clock.now()),
            partition=source.partition,
            timestamp_ms=source.timestamp_ms,
        )
        self.counts[topic.name, error.code.value] += 1
