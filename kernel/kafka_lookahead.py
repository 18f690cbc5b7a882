"""Read a topic beside its group, so that what cannot wait is known before its turn comes."""

import logging
from collections.abc import Sequence
from typing import Generic, TypeVar

from confluent_kafka import Consumer, TopicPartition

from contracts.base import Message
from contracts.codec import ContractViolation, decode
from contracts.topics import TOPIC_OF
from kernel.kafka_offsets import watermarks
from kernel.kafka_settings import KafkaSettings, reader_config

_LOG = logging.getLogger(__name__)
_FETCH_WAIT_MS = 100
_Kind = TypeVar("_Kind", bound=Message)


class LookAhead(Generic[_Kind]):
    """Messages of one ``kind`` that were appended since this was made, in the order of their log.

    A group handles records as they were fetched, so that one of an urgent topic waits behind all that came before it,
    thousands of records, and behind the batch in hand. The group hears what is read here again in its turn: this is
    for commands that change nothing when they are repeated.

    Raises:
        BrokerUnavailable: when no broker answers.
    """

    def __init__(self, settings: KafkaSettings, kind: type[_Kind]) -> None:
        self._kind = kind
        ends = watermarks(settings, [TOPIC_OF[kind].name])
        self._consumer = Consumer(
            {
                **reader_config(settings, settings.group("ahead")),
                "auto.offset.reset": "earliest",  # what is trimmed away is the group's matter
                "fetch.wait.max.ms": _FETCH_WAIT_MS,
                "logger": _LOG,
            }
        )
        self._consumer.assign([TopicPartition(*partition, high) for partition, (_, high) in ends.items()])

    def read(self) -> Sequence[_Kind]:
        """What has arrived since the last call; never waits, and passes over what is no such message."""
        found: list[_Kind] = []
        while (record := self._consumer.poll(0)) is not None:
            if record.error() is not None:  # the group meets the same and judges it
                continue
            try:
                message = decode(record.value() or b"", TOPIC_OF[self._kind].messages)
            except ContractViolation:
                continue
            if isinstance(message, self._kind):
                found.append(message)
        return found

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()
