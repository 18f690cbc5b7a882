"""A log of one partition of which every record counts: nothing in it is passed over."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from confluent_kafka import Message as Record

from contracts.base import Message
from contracts.codec import ContractViolation, decode, encode
from contracts.topics import TOPIC_OF
from kernel.kafka_admin import check_topics
from kernel.kafka_errors import LogBroken
from kernel.kafka_offsets import watermarks
from kernel.kafka_producer import DurableProducer
from kernel.kafka_settings import KafkaSettings
from kernel.kafka_tail import Tail

_Kind = TypeVar("_Kind", bound=Message)


class StrictLog(Generic[_Kind]):
    """The log of messages of one ``kind``, whose topic has one partition and no other messages.

    Raises:
        BrokerUnavailable: when no broker answers.
        TopicMismatch: when there is no such topic.
    """

    def __init__(self, settings: KafkaSettings, kind: type[_Kind]) -> None:
        topic = TOPIC_OF[kind]
        self._settings, self._kind, self._topic = settings, kind, settings.topic(topic.name)
        check_topics(settings, [topic.name])
        self._tail = Tail(settings, "strict", {(self._topic, 0): 0})
        self._next = 0
        self.close = self._tail.close

    def read(self, *, wait: bool = False, patience_seconds: float | None = None) -> Sequence[_Kind]:
        """What was not read before, in its order; of all that the log holds by now after a pause, or with ``wait``.

        Raises:
            BrokerUnavailable: when no broker tells what the log holds.
            LogBroken: when a record is missing, or is no such message.
        """
        return self._decoded(self._tail.read(wait=wait, patience_seconds=patience_seconds))

    def arrived(self) -> Sequence[_Kind]:
        """What was not read before and is here already; to be called often, so that a pause of the process is noticed.

        Raises:
            LogBroken: as `read` does.
        """
        return self._decoded(self._tail.arrived())

    def append(self, message: _Kind) -> None:
        """Return once ``message`` is in the log for good; it is read as any other.

        Raises:
            DeliveryFailed: when that is not known.
        """
        append(self._settings, message)

    def _decoded(self, records: Sequence[Record]) -> list[_Kind]:
        return [self._message(record.offset() or 0, record.value()) for record in records]

    def _message(self, offset: int, value: bytes | None) -> _Kind:
        if offset != self._next:
            raise LogBroken(self._topic, self._next, "the record is gone")
        self._next += 1
        try:
            message = decode(value or b"", (self._kind,))
        except ContractViolation:
            raise LogBroken(self._topic, offset, "the record breaks its contract") from None
        assert isinstance(message, self._kind)  # noqa: S101 - nothing else is decoded
        return message


def append(settings: KafkaSettings, message: Message) -> int:
    """Make ``message`` durable in its topic of one partition, and return where that log ends then.

    Raises:
        BrokerUnavailable, DeliveryFailed: when it is not known to be durable.
    """
    name = TOPIC_OF[type(message)].name
    producer = DurableProducer(settings)
    try:
        producer.reach(settings.start_timeout_seconds)
        producer.send(settings.topic(name), encode(message), message.partition_key.encode(), [])
        producer.flush()
    finally:
        producer.close()
    return watermarks(settings, [name])[settings.topic(name), 0][1]
