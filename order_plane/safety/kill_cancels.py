"""Which orders must be cancelled because a kill switch covers them."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import count
from uuid import UUID

from contracts.control import KillScope, KillSwitchCommand
from contracts.trading import OrderIntent, Side
from domain.ids import intent_id
from order_plane.effects import CancelOrder
from order_plane.lifecycle import Status
from order_plane.risk.reducing import reduces
from order_plane.safety.kill_switch import KillSwitch
from order_plane.throttle import TokenBucket
from order_plane.unacceptable import NotOpen
from order_plane.working_order import WorkingOrder

CLOSING = -1
"""The number of a wish that closes a position; strategies count theirs of one moment from zero, so none has it."""


class KillCancels:
    """Writes the cancels that ``kill`` asks for of the ``orders`` that are open; ``bucket`` counts all that leave.

    ``held`` tells the units of a symbol that a strategy holds, or with None the account; short negative.
    What closes a position that a switch wants closed is not cancelled, nor what only reduces one that it lets be
    reduced: of orders that together would take more than is held, the oldest go on. ``found`` are orders that turned
    out to be at the venue after a kill may have asked for them in vain. `stray` orders are cancelled without any kill.
    """

    __slots__ = ("_account", "_bucket", "_held", "_kill", "_now", "_orders", "_strays", "found")

    def __init__(
        self,
        account: str,
        kill: KillSwitch,
        orders: Mapping[int, WorkingOrder],
        held: Callable[[str, str | None], float],
        bucket: TokenBucket,
        now: Callable[[], datetime],
    ) -> None:
        self._account = account
        self._kill = kill
        self._orders = orders
        self._held = held
        self._bucket = bucket
        self._now = now
        self._strays: list[CancelOrder] = []
        self.found: set[UUID] = set()

    def due(self) -> tuple[CancelOrder, ...]:
        """A cancel for every open order that an engaged kill switch covers, and for the strays."""
        self.found.clear()
        return (*self._of(self.covered(), "kill"), *self._of_strays())

    def of_found(self) -> tuple[CancelOrder, ...]:
        """The same for those found since it was last asked, which the venue may not have had before.

        While a switch lets positions only be reduced also for what was spared and does not reduce any more.
        """
        if not (self.found or self._strays or self._kill.reduces_only):
            return ()
        covered = self.covered()
        found = [each for each in covered if each[0].intent.intent_id in self.found]
        unasked = [each for each in covered if each[0].intent.intent_id not in self.found and not _was_asked(*each)]
        self.found.clear()
        return (*self._of(found, "kill-found"), *self._of(unasked, "kill"), *self._of_strays())

    def covered(self) -> list[tuple[WorkingOrder, KillSwitchCommand]]:
        """Every open order that a switch wants cancelled, oldest first, and that switch."""
        if not self._kill.engaged:
            return []
        room = _Room(self._held)
        found = []
        for order in self._orders.values():
            by = self._wanted_by(order, room)
            if by is None:
                room.take(order)
            else:
                found.append((order, by))
        return found

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

    def is_new(self, wish: CancelOrder) -> bool:
        """Whether nobody has asked so yet, by that name, for the open order to be cancelled."""
        return wish.request_id not in self._orders[wish.intent_id.int].history.requested

    def leaves(self, *, again: bool) -> None:
        """A cancel is sent now, whoever wants it: it always passes, and orders wait for it, though not ``again``."""
        if not again:
            self._bucket.take_for_cancel(self._now())

    def _wanted_by(self, order: WorkingOrder, room: "_Room") -> KillSwitchCommand | None:
        """The switch that wants ``order`` cancelled, if any; ``room`` is what those before it leave."""
        strategy = order.intent.strategy_id
        by = self._kill.stops(strategy)
        if by is not None:
            return None if self._kill.closes(strategy) and _closes(order.intent) else by
        for switch in self._kill.narrows(strategy):
            if not room.holds(order, strategy if switch.scope is KillScope.STRATEGY else None):
                return switch
        return None

    def _of_strays(self) -> list[CancelOrder]:
        strays, self._strays = self._strays, []
        return strays

    def _of(self, covered: Iterable[tuple[WorkingOrder, KillSwitchCommand]], request: str) -> tuple[CancelOrder, ...]:
        return tuple(order.cancel(self._account, _request(request, by)) for order, by in covered)


class _Room:
    """What orders may still take from positions, one after the other."""

    def __init__(self, held: Callable[[str, str | None], float]) -> None:
        self._held = held
        self._left: dict[tuple[str | None, str, Side], float] = {}

    def holds(self, order: WorkingOrder, strategy_id: str | None) -> bool:
        """Whether ``order`` only reduces what the account or the strategy holds, after those that were taken before."""
        left = self._left_of(order.intent, strategy_id)
        return reduces(order.intent.direction, order.working, left, left)

    def take(self, order: WorkingOrder) -> None:
        """``order`` goes on working."""
        intent, units = order.intent, order.working if order.intent.direction is Side.BUY else -order.working
        for strategy_id in (None, intent.strategy_id):
            self._left[strategy_id, intent.symbol, intent.direction] = self._left_of(intent, strategy_id) + units

    def _left_of(self, intent: OrderIntent, strategy_id: str | None) -> float:
        """The position if of the orders of this side those trade that were taken."""
        known = self._left.get((strategy_id, intent.symbol, intent.direction))
        return self._held(intent.symbol, strategy_id) if known is None else known


def _was_asked(order: WorkingOrder, by: KillSwitchCommand) -> bool:
    """Whether the venue has a cancel of ``order`` to answer, or refused the one that ``by`` wants."""
    refused = {_request("kill", by), _request("kill-found", by)} & set(order.history.refused)
    return bool(refused) or order.status is Status.PENDING_CANCEL


def _request(wish: str, by: KillSwitchCommand) -> str:
    return f"{wish}-{by.command_id}"


def _closes(intent: OrderIntent) -> bool:
    return intent.intent_id == intent_id(intent.strategy_id, intent.symbol, intent.timestamp, CLOSING)
