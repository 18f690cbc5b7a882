"""Records of the topics of the table, as what their contracts say they are."""

from collections.abc import Container, Iterable, Iterator

from confluent_kafka import Message as Record

from contracts.base import Message
from contracts.codec import ContractViolation, FieldError, decode
from contracts.topics import TOPICS, Topic
from kernel.dead_letter_writer import RecordHeaders
from kernel.kafka_offsets import Partition
from kernel.kafka_settings import KafkaSettings
from kernel.ports import Received


class Decoder:
    """Knows which messages each topic on the broker accepts."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._topics = {settings.topic(name): topic for name, topic in TOPICS.items()}

    def topic(self, partition: Partition) -> Topic:
        """What ``partition`` is one of."""
        return self._topics[partition[0]]

    def received(self, record: Record, partition: Partition, offset: int) -> Received | FieldError:
        """The message in ``record``, or the first thing that is wrong with it."""
        topic = self._topics[partition[0]]
        raw = record.value() or b""
        try:
            message = decode(raw, topic.messages)
        except ContractViolation as violation:
            return violation.first
        written = max(0, record.timestamp()[1])
        return Received(message, topic.name, partition[1], offset, raw, record.key(), RecordHeaders(record), written)

    def messages(self, records: Iterable[Record], kinds: Container[type[Message]]) -> Iterator[Received]:
        """Those of ``records`` that are messages of ``kinds``; what cannot be decoded is passed over."""
        for record in records:
            received = self.received(record, (record.topic() or "", record.partition() or 0), record.offset() or 0)
            if isinstance(received, Received) and type(received.message) in kinds:
                yield received
