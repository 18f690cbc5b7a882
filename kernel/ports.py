"""The three ports that every process of the platform is built from."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

from contracts.base import Message
from contracts.codec import FieldError

Handler = Callable[[Any], Iterable[Message]]
"""What a stage does with one kind of message: message in, messages out, no I/O and no clock."""


class Stage(Protocol):
    """A plane's decisions, synchronous and free of I/O."""

    @property
    def handlers(self) -> Mapping[type[Message], Handler]:
        """One handler for each kind of message the stage consumes; its subscriptions follow from it."""
        ...

    def settle(self) -> Sequence[Message]:
        """Finish what a batch of messages left to do together, and return what it says."""
        ...

    def restore(self, message: Message) -> None:
        """Fold in a message that was handled before a restart; says nothing."""
        ...


@runtime_checkable
class Sweeper(Stage, Protocol):
    """A stage that a bus in its own process can tell many messages of the source at once."""

    @property
    def dormant(self) -> bool:
        """Whether no message of the source can make it say anything, however many it hears."""
        ...

    def sweep(self, messages: Sequence[Message], begin: int, end: int) -> tuple[int, Sequence[Message]]:
        """Handle the messages from ``begin`` to the first that makes it say something, or to before ``end``.

        The same as its handlers one by one. Returns the place after the last one handled, and what it says.
        """
        ...


def nothing_to_settle() -> tuple[()]:
    """The `settle` of a stage whose handlers leave nothing to do; a bus need not call it."""
    return ()


_NO_HEADERS: Mapping[str, bytes] = MappingProxyType({})


class Received(NamedTuple):
    """A validated message and where it was read."""

    message: Message
    topic: str
    partition: int = 0
    offset: int = 0
    raw: bytes = b""
    key: bytes | None = None
    headers: Mapping[str, bytes] = _NO_HEADERS
    timestamp_ms: int = 0


class Unprocessable(Exception):
    """A handler's verdict that a well-formed message cannot be processed: it becomes a dead letter."""

    def __init__(self, error: FieldError) -> None:
        self.error = error
        super().__init__(str(error))


class Bus(Protocol):
    """At-least-once messaging with explicit progress: outputs first, offsets last."""

    def poll(self, timeout_seconds: float) -> Sequence[Received]:
        """Return validated messages, waiting at most ``timeout_seconds`` for the first one."""
        ...

    def publish(self, message: Message, cause: Received | None = None, *, more: bool = False) -> None:
        """Validate and send ``message``; ``cause`` hands its trace on, and ``more`` says that another follows at once.

        Those that follow each other may leave together; the next poll, flush, finish or commit lets them go.
        """
        ...

    def dead_letter(self, received: Received, error: FieldError) -> None:
        """Send what was received, bytes unchanged, to its dead-letter topic with the reason."""
        ...

    def flush(self) -> None:
        """Wait until everything sent is durable; raises `DeliveryFailed` otherwise."""
        ...

    def finish(self, mark: int = 0) -> None:
        """Everything polled so far is done: record it once everything sent so far is durable, without waiting.

        ``mark`` is the caller's own count of what it has said, for a bus that tells how far that is durable.
        """
        ...

    def commit(self) -> None:
        """Everything polled so far is done: return when that is recorded."""
        ...


class DeliveryFailed(RuntimeError):
    """A message may not have reached the broker; the process must stop before it commits."""


class Clock(Protocol):
    """Where wall time comes from; decisions never ask it."""

    def now(self) -> datetime:
        """The current time, UTC."""
        ...
