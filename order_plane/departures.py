"""Counts what leaves, right before the venue is told, and apart from journal and desk, which decide it."""

from collections.abc import Callable
from datetime import datetime
from math import fsum, isnan, nan
from uuid import UUID

from contracts.control import KillAction, KillScope, KillSwitchCommand
from contracts.trading import OrderIntent, Side
from domain.ids import kill_id
from order_plane.approved_plans import ROUNDING
from order_plane.brokers.port import Broker, BrokerStateUnknown, BrokerUnavailable
from order_plane.effects import SubmitOrder
from order_plane.journals.port import Past, RowState
from order_plane.lifecycle import TERMINAL, history_of
from order_plane.risk.port import Refusal
from order_plane.safety.symbol_halts import ORDER_PLANE

LEFT_BEFORE, PLAN_EXCEEDED = "LEFT_BEFORE", "PLAN_EXCEEDED"
CAUSES = (LEFT_BEFORE, PLAN_EXCEEDED)
"""What no order that was let through can do unless something here is wrong: trading is stopped for it."""
_NO_ORDER = (RowState.REJECTED, RowState.NOT_SENT)


class Departures:
    """Which attempts of each intent have left, and how many units of each plan.

    An attempt leaves once, and none after a later one. Of a plan no more leaves than it wants, which ``signed`` says
    (units of a symbol on a side) unless nobody looks at plans; what has ended at the venue counts with what it traded,
    of which ``broker`` is asked when it matters. A restart counts again what the journal had begun to send.
    """

    def __init__(self, broker: Broker, signed: Callable[[UUID, str, Side], float] | None) -> None:
        self._broker = broker
        self._signed = signed
        self._newest: dict[int, int] = {}  # by the number of the intent id, which hashes ten times faster
        self._of_plans: dict[tuple[UUID, str, Side], dict[UUID, float]] = {}

    def recall(self, past: Past) -> None:
        """Count what an earlier life has sent, or may have."""
        if not past.is_no_order:
            self._count(past.intent, past.attempt - (past.state is RowState.INTENDED))
            if past.state in _NO_ORDER:
                self.is_none(past.intent)

    def leave(self, order: SubmitOrder) -> Refusal | None:
        """Count ``order``, which leaves now, or say why it must not."""
        intent = order.intent
        if order.attempt <= self._newest.get(intent.intent_id.int, 0):
            return Refusal("LEFT_BEFORE", f"attempt {order.attempt} of the intent has left before")
        refusal = None if intent.plan_id is None else self._beyond(intent, intent.plan_id)
        if refusal is None:
            self._count(intent, order.attempt)
        return refusal

    def is_none(self, intent: OrderIntent) -> None:
        """The venue said no: of its plan nothing has left by that."""
        if intent.plan_id is not None:
            self._of_plans.get((intent.plan_id, intent.symbol, intent.direction), {}).pop(intent.intent_id, None)

    def _count(self, intent: OrderIntent, attempt: int) -> None:
        self._newest[intent.intent_id.int] = attempt
        if intent.plan_id is not None:
            left = self._of_plans.setdefault((intent.plan_id, intent.symbol, intent.direction), {})
            left[intent.intent_id] = intent.quantity

    def _beyond(self, intent: OrderIntent, plan_id: UUID) -> Refusal | None:
        """Why ``intent`` is more than its plan wants, or may be."""
        if self._signed is None:
            return None
        symbol, side = intent.symbol, intent.direction
        most = self._signed(plan_id, symbol, side) * ROUNDING - intent.quantity
        left = {**self._of_plans.get((plan_id, symbol, side), {})}
        left.pop(intent.intent_id, None)
        if fsum(left.values()) <= most:
            return None
        total = fsum([self._ordered(name, units) for name, units in left.items()])
        if total <= most:
            return None
        if isnan(total):
            return Refusal("PLAN_NOT_COUNTED", "the venue does not say what became of the orders of its plan before it")
        return Refusal("PLAN_EXCEEDED", "with what has left of its plan it is more than that wants")

    def _ordered(self, name: UUID, units: float) -> float:
        """How much of an order for ``units`` has traded or may, by the venue's word; not-a-number without one."""
        try:
            facts = self._broker.lookup(name)
        except (BrokerUnavailable, BrokerStateUnknown):
            return nan
        if not facts:
            return nan
        history = history_of(units, facts)
        return history.filled if history.status() in TERMINAL else max(history.filled, history.size)


def stop(refusal: Refusal, account: str, at: datetime) -> KillSwitchCommand:
    """The command that ends trading on ``account`` for one of the `CAUSES`, until two persons let it go on."""
    return KillSwitchCommand(
        command_id=kill_id(refusal.code, KillScope.ACCOUNT.value, account, at),
        timestamp=at,
        engage=True,
        scope=KillScope.ACCOUNT,
        target=account,
        operator=ORDER_PLANE,
        reason=refusal.sentence,
        action=KillAction.HALT_AND_INVESTIGATE,
        cause=refusal.code,
    )
