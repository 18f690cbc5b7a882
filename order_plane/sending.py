"""Sends what was let through, one order at a time, and looks between two whether trading has been stopped."""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from uuid import UUID

from contracts.base import Message
from contracts.control import KillSwitchCommand
from kernel.ports import Unprocessable
from order_plane.desk import Desk
from order_plane.effects import SubmitOrder
from order_plane.router import Router
from order_plane.settlement import Settlement
from order_plane.supervision import Supervision


class Sending:
    """A batch is judged before its first order leaves, and much can happen until the last one would.

    ``urgent`` says which commands somebody waits for, and ``obey`` carries one out.
    """

    def __init__(
        self,
        desk: Desk,
        router: Router,
        supervision: Supervision,
        obey: Callable[[KillSwitchCommand], Sequence[Message]],
    ) -> None:
        self._desk = desk
        self._router = router
        self._supervision = supervision
        self._obey = obey
        self.urgent: Callable[[], Iterable[KillSwitchCommand]] = tuple

    def send(self, orders: Iterable[SubmitOrder], exempt: Collection[UUID], settlement: Settlement, heard: int) -> int:
        """Send each of ``orders``, unless what was said since they were let through forbids it.

        ``exempt`` are intents that close a position and that nothing holds back. The guards have heard so many of the
        outputs of ``settlement``; returns how many they have heard then.
        """
        desk, router, supervision = self._desk, self._router, self._supervision
        for order in orders:
            self.heed(settlement)
            if order.attempt > 1 or (desk.troubled and order.intent.intent_id not in exempt):
                router.send_if_allowed(order, settlement)
            else:
                router.send(order, settlement)
            if supervision.guards is not None:
                if supervision.overhear(settlement.outputs[heard:]):
                    settlement.outputs += supervision.act(())
                heard = len(settlement.outputs)
        return heard

    def heed(self, settlement: Settlement) -> None:
        """Carry out what somebody waits for; to be called before anything that makes the venue trade."""
        for command in self.urgent():
            with suppress(Unprocessable):  # a release that is refused is told so when its turn comes
                settlement.outputs += self._obey(command)
