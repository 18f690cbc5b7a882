"""Publish market events no faster than the gates allow, and nothing twice."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from contracts.base import Message
from contracts.market import BarEvent, SliceEvent
from kernel.flow import ConsumersStalled, Gate, Progress, Wait


class SourceChanged(RuntimeError):
    """The log holds something else than the source has at the same place."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"what was published under {key} is not what the source has now: its files or settings have changed, or "
            "the log was trimmed. Nothing more was published. Restore them, or begin a new run with another "
            "kafka.topic_prefix"
        )


class _Outlet:
    """Publishes one message between what every gate asks for before and after it."""

    def __init__(self, publish: Callable[[Message], None], gates: Sequence[Gate]) -> None:
        self._publish = publish
        self._before = [gate.before for gate in gates]
        self._after = [gate.after for gate in gates]

    def __call__(self, message: Message) -> None:
        self.wait_for(message)
        self.put(message)

    def wait_for(self, message: Message) -> None:
        """Wait until ``message`` may go."""
        for wait in self._before:
            wait(message)

    def put(self, message: Message) -> None:
        """Publish ``message``, which waited, and wait for what follows it."""
        self._publish(message)
        self.catch_up(message)

    def catch_up(self, message: Message) -> None:
        """Wait for what follows ``message``, which is in the log already."""
        for wait in self._after:
            wait(message)


class Feed:
    """Publishes what the stage says, skipping what an earlier life of this process has published already.

    The source repeats itself exactly, and the log keeps the messages of a key in order and without holes.
    So the number of a key's messages in the log is the number of its messages to skip, and the last one
    skipped must be the last one logged. What the earlier life left in flight is waited for like the rest.
    """

    def __init__(
        self,
        publish: Callable[[Message], None],
        gates: Sequence[Gate],
        already_published: Iterable[Message] = (),
    ) -> None:
        self._outlet = _Outlet(publish, gates)
        self._to_skip: Counter[str] = Counter()
        self._newest: dict[str, Message] = {}
        self._skipped: Message | None = None
        for message in already_published:
            key = message.partition_key
            if self._newest.get(key) != message:  # a retry may have written it twice
                self._to_skip[key] += 1
                self._newest[key] = message
        self.published = self._to_skip.total()

    def send(self, message: Message) -> bool:
        """Publish ``message`` when every gate lets it through; False when it was published before.

        Raises:
            SourceChanged: when the log says that something else was published in its place.
        """
        if self._to_skip[message.partition_key]:
            self._skip(message)
            return False
        if self._skipped is not None:
            last, self._skipped = self._skipped, None
            self._outlet.catch_up(last)
        self._outlet(message)
        self.published += 1
        return True

    def _skip(self, message: Message) -> None:
        key = message.partition_key
        self._to_skip[key] -= 1
        if not self._to_skip[key] and message != self._newest.pop(key):
            raise SourceChanged(key)
        self._skipped = message


class LiveFeed:
    """Publishes what a live source says, from where an earlier life of this process ended.

    A live source does not repeat itself, so what the log has of a symbol is told from its newest timestamp. A slice
    that leaves more than ``decide_within`` after its moment, by ``now``, is marked as late, even when a gate kept it.
    """

    def __init__(
        self,
        publish: Callable[[Message], None],
        gates: Sequence[Gate],
        already_published: Iterable[Message],
        now: Callable[[], datetime],
        decide_within: timedelta,
    ) -> None:
        self._outlet = _Outlet(publish, gates)
        self._now = now
        self._decide_within = decide_within
        self._newest: dict[tuple[type[Message], str], datetime] = {}
        self.first_bar: datetime | None = None
        self.published = 0
        for message in already_published:
            self._remember(message)

    def send(self, message: Message) -> Message | None:
        """Publish ``message`` when every gate lets it through; returns what was published.

        None when it is no newer than what an earlier life published.
        """
        at = _moment(message)
        newest = self._newest.get((type(message), message.partition_key))
        if newest is not None and at <= newest:
            return None
        message = self._judged(message, at)  # a gate need not wait for a decision that nobody makes
        self._outlet.wait_for(message)
        message = self._judged(message, at)  # and while it waited, another one became too old
        self._outlet.put(message)
        self.published += 1
        return message

    def _judged(self, message: Message, at: datetime) -> Message:
        if isinstance(message, SliceEvent) and not message.late and self._now() - at > self._decide_within:
            return message.model_copy(update={"late": True})
        return message

    def _remember(self, message: Message) -> None:
        at, key = _moment(message), (type(message), message.partition_key)
        if key not in self._newest or at > self._newest[key]:
            self._newest[key] = at
        if isinstance(message, BarEvent) and (self.first_bar is None or at < self.first_bar):
            self.first_bar = at
        self.published += 1


class CatchUp:
    """A moment that follows late ones, or a start, goes once the other planes have read everything before it.

    Else what is decided at it could reach an order plane whose newest prices are those of hours ago, which refuses it.
    Nobody is waited for longer than ``wait`` does.
    """

    def __init__(self, progress: Progress, wait: Wait) -> None:
        self._progress = progress
        self._wait = wait
        self._behind = True

    def before(self, message: Message) -> None:
        """Wait, if it is such a moment."""
        if not isinstance(message, SliceEvent):
            return
        if self._behind and not message.late:
            with suppress(ConsumersStalled):
                self._wait(self._progress.at_rest)

    def after(self, message: Message) -> None:
        """Note whether it was late after all: gates may have kept it until it was."""
        if isinstance(message, SliceEvent):
            self._behind = message.late


def _moment(message: Message) -> datetime:
    fields: dict[str, Any] = message.__dict__
    at: datetime = fields["timestamp"]
    return at
