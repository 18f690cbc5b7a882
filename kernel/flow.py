"""Whether anything is still in flight between processes, told from their heartbeats alone."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Protocol

from contracts.base import Message
from contracts.control import Heartbeat, PartitionOffsets
from kernel.clock import monotonic


class ConsumersStalled(RuntimeError):
    """A consumer has shown no progress for too long; the source must not run away from it."""


class Stopped(Exception):
    """The source was told to stop while it waited, so what it waited for may not hold."""


class Progress:
    """Folds heartbeats into how far each consumer is behind and whether the system is at rest.

    A position is reported only after everything it caused is durable. So when every consumer has read
    to the newest known end of each of its inputs, nothing that any of them wrote can be unread: whoever
    wrote later would have had to read something later first, and only the source could have written that.

    ``consumers`` names each consumer with the topics it reads; a partition that it has not been assigned yet
    counts as unread from its beginning. Topics of ``if_read`` count for a consumer that reports a position in them.
    """

    def __init__(self, consumers: Mapping[str, Iterable[str]], if_read: Iterable[str] = ()) -> None:
        self._inputs = {plane: frozenset(topics) for plane, topics in consumers.items()}
        self._if_read = frozenset(if_read)
        self._positions: dict[str, dict[str, int]] = {plane: {} for plane in consumers}
        self._ends: dict[str, int] = {}

    def observe(self, heartbeat: Heartbeat) -> None:
        """Fold in one heartbeat; older and repeated ones change nothing."""
        _raise_to(self._ends, heartbeat.ends)
        known = self._positions.get(heartbeat.plane.value)
        if known is not None:
            _raise_to(known, heartbeat.positions)

    def wrote(self, ends: PartitionOffsets) -> None:
        """Fold in what the source itself has written."""
        _raise_to(self._ends, ends)

    def behind(self) -> int:
        """Messages that the slowest consumer has not handled, over all its inputs; a silent one counts all."""
        return max(
            (sum(self._unread(plane, partition) for partition in self._ends) for plane in self._positions),
            default=0,
        )

    def missing(self) -> list[str]:
        """Consumers that have not been heard of."""
        return [plane for plane, positions in self._positions.items() if not positions]

    def at_rest(self) -> bool:
        """Whether every consumer has been heard of and has read all there is to read."""
        return not self.missing() and self.behind() == 0

    def _unread(self, plane: str, partition: str) -> int:
        topic, positions = partition.rpartition("/")[0], self._positions[plane]
        if topic not in self._inputs[plane] and not (topic in self._if_read and partition in positions):
            return 0
        return max(0, self._ends[partition] - positions.get(partition, 0))


def _raise_to(known: dict[str, int], told: PartitionOffsets) -> None:
    for partition, offset in told.items():
        if offset > known.get(partition, -1):
            known[partition] = offset


Wait = Callable[[Callable[[], bool]], None]
"""Blocks until its condition holds."""


class Gate(Protocol):
    """Decides when a source may go on."""

    def before(self, message: Message) -> None:
        """Return when ``message`` may be published."""
        ...

    def after(self, message: Message) -> None:
        """Return when the source may go on after ``message``."""
        ...


class RealTime:
    """Publishes events as far apart as they happened, ``speed`` times as fast; kinds that are ``unpaced`` at once."""

    def __init__(self, speed: float, sleep: Callable[[float], object], unpaced: tuple[type[Message], ...] = ()) -> None:
        self._speed = speed
        self._unpaced = unpaced
        self._sleep = sleep
        self._origin: tuple[datetime, float] | None = None

    def before(self, message: Message) -> None:
        """Wait until the event's time has come."""
        if isinstance(message, self._unpaced):
            return
        at: datetime = getattr(message, "timestamp")  # noqa: B009 - every market event has one
        if self._origin is None:
            self._origin = (at, monotonic())
        began_at, began = self._origin
        wait = began + (at - began_at).total_seconds() / self._speed - monotonic()
        if wait > 0:
            self._sleep(wait)

    def after(self, message: Message) -> None:
        """Nothing to wait for."""


class MaxRate:
    """Publishes at most ``per_second`` messages a second."""

    def __init__(self, per_second: float, sleep: Callable[[float], object]) -> None:
        self._interval = 1.0 / per_second
        self._sleep = sleep
        self._due = monotonic()

    def before(self, message: Message) -> None:
        """Wait for the message's turn; time lost is not made up for."""
        wait = self._due - monotonic()
        if wait > 0:
            self._sleep(wait)
        self._due = max(self._due, monotonic() - self._interval) + self._interval

    def after(self, message: Message) -> None:
        """Nothing to wait for."""


class Window:
    """Lets the source run ahead of the slowest consumer by at most ``messages``."""

    def __init__(self, progress: Progress, wait: Wait, messages: int) -> None:
        self._progress = progress
        self._wait = wait
        self._limit = messages
        self._check_every = max(1, messages // 4)
        self._since = 0

    def before(self, message: Message) -> None:
        """Wait while the slowest consumer is too far behind."""
        self._since += 1
        if self._since >= self._check_every:
            self._wait(lambda: self._progress.behind() <= self._limit)
            self._since = 0

    def after(self, message: Message) -> None:
        """Nothing to wait for."""


class LockStep:
    """Lets the source go on only when the whole system is at rest: before and after each ``boundary``.

    What precedes a boundary and all it causes is handled before the boundary is published, and all that
    the boundary causes before anything follows it. This is the order of events of the backtest.
    """

    def __init__(self, progress: Progress, wait: Wait, boundary: type[Message]) -> None:
        self._progress = progress
        self._wait = wait
        self._boundary = boundary

    def before(self, message: Message) -> None:
        """A boundary waits for the consequences of what precedes it."""
        if isinstance(message, self._boundary):
            self._wait(self._progress.at_rest)

    def after(self, message: Message) -> None:
        """What follows waits for the consequences of the boundary."""
        if isinstance(message, self._boundary):
            self._wait(self._progress.at_rest)


def waiter(listen: Callable[[float], None], stopped: Callable[[], bool], patience_seconds: float) -> Wait:
    """A `Wait` that calls ``listen(timeout)`` for heartbeats until the condition holds.

    Raises:
        Stopped: from the returned function, when ``stopped`` says so before the condition holds.
        ConsumersStalled: from the returned function after ``patience_seconds`` without the condition.
    """

    def wait(condition: Callable[[], bool]) -> None:
        deadline = monotonic() + patience_seconds
        while not condition():
            if stopped():
                raise Stopped
            if monotonic() > deadline:
                raise ConsumersStalled(
                    f"no progress from the other planes for {patience_seconds:.0f} s; are they running and healthy?"
                )
            listen(0.05)

    return wait
