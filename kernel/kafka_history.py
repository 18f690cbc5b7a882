"""Read logs again from their beginning, in the order in which things were said, to rebuild a state."""

import heapq
import logging
from collections import deque
from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka import Message as Record

from contracts.topics import TOPICS, Topic
from kernel.clock import monotonic
from kernel.kafka_errors import PASSING, BrokerUnavailable, ConsumptionFailed, HistoryLost, text_of
from kernel.kafka_offsets import Partition, committed_offsets, watermarks
from kernel.kafka_settings import KafkaSettings, reader_config

_LOG = logging.getLogger(__name__)
_BUFFERED = 5_000
_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of the logs of its inputs a plane reads again.

    ``newest`` keeps to so many of the newest records of each partition, but for topics named in ``whole``; ``to_end``
    goes beyond what the plane has handled, to the ends of the logs.
    """

    newest: int | None = None
    to_end: bool = False
    whole: frozenset[str] = frozenset()


WHOLE = Span()
"""All that was handled, from the beginning."""


def ranges_of(
    settings: KafkaSettings, group: str, topics: Collection[Topic], own: Container[str], span: Span
) -> dict[Partition, tuple[int, int]]:
    """First offset and one past the last to read of each partition of ``topics``, in the order of the table.

    Topics named in ``own`` (on the broker) are read to the end, the others as ``span`` and the progress of ``group``
    say.

    Raises:
        BrokerUnavailable: when no broker answers.
        HistoryLost: when all is wanted of a topic that a state is rebuilt from, and its beginning is gone.
    """
    names = {settings.topic(topic.name): topic for topic in TOPICS.values() if topic in topics}
    marks = watermarks(settings, [topic.name for topic in names.values()])
    committed = committed_offsets(settings, group, [each for each in marks if each[0] not in own])
    ranges = {}
    for partition, (low, high) in marks.items():
        if low and names[partition[0]].rebuilds and span.newest is None:
            raise HistoryLost(*partition, low)
        end = high if span.to_end or partition[0] in own else committed.get(partition, low)
        whole = span.newest is None or names[partition[0]].name in span.whole
        ranges[partition] = (low if whole else max(low, end - (span.newest or 0)), end)
    return ranges


@dataclass(slots=True)
class _Log:
    """One partition read from its oldest record up to ``end``."""

    rank: int
    end: int
    buffer: deque[Record] = field(default_factory=deque)
    complete: bool = False
    paused: bool = False


def read_logs(settings: KafkaSettings, ranges: Mapping[Partition, tuple[int, int]]) -> Iterator[Record]:
    """Records of ``ranges`` (first offset, one past the last; names on the broker), merged by time.

    Within a partition the order is the log's; between partitions the records' timestamps decide, and equal
    ones follow the order of ``ranges``. At most a few thousand records of each partition are in memory.

    Raises:
        BrokerUnavailable: when nothing arrives for the start timeout.
    """
    logs = {partition: _Log(rank, end) for rank, (partition, (start, end)) in enumerate(ranges.items()) if end > start}
    consumer = Consumer(
        {**reader_config(settings, settings.group("history")), "enable.partition.eof": True, "logger": _LOG}
    )
    try:
        consumer.assign([TopicPartition(*partition, ranges[partition][0]) for partition in logs])
        yield from _merged(consumer, logs, settings)
    finally:
        consumer.close()


def _merged(consumer: Consumer, logs: dict[Partition, _Log], settings: KafkaSettings) -> Iterator[Record]:
    heads: list[tuple[int, int, Partition]] = []
    waiting = set(logs)
    while True:
        _fill(consumer, logs, waiting, settings)
        heads += [_head(partition, logs[partition]) for partition in waiting if logs[partition].buffer]
        heapq.heapify(heads)
        waiting = set()
        while heads and not waiting:
            partition = heapq.heappop(heads)[2]
            log = logs[partition]
            yield log.buffer.popleft()
            if log.buffer:
                heapq.heappush(heads, _head(partition, log))
            elif not log.complete:
                waiting.add(partition)
        if not waiting:
            return


def _head(partition: Partition, log: _Log) -> tuple[int, int, Partition]:
    return log.buffer[0].timestamp()[1], log.rank, partition


def _fill(consumer: Consumer, logs: dict[Partition, _Log], waiting: set[Partition], settings: KafkaSettings) -> None:
    """Read until each of ``waiting`` has a record or is complete."""
    deadline = monotonic() + settings.start_timeout_seconds
    while any(not logs[partition].buffer and not logs[partition].complete for partition in waiting):
        _let_flow(consumer, logs)
        first = consumer.poll(0.2)
        records = [] if first is None else [first, *consumer.consume(_CHUNK, 0)]
        for record in records:
            _take(logs, record)
        if records:
            deadline = monotonic() + settings.start_timeout_seconds
        elif monotonic() > deadline:
            raise BrokerUnavailable(settings.bootstrap_servers, "it sends nothing of a log that has more")


def _let_flow(consumer: Consumer, logs: dict[Partition, _Log]) -> None:
    for partition, log in logs.items():
        stop = log.complete or len(log.buffer) >= _BUFFERED
        if stop != log.paused:
            log.paused = stop
            (consumer.pause if stop else consumer.resume)([TopicPartition(*partition)])


def _take(logs: dict[Partition, _Log], record: Record) -> None:
    error = record.error()
    log = logs.get((record.topic() or "", record.partition() or 0))
    if error is not None:
        if log is not None and error.code() == error._PARTITION_EOF:
            log.complete = True
        elif error.code() not in PASSING:
            raise ConsumptionFailed(f"history: {text_of(error)}")
        return
    if log is None or log.complete:
        return
    offset = record.offset() or 0
    if offset < log.end:
        log.buffer.append(record)
    log.complete = offset >= log.end - 1
