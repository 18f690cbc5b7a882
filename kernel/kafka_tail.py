"""The end of some logs, followed beside any group."""

import logging
from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from kernel.clock import monotonic, since_boot
from kernel.kafka_errors import BrokerUnavailable, error_of, text_of
from kernel.kafka_offsets import Partition, low_and_high
from kernel.kafka_settings import KafkaSettings, reader_config

_LOG = logging.getLogger(__name__)
_FETCH_WAIT_MS = 100
_PAUSE_SECONDS = 1.0
"""Who was away for so long was stopped, or the host was, and with it what fetches for it in the background."""
_POLL_SECONDS = 0.1


class Tail:
    """Records of some partitions from the offsets ``starts`` on, fetched in the background.

    `turn` is to be called often, so that a pause of the process is noticed.
    """

    def __init__(self, settings: KafkaSettings, group: str, starts: Mapping[Partition, int]) -> None:
        self._settings = settings
        self._next = dict(starts)
        self._found: list[Record] = []
        self._consumer = Consumer(
            {
                **reader_config(settings, settings.group(group)),
                "auto.offset.reset": "earliest",  # what is trimmed away is for the caller to judge
                "fetch.wait.max.ms": _FETCH_WAIT_MS,
                "logger": _LOG,
            }
        )
        self._consumer.assign([TopicPartition(*partition, offset) for partition, offset in starts.items()])
        self._turned_at, self._behind = since_boot(), False

    def turn(self) -> None:
        """The process goes on; when it was away, `read` will wait for what was appended meanwhile."""
        now = since_boot()
        if now - self._turned_at > _PAUSE_SECONDS:
            self._behind = True
        self._turned_at = now

    def read(self, *, wait: bool = False, patience_seconds: float | None = None) -> Sequence[Record]:
        """What was not read before; of all that the logs hold by now after a pause, or with ``wait``.

        Raises:
            BrokerUnavailable: when no broker tells in time what was appended; what was read until then is not lost.
        """
        self.turn()
        if self._behind or wait:
            self._catch_up(patience_seconds or self._settings.start_timeout_seconds)
            self._behind = False
        return self.arrived()

    def arrived(self) -> list[Record]:
        """What was not read before and is here already; never waits, and is no `read` after a pause."""
        self.turn()
        while (record := self._consumer.poll(0)) is not None:
            self._take(record)
        found, self._found = self._found, []
        return found

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()

    def _catch_up(self, patience: float) -> None:
        deadline = monotonic() + patience
        try:
            ends = {each: low_and_high(self._consumer, each, patience) for each in self._next}
        except KafkaException as error:
            raise BrokerUnavailable(self._settings.bootstrap_servers, text_of(error_of(error))) from None
        while any(max(low, self._next[each]) < high for each, (low, high) in ends.items()):
            record = self._consumer.poll(_POLL_SECONDS)
            if record is not None:
                self._take(record)
            if monotonic() > deadline:
                raise BrokerUnavailable(self._settings.bootstrap_servers, "what a pause has missed cannot be read")

    def _take(self, record: Record) -> None:
        if record.error() is None:  # an error is met by the group, too, which judges it
            self._next[record.topic() or "", record.partition() or 0] = (record.offset() or 0) + 1
            self._found.append(record)
