"""Tell the other planes how far this one has come."""

from typing import Protocol

from contracts.base import Message
from contracts.control import Heartbeat, PartitionOffsets, PlaneName
from kernel.clock import monotonic
from kernel.ports import Clock


class Position(Protocol):
    """The part of a bus that knows how far it has read and written."""

    @property
    def positions(self) -> PartitionOffsets:
        """Committed next offset of each assigned partition."""
        ...

    @property
    def ends(self) -> PartitionOffsets:
        """One past the newest offset written, by partition."""
        ...

    def publish(self, message: Message) -> None:
        """Send a message."""
        ...


class Beat:
    """Publishes a heartbeat after progress, at most every ``every_seconds``, and when idle once a second.

    Progress is a change of position: a message that was only passed over counts too. ``every_seconds`` of 0
    reports each batch, which lock-step needs.
    """

    IDLE_SECONDS = 1.0

    def __init__(self, bus: Position, plane: PlaneName, instance: str, clock: Clock, every_seconds: float) -> None:
        self._bus = bus
        self._plane = plane
        self._instance = instance
        self._clock = clock
        self._every = every_seconds
        self._last = float("-inf")
        self._told: PartitionOffsets = {}

    def __call__(self) -> None:
        """Called whenever there may be progress to report."""
        silent = monotonic() - self._last
        if silent >= self.IDLE_SECONDS or (silent >= self._every and self._bus.positions != self._told):
            self.send()

    def send(self) -> None:
        """Report now."""
        self._last = monotonic()
        self._told = dict(self._bus.positions)
        self._bus.publish(
            Heartbeat(
                timestamp=self._clock.now(),
                plane=self._plane,
                instance=self._instance,
                positions=self._told,
                ends=dict(self._bus.ends),
            )
        )
