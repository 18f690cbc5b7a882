"""Membership in a consumer group whose progress is committed by hand and never jumps over a loss."""

import logging
import sys
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from threading import Thread

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from kernel.clock import monotonic
from kernel.kafka_errors import (
    DENIED,
    BrokerUnavailable,
    ConsumptionFailed,
    OffsetLost,
    StateBehind,
    error_of,
    has_no_such_groups,
    text_of,
)
from kernel.kafka_offsets import Partition, low_and_high, start_of
from kernel.kafka_progress import Progress
from kernel.kafka_settings import KafkaSettings, consumer_config

Taken = tuple[Record, Partition, int]
"""A record with its partition and offset."""

_LOG = logging.getLogger(__name__)
_NOT_ASSIGNED = sys.maxsize
_CLOSE_SECONDS = 5.0
_ANSWER_SECONDS = 0.0002
"""How often an awaited answer is looked for; the client's own shortest wait is five times as long."""


class GroupConsumer:
    """Reads ``topics`` (names on the broker) as a member of ``group``.

    A record passes from `take` (read) over `hand_over` (handled) and `finish` (its outputs are durable) to the
    broker's record of progress (committed). What another member was given meanwhile is dropped at every step.
    Topics of ``never_paused`` flow whatever happens to the others.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topics: Sequence[str],
        on_error: Callable[[KafkaError], None] = lambda error: None,
        on_assigned: Callable[[], None] = lambda: None,
        never_paused: Container[str] = (),
    ) -> None:
        self._settings = settings
        self._group = group
        self._topics = list(topics)
        self._on_error = on_error
        self._on_assigned = on_assigned
        self._never_paused = never_paused
        self._next: dict[Partition, int] = {}
        self._taken: dict[Partition, int] = {}
        self._progress = Progress(group, settings.start_timeout_seconds)
        self._known: dict[Partition, int] | None = None
        self._early: list[Record] = []
        self._fault: Exception | None = None
        self._voice = logging.Logger(_LOG.name)  # noqa: LOG001 - this one is silenced with its consumer
        self._voice.parent = _LOG
        self._paused = False
        self._joined = False
        self._leaving = False
        self._consumer = self._join("classic" if settings.group_protocol == "classic" else "consumer")

    @property
    def ready(self) -> bool:
        """Whether the group has given this member its partitions."""
        return self._joined

    @property
    def committed(self) -> dict[Partition, int]:
        """Next offset of every assigned partition as the broker knows it, or where reading starts."""
        return dict(self._progress.committed)

    @property
    def recording(self) -> bool:
        """Whether something finished is not known to be recorded yet."""
        return self._progress.pending

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

    def restored(self, ends: Mapping[Partition, int]) -> None:
        """The state of this process holds everything before ``ends``; being assigned a later start is a fault then."""
        self._known = dict(ends)

    def give_back(self, records: Iterable[Taken]) -> None:
        """Forget that ``records`` were taken; they come again."""
        first: dict[Partition, int] = {}
        for _, partition, offset in records:
            first.setdefault(partition, offset)
        self._forget_early(first)
        for partition, offset in first.items():
            if partition in self._next:
                self._next[partition] = self._taken[partition] = offset
                self._consumer.seek(TopicPartition(*partition, offset))

    def hand_over(self) -> dict[Partition, int]:
        """Next offset of every partition of which something was taken since the last call: all of it is handled."""
        handled, self._taken = self._taken, {}
        return handled

    def finish(self, handled: Mapping[Partition, int]) -> None:
        """What the records before the offsets ``handled`` have caused is durable."""
        self._progress.finish(handled)

    def commit_soon(self) -> None:
        """Ask the broker to record what is finished and do not wait for its answer, which comes while reading.

        Raises:
            CommitFailed: when the broker did not record an earlier one, or does not answer within the start timeout.
        """
        self._raise_fault()
        self._progress.ask(lambda offsets: self._consumer.commit(offsets=offsets, asynchronous=True))

    def commit(self) -> None:
        """Have the broker record what is finished; what a rebalance gets in the way of stays for the next call.

        Raises:
            CommitFailed: when the broker does not record it within the start timeout.
        """
        self.commit_soon()
        while self._progress.pending and not self._progress.postponed:
            record = self._consumer.poll(0)
            if record is not None:
                self._early.append(record)
            time.sleep(_ANSWER_SECONDS)
            self.commit_soon()
        self.commit_soon()

    def pause(self) -> None:
        """Stop taking anything of topics that may be paused, and stay a member."""
        self._paused = True
        self._consumer.pause(self._pausable(self._next))

    def resume(self) -> None:
        """Take again."""
        self._paused = False
        self._consumer.resume(self._pausable(self._next))

    def close(self) -> None:
        """Leave the group without committing anything further; without a broker the group finds out by itself."""
        if self._leaving:
            return
        self._leaving = True
        self._let_go()
        closing = Thread(target=self._consumer.close, daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)
        self._voice.disabled = True  # whoever still waits for a dead broker has nothing more to tell

    def _let_go(self) -> None:
        """Leave nothing that `Consumer.close` would call back for.

        Of an assignment nobody has answered yet it asks and takes back at once, takes the first answer for both and
        may end its thread before the second: that answer is then waited for without end, with the interpreter's lock
        held.
        """
        with suppress(KafkaException):
            self._consumer.unsubscribe()
            while self._consumer.poll(0) is not None:
                pass

    def _join(self, protocol: str) -> Consumer:
        config = consumer_config(self._settings, self._group, protocol)
        consumer = Consumer(
            {**config, "error_cb": self._on_error, "on_commit": self._progress.answered, "logger": self._voice}
        )
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

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        starts = partitions
        try:
            if not self._leaving:
                starts = self._starts(consumer, partitions)
        except KafkaException as error:
            self._fault = BrokerUnavailable(self._settings.bootstrap_servers, text_of(error_of(error)))
        except (OffsetLost, StateBehind) as error:
            self._fault = error
        consumer.incremental_assign(starts)  # whatever is wrong: a member that gives no answer may not be able to leave
        if self._paused:
            consumer.pause(self._pausable((each.topic, each.partition) for each in partitions))
        self._joined = True
        self._on_assigned()

    def _starts(self, consumer: Consumer, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Where to read on in newly assigned ``partitions``, of which only now anything may be taken."""
        timeout = self._settings.start_timeout_seconds
        starts = []
        for known in consumer.committed(partitions, timeout=timeout):
            start = start_of(consumer, known, timeout)
            self._refuse_gap((known.topic, known.partition), start)
            self._next[known.topic, known.partition] = start
            self._progress.assign((known.topic, known.partition), start)
            starts.append(TopicPartition(known.topic, known.partition, start))
        return starts

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        gone = [(each.topic, each.partition) for each in partitions]
        self._forget_early(gone)
        for partition in gone:
            if self._known is not None and partition in self._next:
                self._known[partition] = max(self._next[partition], self._known.get(partition, 0))
            self._next.pop(partition, None)
            self._taken.pop(partition, None)
            self._progress.revoke(partition)
        self._joined = bool(self._next)

    def _refuse_gap(self, partition: Partition, start: int) -> None:
        """Another member of the group handled messages that the state of this process does not hold."""
        if self._known is not None and start > self._known.get(partition, start):
            raise StateBehind(*partition, self._known[partition], start)

    def _forget_early(self, partitions: Container[Partition]) -> None:
        """What was read ahead of partitions that are read anew must not hide what comes before it."""
        self._early = [each for each in self._early if (each.topic() or "", each.partition() or 0) not in partitions]

    def _pausable(self, partitions: Iterable[Partition]) -> list[TopicPartition]:
        return [TopicPartition(*each) for each in partitions if each[0] not in self._never_paused]

    def _judge(self, error: KafkaError, record: Record) -> None:
        code = error.code()
        if has_no_such_groups(error) and self._settings.group_protocol == "auto":
            _LOG.warning("the broker has no KIP-848 groups (%s); joining with the classic protocol", error.str())
            self._consumer.close()
            self._consumer = self._join("classic")
        elif code == KafkaError._AUTO_OFFSET_RESET:
            topic, number = record.topic() or "", record.partition() or 0
            low, high = low_and_high(self._consumer, (topic, number), self._settings.start_timeout_seconds)
            raise OffsetLost(topic, number, self._next.get((topic, number), -1), low, high)
        elif code == KafkaError._FATAL or code in DENIED:
            raise ConsumptionFailed(f"group {self._group}: {text_of(error)}")
        else:
            _LOG.warning("reading: %s", text_of(error))

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault
