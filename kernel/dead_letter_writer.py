"""Write what could not be used to its dead-letter topic, bytes unchanged, on the same partition."""

from collections import Counter
from collections.abc import Sequence
from typing import cast

from confluent_kafka import Message as Record

from contracts.base import Message
from contracts.codec import FieldError
from contracts.dead_letter import Header, Refuser, SourceRecord, dead_letter_headers
from contracts.topics import TOPICS, Topic
from kernel.kafka_producer import DurableProducer
from kernel.kafka_settings import KafkaSettings
from kernel.ports import Clock, Received

_TIMESTAMP_TYPES = {1: "create", 2: "log-append"}
_Place = tuple[str, int, int]


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
        self._odd_headers: dict[_Place, tuple[Header, ...]] = {}
        self.counts: Counter[tuple[str, str]] = Counter()

    def headers(self, record: Record, place: _Place) -> dict[str, bytes]:
        """Headers by name; what a mapping cannot hold is kept aside until `forget`, for a dead letter of it."""
        pairs = record.headers()
        if not pairs:
            return {}
        plain = dict(pairs)
        if len(plain) != len(pairs) or None in plain.values():
            self._odd_headers[place] = wire_headers(record)
            plain = {name: value for name, value in plain.items() if value is not None}
        return cast(dict[str, bytes], plain)  # a consumer delivers bytes or null

    def forget(self) -> None:
        """The messages whose headers were kept are done."""
        self._odd_headers.clear()

    def refuse_received(self, received: Received, error: FieldError) -> None:
        """Send a message that a handler refused."""
        place = (received.topic, received.partition, received.offset)
        source = SourceRecord(
            topic=self._settings.topic(received.topic),
            partition=received.partition,
            offset=received.offset,
            key=received.key,
            value=received.raw,
            headers=self._odd_headers.get(place) or tuple(received.headers.items()),
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
