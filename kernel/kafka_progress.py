"""How far a member of a group is done with its partitions, and how far the broker has recorded it."""

import logging
import sys
from collections.abc import Callable, Mapping

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from kernel.clock import monotonic
from kernel.kafka_errors import PASSING, CommitFailed, error_of, text_of
from kernel.kafka_offsets import Partition

Ask = Callable[[list[TopicPartition]], None]
"""Sends offsets to the broker; its answer comes later."""

_LOG = logging.getLogger(__name__)
_NOT_ASSIGNED = sys.maxsize
_RETRY_SECONDS = 0.1
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


class Progress:
    """Offsets of the partitions assigned to a member of ``group``: finished, asked to be recorded, committed.

    One question to the broker is under way at a time, and no offset ever goes back. An error that may pass is
    asked again for ``patience_seconds``; what a rebalance gets in the way of is asked again after it, if the
    partition is still there.
    """

    def __init__(self, group: str, patience_seconds: float) -> None:
        self._group = group
        self._patience_seconds = patience_seconds
        self._finished: dict[Partition, int] = {}
        self._asked_at: float | None = None
        self._failing_since: float | None = None
        self._retry_at = 0.0
        self._fault: CommitFailed | None = None
        self.committed: dict[Partition, int] = {}
        """Next offset of every assigned partition as the broker knows it, or where reading starts."""

    @property
    def pending(self) -> bool:
        """Whether anything finished is not known to be recorded."""
        return bool(self._finished) or self._asked_at is not None

    @property
    def postponed(self) -> bool:
        """Whether a rebalance is in the way of what is pending."""
        return self._asked_at is None and self._failing_since is None and self._retry_at > monotonic()

    def assign(self, partition: Partition, start: int) -> None:
        """A partition is given to this member, which reads it from ``start``."""
        self.committed[partition] = start

    def revoke(self, partition: Partition) -> None:
        """A partition is taken away, with all that is known of it."""
        self.committed.pop(partition, None)
        self._finished.pop(partition, None)

    def finish(self, handled: Mapping[Partition, int]) -> None:
        """Everything before the offsets ``handled`` is done; partitions that are no longer assigned are passed over."""
        finished, committed = self._finished, self.committed
        for partition, offset in handled.items():
            if offset > max(committed.get(partition, _NOT_ASSIGNED), finished.get(partition, 0)):
                finished[partition] = offset

    def ask(self, commit: Ask) -> None:
        """Have what is finished recorded, unless an answer is still awaited.

        Raises:
            CommitFailed: when an earlier question failed for good, or is not answered in time.
        """
        if self._fault is not None:
            raise self._fault
        now = monotonic()
        if self._asked_at is not None:
            if now - self._asked_at > self._patience_seconds:
                raise CommitFailed(f"group {self._group}: the broker does not answer")
        elif self._finished and now >= self._retry_at:
            self._asked_at = now
            try:
                commit([TopicPartition(*partition, offset) for partition, offset in self._finished.items()])
            except KafkaException as error:
                self.answered(error_of(error), [])

    def answered(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        """Take in the broker's answer."""
        self._asked_at = None
        self._retry_at = 0.0
        for each in offsets if error is None else ():
            if each.error is not None:
                error = each.error
            else:
                self._recorded((each.topic, each.partition), each.offset)
        if error is None:
            self._failing_since = None
        else:
            self._not_recorded(error)

    def _recorded(self, partition: Partition, offset: int) -> None:
        if offset > self.committed.get(partition, _NOT_ASSIGNED):
            self.committed[partition] = offset
        if self._finished.get(partition, _NOT_ASSIGNED) <= offset:
            del self._finished[partition]

    def _not_recorded(self, error: KafkaError) -> None:
        now = monotonic()
        self._retry_at = now + _RETRY_SECONDS
        if error.code() in _TAKEN_AWAY:
            self._failing_since = None
            _LOG.info("commit postponed: %s", text_of(error))
            return
        self._failing_since = self._failing_since or now
        overdue = now - self._failing_since > self._patience_seconds
        if error.code() not in PASSING or overdue:
            self._fault = CommitFailed(f"group {self._group}: {text_of(error)}")
