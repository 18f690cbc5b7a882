"""Which orders must be cancelled because a kill switch covers them."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import count
from uuid import UUID

from contracts.control import KillSwitchCommand
from contracts.trading import OrderIntent
from domain.ids import intent_id
from order_plane.effects import CancelOrder
from order_plane.safety.kill_switch import KillSwitch
from order_plane.throttle import TokenBucket
from order_plane.unacceptable import NotOpen
from order_plane.working_order import WorkingOrder

CLOSING = -1
"""The number of a wish that closes a position; strategies count theirs of one moment from zero, so none has it."""


class KillCancels:
    """Writes the cancels that ``kill`` asks for of the ``orders`` that are open; ``bucket`` counts all that leave.

    What closes a position that a switch wants closed is not cancelled. ``found`` are orders that turned
    out to be at the venue after a kill may have asked for them in vain. `stray` orders are cancelled without any kill.
    """

    __slots__ = ("_account", "_bucket", "_kill", "_now", "_orders", "_strays", "found")

    def __init__(
        self,
        account: str,
        kill: KillSwitch,
        orders: Mapping[int, WorkingOrder],
        bucket: TokenBucket,
        now: Callable[[], datetime],
    ) -> None:
        self._account = account
        self._kill = kill
        self._orders = orders
        self._bucket = bucket
        self._now = now
        self._strays: list[CancelOrder] = []
        self.found: set[UUID] = set()

    def due(self) -> tuple[CancelOrder, ...]:
        """A cancel for every open order that an engaged kill switch covers, and for the strays."""
        self.found.clear()
        return (*self._of(self._orders.values(), "kill"), *self._of_strays())

    def of_found(self) -> tuple[CancelOrder, ...]:
        """The same for those found since it was last asked: the venue may not have had them before."""
        if not (self.found or self._strays):
            return ()
        found = [self._orders[name.int] for name in self.found if name.int in self._orders]
        self.found.clear()
        return (*self._of(found, "kill-found"), *self._of_strays())

    def stray(self, intent_id: UUID, order_id: str) -> None:
        """That order works at the venue and nobody wants it: it must be cancelled, whatever is known of its intent."""
        self._strays.append(CancelOrder(intent_id, order_id, self._account, f"stray-{order_id}", stray=True))

    def wished(self, intent_id: UUID, request_id: str, reason: str) -> CancelOrder:
        """The cancel of an open order that a person wants; raises NotOpen when it is not open.

        One that was refused is not wished for again under its name: two wishes may come at one event time.
        """
        order = self._orders.get(intent_id.int)
        if order is None:
            raise NotOpen("no order of this intent is open; list those that are with algotrade orders list")
        names = (request_id if number == 1 else f"{request_id}-{number}" for number in count(1))
        return order.cancel(self._account, next(each for each in names if each not in order.history.refused), reason)

    def leaves(self, *, again: bool) -> None:
        """A cancel is sent now, whoever wants it: it always passes, and orders wait for it, though not ``again``."""
        if not again:
            self._bucket.take_for_cancel(self._now())

    def covers(self, intent: OrderIntent) -> KillSwitchCommand | None:
        """The switch that wants the order of ``intent`` cancelled, if any."""
        by = self._kill.stops(intent.strategy_id)
        return None if by is not None and self._kill.closes(intent.strategy_id) and _closes(intent) else by

    def _of_strays(self) -> list[CancelOrder]:
        strays, self._strays = self._strays, []
        return strays

    def _of(self, orders: Iterable[WorkingOrder], request: str) -> tuple[CancelOrder, ...]:
        if not self._kill.engaged:
            return ()
        covered = ((order, self.covers(order.intent)) for order in orders)
        return tuple(
            order.cancel(self._account, f"{request}-{by.command_id}") for order, by in covered if by is not None
        )


def _closes(intent: OrderIntent) -> bool:
    return intent.intent_id == intent_id(intent.strategy_id, intent.symbol, intent.timestamp, CLOSING)
