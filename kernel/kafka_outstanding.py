"""What a plane has handled and not recorded yet: outputs first, offsets last, and nobody waits for either."""

import sys
from collections import deque
from collections.abc import Callable, Hashable, Mapping

from kernel.clock import monotonic
from kernel.crash_points import crash_point
from kernel.kafka_consumer import GroupConsumer
from kernel.kafka_offsets import Partition
from kernel.kafka_producer import Consignment, DurableProducer

_LOOK_SECONDS = 0.001
"""How soon a wait for messages is interrupted to see what the broker has acknowledged and recorded."""
_Handled = tuple[Consignment, Mapping[Partition, int], int]
"""What handling has led to, up to which offsets was handled, and the caller's mark."""


class Outstanding:
    """Lets offsets follow the acknowledgements of everything that the messages before them have led to.

    Progress is recorded at most once every ``delay_seconds``. ``durable`` is the newest mark behind which
    nothing is outstanding, 0 at first. What only its newest version matters of may wait for the next record (`hold`).
    """

    def __init__(self, producer: DurableProducer, group: GroupConsumer, delay_seconds: float) -> None:
        self._producer = producer
        self._group = group
        self._delay = delay_seconds
        self._on_the_way: deque[_Handled] = deque()
        self._held: dict[Hashable, Callable[[], None]] = {}
        self._behind: dict[Partition, int] | None = None
        self._released = Consignment()
        self._commit_at = 0.0
        self._mark = 0
        self.durable = 0

    def hold(self, name: Hashable, send: Callable[[], None]) -> None:
        """Have ``send`` called before progress is next recorded; a later one of the same ``name`` replaces it."""
        self._held[name] = send

    def let_go(self) -> None:
        """Send what is held."""
        held, self._held = self._held, {}
        for send in held.values():
            send()

    def add(self, mark: int | None = None) -> None:
        """Everything taken so far is done when everything sent so far is durable; no ``mark``: the one before."""
        if mark is not None:
            self._mark = mark
        behind = {**(self._behind or {}), **self._group.hand_over()}
        if self._held and monotonic() < self._commit_at:
            self._behind = behind  # done only once what is held is durable too
        else:
            self._seal(behind)

    def go_on(self) -> None:
        """Take in what was acknowledged, and have the progress behind it recorded when it is time; does not wait.

        Raises:
            DeliveryFailed: when something sent did not become durable.
            CommitFailed: when the broker does not record progress.
        """
        self._producer.serve()
        if self._waits and monotonic() >= self._commit_at:
            self._seal(self._behind or {})
        self._take_in()
        if self._group.recording and monotonic() >= self._commit_at and not self._released.outstanding:
            self._commit_at = monotonic() + self._delay
            crash_point("before_commit")
            self._group.commit_soon()
            crash_point("after_commit")

    def wait(self) -> None:
        """Return when everything sent is durable and everything handled is recorded.

        Raises:
            DeliveryFailed: when something sent did not become durable; nothing behind it is recorded.
            CommitFailed: when the broker does not record progress.
        """
        if self._waits:
            self._seal(self._behind or {})
        self._producer.flush()
        self._take_in()
        crash_point("before_commit")
        self._group.commit()
        crash_point("after_commit")

    def patience(self) -> float:
        """Seconds until there is something else to do than to wait for messages."""
        if not (self._on_the_way or self._group.recording or self._waits):
            return sys.maxsize
        return max(_LOOK_SECONDS, self._commit_at - monotonic())

    @property
    def _waits(self) -> bool:
        """Whether something waits to be sent, or to be done with what does."""
        return bool(self._held) or self._behind is not None

    def _seal(self, handled: Mapping[Partition, int]) -> None:
        if self._held:
            self.let_go()
            self._released = self._producer.seal()
            self._on_the_way.append((self._released, handled, self._mark))
        else:
            self._on_the_way.append((self._producer.seal(), handled, self._mark))
        self._behind = None

    def _take_in(self) -> None:
        on_the_way = self._on_the_way
        while on_the_way and not on_the_way[0][0].outstanding:
            _, handled, self.durable = on_the_way.popleft()
            crash_point("after_flush")
            self._group.finish(handled)
