"""The bus of a process over Kafka: validated both ways, outputs first, offsets last."""

import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from contracts.base import Message
from contracts.codec import FieldError
from contracts.control import PartitionOffsets
from contracts.topics import TOPIC_OF
from kernel.broker_watch import BrokerWatch
from kernel.clock import SystemClock
from kernel.dead_letter_writer import DeadLetterWriter, schema_name, source_of
from kernel.kafka_admin import check_topics
from kernel.kafka_consumer import GroupConsumer, Taken
from kernel.kafka_decoding import Decoder
from kernel.kafka_history import WHOLE, Span, ranges_of, read_logs
from kernel.kafka_offsets import LogEnds, Partition
from kernel.kafka_others import Listener, Others
from kernel.kafka_outstanding import Outstanding
from kernel.kafka_producer import DurableProducer
from kernel.kafka_publishing import NEWEST_COUNTS, Publisher
from kernel.kafka_settings import KafkaSettings, application_version
from kernel.ports import Clock, Received
from kernel.storm_breaker import StormBreaker
from kernel.tracing import Traces

_LOG = logging.getLogger(__name__)
NEVER_PAUSED = "control"
"""The topic of the kill switch flows whatever is wrong with the others."""


class KafkaBus:
    """A plane's `Bus` over Kafka.

    ``inputs`` are the messages to consume (other messages of their topics are validated and passed over), ``outputs``
    those whose ends are to be known. The group is named after ``plane``. ``stamp`` has the last word on every message
    that is published.

    What handling leads to leaves at once and more is handled while it is on its way. Progress is recorded behind
    it, at most once every ``commit_delay_ms``; with a delay of 0 each batch before the next is read.

    A storm of dead letters pauses consumption of everything but ``control``: the process stays alive and a member
    of its group, `storm` says why, `ready` is False, and `resume` or a restart goes on.

    Raises:
        BrokerUnavailable: from the constructor when no broker answers.
        TopicMismatch: from the constructor when a topic is missing or misshapen.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        plane: str,
        inputs: Iterable[type[Message]],
        outputs: Iterable[type[Message]] = (),
        *,
        clock: Clock | None = None,
        breaker: StormBreaker | None = None,
        app_version: str | None = None,
        stamp: Callable[[Message], Message] = lambda message: message,
    ) -> None:
        self._settings = settings
        self._inputs = frozenset(inputs)
        self._outputs = frozenset(outputs)
        self._breaker = breaker or StormBreaker()
        self._decoder = Decoder(settings)
        self._names = {message: settings.topic(topic.name) for message, topic in TOPIC_OF.items()}
        self._traces = Traces()
        self._unhandled = False
        check_topics(settings, {TOPIC_OF[message].name for message in self._inputs | self._outputs})
        self._ends = LogEnds(settings, {TOPIC_OF[message].name for message in self._outputs})
        self._group_name = settings.group(plane)
        self._watch = BrokerWatch(settings.bootstrap_servers)
        self._others = Others(settings, self._decoder)
        self._producer = DurableProducer(settings, self._ends.delivered, self._watch.heard)
        self._publisher = Publisher(settings, plane, self._producer, self._traces, stamp)
        self._dead_letters = DeadLetterWriter(
            self._producer,
            settings,
            self._group_name,
            instance=f"{plane}-{socket.gethostname()}-{os.getpid()}",
            app_version=app_version or application_version(),
            clock=clock or SystemClock(),
        )
        topics = sorted({self._names[message] for message in self._inputs})
        never_paused = {settings.topic(NEVER_PAUSED)}
        self._group = GroupConsumer(
            settings, self._group_name, topics, self._watch.heard, self._others.assigned, never_paused=never_paused
        )
        self._outstanding = Outstanding(self._producer, self._group, settings.commit_delay_ms / 1000)

    def poll(self, timeout_seconds: float) -> Sequence[Received]:
        """Return validated messages, waiting at most ``timeout_seconds`` and less while anything is not recorded.

        Raises:
            DeliveryFailed: when something sent, or a dead letter, cannot be made durable.
            CommitFailed: when the broker does not record progress.
            OffsetLost: when messages were removed before they were read.
            StateBehind: when another instance went on from where this one had rebuilt its state.
            And whatever the listener of `history` raises.
        """
        self._watch.ask_when_down(self._producer.reach)
        self._publisher.release()
        self._outstanding.go_on()
        entries = self._group.take(min(timeout_seconds, self._outstanding.patience()))
        if self._others.due:
            self._others.read_on()
        if not entries:
            return ()
        batch = self._validate(entries)
        if batch:
            self._unhandled = True
        elif not self._unhandled:  # nothing left for a caller to finish
            self._outstanding.add()
        return batch

    def publish(self, message: Message, cause: Received | None = None, *, more: bool = False) -> None:
        """Validate the bytes of ``message`` and send them; ``cause`` hands its trace on.

        With ``more`` they leave together with the next message, or with the next poll, flush, finish or commit.

        Of a topic that keeps only the newest message of each key, only the newest leaves: with the next record of
        progress, and always before what led to it counts as done.

        Raises:
            ContractViolation: when the message breaks its contract.
            DeliveryFailed: when this or an earlier message cannot be made durable.
        """
        if type(message) in NEWEST_COUNTS and self._settings.commit_delay_ms:
            name = (type(message), message.partition_key)
            self._outstanding.hold(name, partial(self._publisher.send, message, cause))
            self._publisher.release()
        else:
            self._publisher.send(message, cause, more=more)

    def dead_letter(self, received: Received, error: FieldError) -> None:
        """Send what a handler refused, bytes unchanged, to its dead-letter topic; durable after `flush`.

        One too many of these pauses consumption after the batch in hand.
        """
        self._dead_letters.refuse_received(received, error)
        if received.topic != NEVER_PAUSED and not self._breaker.bad():
            self._pause()

    def flush(self) -> None:
        """Wait until everything sent is durable; raises `DeliveryFailed` otherwise."""
        self._publisher.release()
        self._outstanding.let_go()
        self._producer.flush()

    def finish(self, mark: int = 0) -> None:
        """Everything polled so far is done; its progress is recorded once everything sent so far is durable.

        Does not wait, unless each batch is to be recorded. `durable` says ``mark`` from then on.
        """
        self._done(mark)
        if not self._settings.commit_delay_ms:
            self._outstanding.wait()

    def commit(self) -> None:
        """Everything polled so far is done: wait until everything sent is durable and all progress is recorded.

        Raises:
            DeliveryFailed, CommitFailed: when that cannot be; nothing is committed behind what is not durable.
        """
        self._done()
        self._outstanding.wait()

    @property
    def durable(self) -> int:
        """The newest mark given to `finish` before which everything sent is durable; 0 at first."""
        return self._outstanding.durable

    def history(
        self,
        inputs: Iterable[type[Message]] | None = None,
        outputs: Iterable[type[Message]] | None = None,
        *,
        span: Span = WHOLE,
        others: Listener | None = None,
    ) -> Iterator[Received]:
        """What this plane has handled and said before: call it before the first `poll`.

        Messages of ``inputs`` (default: the constructor's) up to the group's committed offsets or as ``span`` says,
        and of ``outputs`` up to the end of their logs, merged by the time they were written. What cannot be decoded
        is passed over. From here on, being assigned what another instance has handled meanwhile is a fault, and
        ``others`` is told what another one has said meanwhile (`Others`), before `poll` returns what that one had.

        Raises:
            BrokerUnavailable: when the broker stops answering.
            HistoryLost: when a state is rebuilt from a topic whose beginning is gone.
        """
        handled = self._inputs if inputs is None else frozenset(inputs)
        said = self._outputs if outputs is None else frozenset(outputs)
        topics = {TOPIC_OF[message] for message in handled | said}
        own = {self._names[message] for message in said}
        ranges = ranges_of(self._settings, self._group_name, topics, own, span)
        self._group.restored({each: end for each, (_, end) in ranges.items() if each[0] not in own})
        if others is not None:
            self._others.follow({each: end for each, (_, end) in ranges.items() if each[0] in own}, said, others)
            self._producer.delivered = self._on_delivery
        yield from self._decoder.messages(read_logs(self._settings, ranges), handled | said)

    @property
    def positions(self) -> PartitionOffsets:
        """Next offset to read of every assigned partition, all before it committed as done."""
        return self._by_name(self._group.committed)

    @property
    def ends(self) -> PartitionOffsets:
        """One past the newest durable offset of every partition of the outputs' topics."""
        return self._by_name(self._ends.known())

    @property
    def lag(self) -> PartitionOffsets:
        """Messages not yet read of every assigned partition, as far as the newest fetch knew."""
        return self._by_name(self._group.behind)

    @property
    def dead_lettered(self) -> Counter[tuple[str, str]]:
        """Dead letters written by this process, by topic and error code."""
        return self._dead_letters.counts

    @property
    def storm(self) -> str | None:
        """Why consumption is paused; None while it is not."""
        return self._breaker.reason

    @property
    def healthy(self) -> bool:
        """Whether a broker answered when last heard of."""
        return self._watch.up

    @property
    def ready(self) -> bool:
        """Whether messages can flow: partitions assigned, a broker in reach, no storm."""
        return self._group.ready and self.healthy and self.storm is None

    def wait_ready(self, timeout_seconds: float) -> bool:
        """Wait for partitions to be assigned; returns whether they were."""
        return self._group.wait_ready(timeout_seconds)

    def resume(self) -> None:
        """Consume again after a storm, counting anew; for an operator who has looked."""
        self._breaker.reset()
        self._group.resume()

    def close(self) -> None:
        """Leave the group and let go of the broker; what is not flushed may be lost, nothing more is committed."""
        self._group.close()
        self._producer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _validate(self, entries: list[Taken]) -> list[Received]:
        batch = []
        inputs, good = self._inputs, self._breaker.good
        for index, (record, partition, offset) in enumerate(entries):
            received = self._decoder.received(record, partition, offset)
            if isinstance(received, Received):
                good()
                if type(received.message) in inputs:
                    self._traces.heard(received.message, received.headers)
                    batch.append(received)
            elif (topic := self._decoder.topic(partition)).name == NEVER_PAUSED or self._breaker.bad():
                expected = [schema_name(message) for message in topic.messages]
                self._dead_letters.refuse(topic, source_of(record), received, expected)
            else:
                self._group.give_back(entries[index:])
                self._pause()
                break
        return batch

    def _done(self, mark: int | None = None) -> None:
        self._unhandled = False
        self._publisher.release()
        self._outstanding.add(mark)

    def _on_delivery(self, topic: str, partition: int, offset: int) -> None:
        self._ends.delivered(topic, partition, offset)
        self._others.delivered(topic, partition, offset)

    def _pause(self) -> None:
        self._group.pause()
        _LOG.error("consumption paused: %s; look at the dead letters, then resume or restart", self.storm)

    def _by_name(self, offsets: Mapping[Partition, int]) -> PartitionOffsets:
        return {f"{self._decoder.topic(each).name}/{each[1]}": offset for each, offset in offsets.items()}
