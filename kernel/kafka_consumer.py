"""Membership in a consumer group whose progress is committed by hand and never jumps over a loss."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from kernel.clock import monotonic
from kernel.kafka_errors import (
    PASSING,
    BrokerUnavailable,
    CommitFailed,
    ConsumptionFailed,
    OffsetLost,
    error_of,
    text_of,
)
from kernel.kafka_offsets import Partition, low_and_high
from kernel.kafka_settings import KafkaSettings, consumer_config

Taken = tuple[Record, Partition, int]
"""A record with its partition and offset."""

_LOG = logging.getLogger(__name__)
_NOT_ASSIGNED = sys.maxsize
_RETRY_SECONDS = 0.1
_CLOSE_SECONDS = 5.0
Answer = TypeVar("Answer")
_UNSUPPORTED = (KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE)
_DENIED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._AUTHENTICATION,
    }
)
_TAKEN_AWAY = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError._ASSIGNMENT_LOST,
    }
)


class GroupConsumer:
    """Reads ``topics`` (names on the broker) as a member of ``group``.

    A record passes from `take` (read) over `finish` (its outputs are durable) to the broker's record of
    progress (committed). What another member was given meanwhile is dropped at every step.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topics: Sequence[str],
        on_error: Callable[[KafkaError], None] = lambda error: None,
    ) -> None:
        self._settings = settings
        self._group = group
        self._topics = list(topics)
        self._on_error = on_error
        self._next: dict[Partition, int] = {}
        self._taken: dict[Partition, int] = {}
        self._finished: dict[Partition, int] = {}
        self._committed: dict[Partition, int] = {}
        self._early: list[Record] = []
        self._fault: Exception | None = None
        self._paused = False
        self._joined = False
        self._consumer = self._join("classic" if settings.group_protocol == "classic" else "consumer")

    @property
    def ready(self) -> bool:
        """Whether the group has given this member its partitions."""
        return self._joined

    @property
    def committed(self) -> dict[Partition, int]:
        """Next offset of every assigned partition as the broker knows it, or where reading starts."""
        return dict(self._committed)

    @property
    def behind(self) -> dict[Partition, int]:
        """Messages not yet taken by partition, as far as the newest fetch knew."""
        lag = {}
        for (topic, number), position in self._next.items():
            _, high = self._consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
            lag[topic, number] = max(0, high - position)
        return lag

    def wait_ready(self, timeout_seconds: float) -> bool:
        """Wait for the assignment; what arrives with it is kept for `take`."""
        deadline = monotonic() + timeout_seconds
        while not self._joined and monotonic() < deadline:
            record = self._consumer.poll(0.05)
            self._raise_fault()
            if record is None:
                continue
            error = record.error()
            if error is None:
                self._early.append(record)
            else:
                self._judge(error, record)
        return self._joined

    def take(self, timeout_seconds: float) -> list[Taken]:
        """Records of the assigned partitions, each once and in order; waits for the first one only."""
        records = self._early or self._fetch(timeout_seconds)
        self._early = []
        self._raise_fault()
        taken: list[Taken] = []
        for record in records:
            error = record.error()
            if error is not None:
                self._judge(error, record)
                continue
            partition = (record.topic() or "", record.partition() or 0)
            offset = record.offset() or 0
            if offset >= self._next.get(partition, _NOT_ASSIGNED):
                self._next[partition] = self._taken[partition] = offset + 1
                taken.append((record, partition, offset))
        return taken

    def give_back(self, records: Iterable[Taken]) -> None:
        """Forget that ``records`` were taken; they come again."""
        first: dict[Partition, int] = {}
        for _, partition, offset in records:
            first.setdefault(partition, offset)
        for partition, offset in first.items():
            if partition in self._next:
                self._next[partition] = self._taken[partition] = offset
                self._consumer.seek(TopicPartition(*partition, offset))

    def finish(self) -> None:
        """Everything taken so far is done and what it caused is durable."""
        self._finished.update(self._taken)
        self._taken.clear()

    def commit(self) -> None:
        """Have the broker record what is finished; what a rebalance gets in the way of stays for the next call.

        Raises:
            CommitFailed: when the broker does not record it within the start timeout.
        """
        deadline = monotonic() + self._settings.start_timeout_seconds
        while self._finished:
            error = self._try_commit()
            if error is None:
                return
            if error.code() in _TAKEN_AWAY:
                _LOG.info("commit postponed: %s", text_of(error))
                return
            if error.code() not in PASSING or monotonic() > deadline:
                raise CommitFailed(f"group {self._group}: {text_of(error)}")
            time.sleep(_RETRY_SECONDS)

    def pause(self) -> None:
        """Stop taking anything and stay a member."""
        self._paused = True
        self._consumer.pause([TopicPartition(*partition) for partition in self._next])

    def resume(self) -> None:
        """Take again."""
        self._paused = False
        self._consumer.resume([TopicPartition(*partition) for partition in self._next])

    def close(self) -> None:
        """Leave the group without committing anything further; without a broker the group finds out by itself."""
        _within(_CLOSE_SECONDS, self._consumer.close)

    def _join(self, protocol: str) -> Consumer:
        config = consumer_config(self._settings, self._group, protocol)
        consumer = Consumer({**config, "error_cb": self._on_error, "logger": _LOG})
        if not self._topics:
            self._joined = True
            return consumer
        consumer.subscribe(self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke)
        return consumer

    def _fetch(self, timeout_seconds: float) -> list[Record]:
        # consume() with a timeout waits for a full batch, poll() for the first record only.
        first = self._consumer.poll(timeout_seconds)
        if first is None:
            return []
        more = self._settings.batch_max - 1
        return [first, *self._consumer.consume(more, 0)] if more else [first]

    def _try_commit(self) -> KafkaError | None:
        offsets = [TopicPartition(*partition, offset) for partition, offset in self._finished.items()]
        result = _within(self._settings.start_timeout_seconds, partial(_commit, self._consumer, offsets))
        if result is None:
            return KafkaError(KafkaError._TIMED_OUT)
        if isinstance(result, KafkaError):
            return result
        for done in result:
            if done.error is not None:
                return done.error
            self._committed[done.topic, done.partition] = done.offset
            self._finished.pop((done.topic, done.partition), None)
        return None

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            timeout = self._settings.start_timeout_seconds
            for known in consumer.committed(partitions, timeout=timeout):
                start = _start_of(consumer, known, timeout)
                self._next[known.topic, known.partition] = start
                self._committed[known.topic, known.partition] = start
        except KafkaException as error:
            self._fault = BrokerUnavailable(self._settings.bootstrap_servers, text_of(error_of(error)))
        except OffsetLost as error:
            self._fault = error
        else:
            consumer.incremental_assign([_at(each, self._next[each.topic, each.partition]) for each in partitions])
            if self._paused:
                consumer.pause(partitions)
            self._joined = True

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for each in partitions:
            for progress in (self._next, self._taken, self._finished, self._committed):
                progress.pop((each.topic, each.partition), None)
        self._joined = bool(self._next)

    def _judge(self, error: KafkaError, record: Record) -> None:
        code = error.code()
        if _has_no_such_groups(error) and self._settings.group_protocol == "auto":
            _LOG.warning("the broker has no KIP-848 groups (%s); joining with the classic protocol", error.str())
            self._consumer.close()
            self._consumer = self._join("classic")
        elif code == KafkaError._AUTO_OFFSET_RESET:
            topic, number = record.topic() or "", record.partition() or 0
            low, high = low_and_high(self._consumer, (topic, number), self._settings.start_timeout_seconds)
            raise OffsetLost(topic, number, self._next.get((topic, number), -1), low, high)
        elif code == KafkaError._FATAL or code in _DENIED:
            raise ConsumptionFailed(f"group {self._group}: {text_of(error)}")
        else:
            _LOG.warning("reading: %s", text_of(error))

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault


def _commit(consumer: Consumer, offsets: list[TopicPartition]) -> list[TopicPartition] | KafkaError:
    try:
        return consumer.commit(offsets=offsets, asynchronous=False)
    except KafkaException as error:
        return error_of(error)


def _within(seconds: float, call: Callable[[], Answer]) -> Answer | None:
    """What ``call`` returns, or None when it takes longer.

    The client waits 45 s for a lost coordinator and cannot be told otherwise.
    """
    answer: SimpleQueue[Answer] = SimpleQueue()
    Thread(target=lambda: answer.put(call()), daemon=True).start()
    try:
        return answer.get(timeout=seconds)
    except Empty:
        return None


def _has_no_such_groups(error: KafkaError) -> bool:
    """Whether the broker knows no KIP-848 groups; the client tells the cause of a fatal error in its text only."""
    return error.code() == KafkaError._FATAL and any(KafkaError(code).str() in error.str() for code in _UNSUPPORTED)


def _start_of(consumer: Consumer, known: TopicPartition, timeout: float) -> int:
    if known.error is not None:
        raise KafkaException(known.error)
    low, high = low_and_high(consumer, (known.topic, known.partition), timeout)
    if known.offset == OFFSET_INVALID:
        return low
    if not low <= known.offset <= high:
        raise OffsetLost(known.topic, known.partition, known.offset, low, high)
    return known.offset


def _at(partition: TopicPartition, offset: int) -> TopicPartition:
    return TopicPartition(partition.topic, partition.partition, offset)
