"""What an order plane does beside sending orders: it holds the account against the venue and remembers halts."""

from collections.abc import Sequence
from typing import NamedTuple

from contracts.base import Message
from order_plane.brokers.port import Broker
from order_plane.desk import Desk
from order_plane.journal import Journal
from order_plane.reconciler import Reconciler, ReconciliationOptions
from order_plane.router import Router
from order_plane.settlement import Settlement


class Options(NamedTuple):
    """What is wanted beside sending orders."""

    reconciliation: ReconciliationOptions | None = None


NO_UPKEEP = Options()


class Upkeep:
    """Carries out what `Options` ask for."""

    def __init__(
        self, desk: Desk, journal: Journal, broker: Broker, router: Router, account: str, options: Options
    ) -> None:
        self._halts = desk.halts
        self._journal = journal
        self._broker = broker
        self._router = router
        wanted = options.reconciliation
        parts = (desk, journal, broker, router, account)
        self._reconciler = None if wanted is None else Reconciler(*parts, wanted)

    @property
    def reconciled(self) -> bool:
        """Whether the account is as the venue says, or a person released every difference."""
        return self._reconciler is None or self._reconciler.holds

    @property
    def cut_off(self) -> bool:
        """Whether the venue left something unanswered since the account was last held against it."""
        return self._router.cut_off

    def reconcile(self) -> Sequence[Message]:
        """Hold the account against the venue, between batches and if that is wanted; what it says must be published."""
        self._router.cut_off = False
        said = () if self._reconciler is None else self._reconciler.run(self._hear)
        self.remember()
        return said

    def _hear(self) -> Settlement:
        settlement = Settlement(published=0)
        for fact in self._broker.drain():
            self._router.learn(fact, settlement)
        return settlement

    def remember(self) -> None:
        """Make durable which symbols the plane has halted by itself."""
        ordered = self._halts.ordered
        while ordered:
            self._journal.record_command(ordered[0])
            del ordered[0]
