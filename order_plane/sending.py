"""Sends what was let through, one order at a time, and looks between two whether trading has been stopped."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from contracts.base import Message
from contracts.control import KillSwitchCommand
from contracts.trading import OrderIntent
from kernel.clock import monotonic
from kernel.ports import Unprocessable
from order_plane.desk import Desk
from order_plane.effects import CancelOrder, SubmitOrder
from order_plane.journals.port import Journal
from order_plane.router import Router
from order_plane.settlement import Settlement
from order_plane.supervision import Supervision

_PAUSE_SECONDS = 1.0
"""After so long away even a journal of this process alone is asked whether it still is, and time counts for intents."""
_PATIENCE_SECONDS = 1.0
"""How long a venue that leaves a cancel unanswered may keep everybody else waiting."""


class Sending:
    """A batch is judged before its first order leaves, and much can happen until the last one would.

    ``urgent`` says which commands somebody waits for, and ``obey`` carries one out. `begin` is to be called before the
    journal is asked who may send. A journal that another order plane can take over is asked again before each order:
    what was decided leaves only from the plane that holds it.

    Raises:
        JournalError: when another order plane has taken the journal over, or a shared one does not answer.
    """

    def __init__(
        self,
        desk: Desk,
        router: Router,
        supervision: Supervision,
        journal: Journal,
        obey: Callable[[KillSwitchCommand], Sequence[Message]],
    ) -> None:
        self._desk = desk
        self._router = router
        self._supervision = supervision
        self._journal = journal
        self._obey = obey
        self._shared = journal.shared
        self._ours_at = self._decided_at = monotonic()
        self.urgent: Callable[[], Iterable[KillSwitchCommand]] = tuple

    def begin(self) -> None:
        """The journal is asked now: what it answers holds for a moment."""
        self._ours_at = self._decided_at = monotonic()

    def send(self, orders: Iterable[SubmitOrder], exempt: Collection[UUID], settlement: Settlement, heard: int) -> int:
        """Send each of ``orders``, unless what was said since they were let through forbids it.

        ``exempt`` are intents that close a position and that nothing holds back. The guards have heard so many of the
        outputs of ``settlement``; returns how many they have heard then.
        """
        desk, router, supervision = self._desk, self._router, self._supervision
        for order in orders:
            if order.attempt == 1 or router.is_absent(order, settlement):  # a venue may take long to say so
                self.heed(settlement)
                if self._is_late(order.intent):
                    router.withhold(order, "INTENT_EXPIRED: it was overdue before it could be sent", settlement)
                elif order.attempt > 1 or (desk.troubled and order.intent.intent_id not in exempt):
                    router.send_if_allowed(order, settlement)
                else:
                    router.send(order, settlement)
            if supervision.guards is not None:
                if supervision.overhear(settlement.outputs[heard:]):
                    settlement.outputs += supervision.act(())
                heard = len(settlement.outputs)
        return heard

    def cancel(self, due: Mapping[UUID, CancelOrder], settlement: Settlement) -> dict[UUID, CancelOrder]:
        """Ask for the cancels ``due``; returns those to ask for next time, first what was not asked for now."""
        left: dict[UUID, CancelOrder] = {}
        unasked: dict[UUID, CancelOrder] = {}
        until = monotonic() + _PATIENCE_SECONDS
        for key, order in due.items():
            if left and monotonic() > until:
                unasked[key] = order
            elif not self._router.cancel(order, settlement):
                left[key] = order
        return unasked | left

    def heed(self, settlement: Settlement) -> None:
        """Carry out what somebody waits for; to be called before anything that makes the venue trade.

        When that cannot be known nothing more leaves, and what the venue has said so far is made durable.
        """
        try:
            self._heed(settlement)
        except Exception:
            settlement.write_down(self._journal)
            raise

    def _is_late(self, intent: OrderIntent) -> bool:
        """Whether ``intent`` has expired while it waited: event time does not move while a batch is being sent.

        What took no time at all takes none here either, so that a backtest is the same on every machine.
        """
        waited = monotonic() - self._decided_at
        if intent.valid_until is None or waited < _PAUSE_SECONDS:
            return False
        return self._desk.now + timedelta(seconds=waited) > intent.valid_until

    def _heed(self, settlement: Settlement) -> None:
        now = monotonic()
        if self._shared or now - self._ours_at > _PAUSE_SECONDS:
            self._journal.affirm()
            self._ours_at = now
        for command in self.urgent():
            with suppress(Unprocessable):  # a release that is refused is told so when its turn comes
                settlement.outputs += self._obey(command)
