"""Read a topic beside its group, so that what cannot wait is known before its turn comes."""

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from confluent_kafka import Message as Record

from contracts.base import Message
from contracts.codec import ContractViolation, decode
from contracts.topics import TOPIC_OF
from kernel.kafka_offsets import watermarks
from kernel.kafka_settings import KafkaSettings
from kernel.kafka_tail import Tail

_Kind = TypeVar("_Kind", bound=Message)


class LookAhead(Generic[_Kind]):
    """Messages of one ``kind`` that were appended since this was made, in the order of their log.

    A group handles records as they were fetched, so that one of an urgent topic waits behind all that came before it,
    thousands of records, and behind the batch in hand. The group hears what is read here again in its turn: this is
    for commands that change nothing when they are repeated. `arrived` is to be called often, so that a pause of the
    process is noticed.

    Raises:
        BrokerUnavailable: when no broker answers.
    """

    def __init__(self, settings: KafkaSettings, kind: type[_Kind]) -> None:
        self._kind = kind
        ends = watermarks(settings, [TOPIC_OF[kind].name])
        self._tail = Tail(settings, "ahead", {partition: high for partition, (_, high) in ends.items()})
        self.close = self._tail.close

    def read(self) -> Sequence[_Kind]:
        """What has arrived since the last call; passes over what is no such message, and waits only after a pause.

        Raises:
            BrokerUnavailable: when no broker tells what was appended in a pause.
        """
        return self._among(self._tail.read())

    def arrived(self) -> Sequence[_Kind]:
        """What is here already; never waits, and is no `read` after a pause."""
        return self._among(self._tail.arrived())

    def _among(self, records: Iterable[Record]) -> list[_Kind]:
        found: list[_Kind] = []
        for record in records:
            try:
                message = decode(record.value() or b"", TOPIC_OF[self._kind].messages)
            except ContractViolation:
                continue
            if isinstance(message, self._kind):
                found.append(message)
        return found
