"""When the account is held against the venue."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from contracts.base import Message
from kernel.clock import since_boot
from order_plane.settings import ReconciliationSettings
from order_plane.upkeep import Upkeep

_AT_ONCE_SECONDS = 5.0
"""How soon a venue that did not answer is asked again."""


class Reconcilable(Protocol):
    """The order plane, as far as this reaches into it."""

    @property
    def upkeep(self) -> Upkeep:
        """What it knows of its venue."""
        ...

    def reconcile(self) -> Sequence[Message]:
        """Look whether it is."""
        ...


def checking_of(
    wanted: ReconciliationSettings | None,
    stage: Reconcilable,
    publish: Callable[[Iterable[Message]], None],
    also: Callable[[], None],
) -> Callable[[], None]:
    """What to call between batches: ``also``, and the comparison when it is ``wanted`` and due."""
    if wanted is None:
        return also
    checking = Checking(stage, publish, wanted.every.total_seconds())

    def between() -> None:
        also()
        checking.poll()

    return between


class Checking:
    """Holds the account against the venue every so many seconds, and sooner when the venue left an answer out."""

    def __init__(
        self,
        stage: Reconcilable,
        publish: Callable[[Iterable[Message]], None],
        every_seconds: float,
        now: Callable[[], float] = since_boot,
    ) -> None:
        self._stage = stage
        self._publish = publish
        self._every = every_seconds
        self._now = now
        self._last = now()

    def poll(self) -> None:
        """Do so if it is due."""
        urgent = self._stage.upkeep.cut_off or not self._stage.upkeep.reconciled
        if self._now() - self._last >= (min(_AT_ONCE_SECONDS, self._every) if urgent else self._every):
            self._publish(self._stage.reconcile())
            self._last = self._now()
