"""How far logs reach and how far a group has read them."""

import logging
import time
from collections.abc import Iterable, Mapping

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition

from kernel.clock import monotonic
from kernel.kafka_errors import PASSING, BrokerUnavailable, OffsetLost, error_of, text_of
from kernel.kafka_settings import KafkaSettings, reader_config

Partition = tuple[str, int]
"""Topic on the broker and partition number."""

OFFSET_UNKNOWN = -1
"""A record was acknowledged without its offset."""
_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 0.05


def low_and_high(consumer: Consumer, partition: Partition, timeout_seconds: float) -> tuple[int, int]:
    """Oldest offset of a partition and one past its newest; waits while a leader is being elected.

    Raises:
        KafkaException: when the broker does not say within ``timeout_seconds``.
    """
    deadline = monotonic() + timeout_seconds
    while True:
        try:
            return consumer.get_watermark_offsets(TopicPartition(*partition), timeout=timeout_seconds)
        except KafkaException as error:
            if error_of(error).code() not in PASSING or monotonic() > deadline:
                raise
        time.sleep(_RETRY_SECONDS)


def start_of(consumer: Consumer, known: TopicPartition, timeout_seconds: float) -> int:
    """Where a group that committed ``known`` reads on, which is the oldest offset when it never committed any.

    Raises:
        KafkaException: when the broker does not say within ``timeout_seconds``.
        OffsetLost: when the log no longer reaches that far, or not yet.
    """
    if known.error is not None:
        raise KafkaException(known.error)
    low, high = low_and_high(consumer, (known.topic, known.partition), timeout_seconds)
    if known.offset == OFFSET_INVALID:
        return low
    if not low <= known.offset <= high:
        raise OffsetLost(known.topic, known.partition, known.offset, low, high)
    return known.offset


def watermarks(settings: KafkaSettings, names: Iterable[str]) -> dict[Partition, tuple[int, int]]:
    """Oldest offset and one past the newest of every partition of topics ``names`` (names in the table).

    Raises:
        BrokerUnavailable: when no broker answers.
    """
    timeout = settings.start_timeout_seconds
    consumer = Consumer({**reader_config(settings, settings.group("reader")), "logger": _LOG})
    try:
        known = consumer.list_topics(timeout=timeout).topics
        return {
            (topic, partition): low_and_high(consumer, (topic, partition), timeout)
            for topic in map(settings.topic, names)
            for partition in sorted(known[topic].partitions)
        }
    except KafkaException as error:
        raise BrokerUnavailable(settings.bootstrap_servers, text_of(error_of(error))) from None
    finally:
        consumer.close()


def committed_offsets(settings: KafkaSettings, group: str, partitions: Iterable[Partition]) -> dict[Partition, int]:
    """The next offset ``group`` will read of each of ``partitions``; absent where it never committed.

    Raises:
        BrokerUnavailable: when no broker answers.
    """
    consumer = Consumer({**reader_config(settings, group), "logger": _LOG})
    try:
        asked = [TopicPartition(*partition) for partition in partitions]
        known = consumer.committed(asked, timeout=settings.start_timeout_seconds) if asked else []
    except KafkaException as error:
        raise BrokerUnavailable(settings.bootstrap_servers, text_of(error_of(error))) from None
    finally:
        consumer.close()
    return {(each.topic, each.partition): each.offset for each in known if each.offset >= 0}


class LogEnds:
    """One past the newest durable offset of every partition of topics ``names``, kept up to date by deliveries.

    Raises:
        BrokerUnavailable: when no broker answers.
    """

    def __init__(self, settings: KafkaSettings, names: Iterable[str]) -> None:
        self._settings = settings
        self._names = frozenset(names)
        self._ends = self._read()

    def delivered(self, topic: str, partition: int, offset: int) -> None:
        """A record was acknowledged."""
        if (topic, partition) in self._ends:
            self._ends[topic, partition] = offset + 1 if offset >= 0 else OFFSET_UNKNOWN

    def known(self) -> Mapping[Partition, int]:
        """The ends; asks the broker where an acknowledgement did not say."""
        if any(end == OFFSET_UNKNOWN for end in self._ends.values()):
            self._ends = self._read()
        return self._ends

    def _read(self) -> dict[Partition, int]:
        return {partition: high for partition, (_, high) in watermarks(self._settings, self._names).items()}
