"""Read a topic beside its group, so that what cannot wait is known before its turn comes."""

import logging
from collections.abc import Sequence
from typing import Generic, TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from contracts.base import Message
from contracts.codec import ContractViolation, decode
from contracts.topics import TOPIC_OF
from kernel.clock import monotonic
from kernel.kafka_errors import BrokerUnavailable, error_of, text_of
from kernel.kafka_offsets import low_and_high, watermarks
from kernel.kafka_settings import KafkaSettings, reader_config

_LOG = logging.getLogger(__name__)
_FETCH_WAIT_MS = 100
_PAUSE_SECONDS = 1.0
"""Who was away for so long was stopped, or the host was, and with it what fetches for it in the background."""
_POLL_SECONDS = 0.1
_Kind = TypeVar("_Kind", bound=Message)


class LookAhead(Generic[_Kind]):
    """Messages of one ``kind`` that were appended since this was made, in the order of their log.

    A group handles records as they were fetched, so that one of an urgent topic waits behind all that came before it,
    thousands of records, and behind the batch in hand. The group hears what is read here again in its turn: this is
    for commands that change nothing when they are repeated. `turn` is to be called often, so that a pause of the
    process is noticed.

    Raises:
        BrokerUnavailable: when no broker answers.
    """

    def __init__(self, settings: KafkaSettings, kind: type[_Kind]) -> None:
        self._kind = kind
        self._settings = settings
        ends = watermarks(settings, [TOPIC_OF[kind].name])
        self._consumer = Consumer(
            {
                **reader_config(settings, settings.group("ahead")),
                "auto.offset.reset": "earliest",  # what is trimmed away is the group's matter
                "fetch.wait.max.ms": _FETCH_WAIT_MS,
                "logger": _LOG,
            }
        )
        self._next = {partition: high for partition, (_, high) in ends.items()}
        self._consumer.assign([TopicPartition(*partition, high) for partition, high in self._next.items()])
        self._turned_at, self._behind = monotonic(), False

    def turn(self) -> None:
        """The process goes on; when it was away, `read` will wait for what was appended meanwhile."""
        now = monotonic()
        if now - self._turned_at > _PAUSE_SECONDS:
            self._behind = True
        self._turned_at = now

    def read(self) -> Sequence[_Kind]:
        """What has arrived since the last call; passes over what is no such message, and waits only after a pause.

        Raises:
            BrokerUnavailable: when no broker tells what was appended in a pause.
        """
        self.turn()
        found: list[_Kind] = []
        if self._behind:
            self._catch_up(found)
            self._behind = False
        while (record := self._consumer.poll(0)) is not None:
            self._take(record, found)
        return found

    def _catch_up(self, found: list[_Kind]) -> None:
        """Read all that the log holds by now."""
        patience = self._settings.start_timeout_seconds
        deadline = monotonic() + patience
        try:
            ends = {each: low_and_high(self._consumer, each, patience) for each in self._next}
        except KafkaException as error:
            raise BrokerUnavailable(self._settings.bootstrap_servers, text_of(error_of(error))) from None
        while any(max(low, self._next[each]) < high for each, (low, high) in ends.items()):
            record = self._consumer.poll(_POLL_SECONDS)
            if record is not None:
                self._take(record, found)
            if monotonic() > deadline:
                raise BrokerUnavailable(self._settings.bootstrap_servers, "commands of a pause cannot be read")

    def _take(self, record: Record, found: list[_Kind]) -> None:
        if record.error() is not None:  # the group meets the same and judges it
            return
        self._next[record.topic() or "", record.partition() or 0] = (record.offset() or 0) + 1
        try:
            message = decode(record.value() or b"", TOPIC_OF[self._kind].messages)
        except ContractViolation:
            return
        if isinstance(message, self._kind):
            found.append(message)

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()
