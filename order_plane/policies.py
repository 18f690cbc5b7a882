"""What becomes of an order that is not filled, or only partly, when its time is up."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from heapq import heappop, heappush
from typing import NamedTuple
from uuid import UUID

from contracts.trading import OrderIntent, OrderType, TimeInForce
from domain.ids import replacement_id
from order_plane.facts import Fact, FactKind
from order_plane.journals.port import Past
from order_plane.lifecycle import TERMINAL, Status, history_of

CANCEL_REQUEST = "unfilled-cancel"
MARKET_REQUEST = "unfilled-market"
"""Names of the two wishes to cancel; the journal keeps them, so a restart knows what was to follow."""

_SAME = 1e-9
"""The fraction within which two sizes are the same: partial fills are binary fractions."""


class Remainder(StrEnum):
    """What is done with the units that did not trade."""

    LEAVE = "leave"
    CANCEL = "cancel"
    MARKET = "market"
    """Make a market order of it where the venue can; else cancel it, and once the venue confirms that send what is left
    as a market order."""


class UnfilledPolicy(NamedTuple):
    """``after`` so much event time, ``unfilled`` for orders of which nothing traded and ``partly`` for the others."""

    after: timedelta
    unfilled: Remainder = Remainder.LEAVE
    partly: Remainder = Remainder.LEAVE

    def decide(self, intent: OrderIntent, filled: float) -> Remainder:
        """What is to be done with an order whose time is up; an order at the market is left alone or cancelled."""
        wish = self.partly if filled else self.unfilled
        at_market = intent.order_type in (OrderType.MARKET, OrderType.ADAPTIVE)
        return Remainder.LEAVE if at_market and wish is Remainder.MARKET else wish


class Deadlines:
    """The orders whose time will be up, by event time."""

    __slots__ = ("_after", "_due")

    def __init__(self, after: timedelta) -> None:
        self._after = after
        self._due: list[tuple[datetime, int, UUID]] = []

    def add(self, intent_id: UUID, since: datetime) -> None:
        """Count an order's time from ``since``."""
        heappush(self._due, (since + self._after, intent_id.int, intent_id))

    def due(self, now: datetime) -> list[UUID]:
        """The orders whose time is up; each is told once."""
        told = []
        while self._due and self._due[0][0] <= now:
            told.append(heappop(self._due)[2])
        return told


def replacement(past: Past, after: timedelta) -> OrderIntent | None:
    """The market order for what is left of an order that was cancelled to be replaced; None when none is due.

    None is due when anything else was asked to end it, even in vain, or when the venue refused to cancel it for this.
    It follows from the facts alone and its id from the intent it replaces, so however often it is asked for there is
    one. What traded while the cancel was on its way is not ordered again, so the venue must have been asked what that
    is; and it must leave within ``after``.
    """
    history = past.history
    remaining = max(0.0, history.size - history.filled)
    if not history.cancelling == history.requested == {MARKET_REQUEST}:
        return None  # a person or a kill wanted it to end, or what ended it was not this cancel
    if history.status() is not Status.CANCELLED or not remaining:
        return None
    at = max((fact.timestamp for fact in past.facts if fact.kind is FactKind.CANCELLED), default=None)
    if at is None:
        return None
    return OrderIntent(
        intent_id=replacement_id(past.intent.intent_id, MARKET_REQUEST),
        symbol=past.intent.symbol,
        direction=past.intent.direction,
        quantity=remaining,
        order_type=OrderType.MARKET,
        timestamp=at,
        strategy_id=past.intent.strategy_id,
        time_in_force=TimeInForce.DAY,
        valid_until=at + after,
        plan_id=past.intent.plan_id,
    )


def agrees(past: Past, remaining: float, told: Sequence[Fact]) -> bool:
    """Whether what a venue has ``told`` of an order allows to order its ``remaining`` units anew.

    It has ended there, alone; nothing traded that is not booked, and by its size there no less is left. A venue that
    keeps the facts of an order no longer tells none: then nothing is held against ours.
    """
    if not told:
        return True
    theirs = history_of(past.intent.quantity, told)
    booked = {(fact.fact_id, fact.revision) for fact in past.facts if fact.kind is FactKind.FILL}
    executed = {(fact.fact_id, fact.revision) for fact in told if fact.kind is FactKind.FILL}
    alone = all(fact.kind is not FactKind.SECOND_ORDER for fact in told)
    as_much = theirs.size - theirs.filled >= remaining * (1 - _SAME)
    return alone and as_much and theirs.status() in TERMINAL and executed <= booked
