"""Counts what leaves, right before the venue is told, and apart from journal and desk, which decide it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from math import fsum, inf, isnan, nan
from uuid import UUID

from contracts.control import KillAction, KillScope, KillSwitchCommand
from contracts.trading import OrderIntent, Side
from domain.ids import kill_id
from order_plane.approved_plans import ROUNDING
from order_plane.brokers.port import Broker, BrokerStateUnknown, BrokerUnavailable
from order_plane.effects import SubmitOrder
from order_plane.journals.port import Journal, Past, RowState
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
    of which `inquire` asks ``broker`` when it matters; what that does not keep any more counts as it told ``journal``
    of its end. A restart counts again what the journal had begun to send.
    """

    def __init__(self, broker: Broker, journal: Journal, signed: Callable[[UUID, str, Side], float] | None) -> None:
        self._broker = broker
        self._journal = journal
        self._signed = signed
        self._newest: dict[int, int] = {}  # by the number of the intent id, which hashes ten times faster
        self._of_plans: dict[tuple[UUID, str, Side], dict[UUID, float]] = {}
        self._answers: tuple[UUID | None, Mapping[UUID, float]] = (None, {})

    def recall(self, past: Past) -> None:
        """Count what an earlier life has sent, or may have."""
        if not past.is_no_order:
            self._count(past.intent, past.attempt - (past.state is RowState.INTENDED))
            if past.state in _NO_ORDER:
                self.is_none(past.intent, past.attempt)

    def has_left(self, order: SubmitOrder) -> bool:
        """Whether this attempt has left, or one after it."""
        return order.attempt <= self._newest.get(order.intent.intent_id.int, 0)

    def inquire(self, order: SubmitOrder) -> None:
        """Ask the venue what has become of the orders of the plan, if ``order`` is too much with all of them.

        That may take long, so it comes before the last look for a kill, and `leave` after it.
        """
        left = {} if order.intent.plan_id is None else self._beside(order.intent)
        if left and fsum(left.values()) > self._most(order.intent):
            self._answers = order.intent.intent_id, {name: self._ordered(name, each) for name, each in left.items()}

    def leave(self, order: SubmitOrder) -> Refusal | None:
        """Count ``order``, which leaves now, or say why it must not."""
        intent, _, attempt = order
        if self.has_left(order):
            return Refusal("LEFT_BEFORE", f"attempt {attempt} of the intent has left before")
        refusal = None if intent.plan_id is None else self._beyond(intent)
        if refusal is None:
            self._count(intent, attempt)
        return refusal

    def is_none(self, intent: OrderIntent, attempt: int) -> None:
        """The venue said no to that attempt: of its plan nothing has left by it."""
        if intent.plan_id is not None and attempt == self._newest.get(intent.intent_id.int):
            self._of_plans.get((intent.plan_id, intent.symbol, intent.direction), {}).pop(intent.intent_id, None)

    def _count(self, intent: OrderIntent, attempt: int) -> None:
        self._newest[intent.intent_id.int] = attempt
        if intent.plan_id is not None:
            left = self._of_plans.setdefault((intent.plan_id, intent.symbol, intent.direction), {})
            left[intent.intent_id] = intent.quantity

    def _beside(self, intent: OrderIntent) -> Mapping[UUID, float]:
        """The units of every other order of its plan that has left."""
        if self._signed is None or intent.plan_id is None:
            return {}
        left = self._of_plans.get((intent.plan_id, intent.symbol, intent.direction), {})
        return {name: units for name, units in left.items() if name != intent.intent_id}

    def _most(self, intent: OrderIntent) -> float:
        """How much the others may come to."""
        if self._signed is None or intent.plan_id is None:
            return inf
        return self._signed(intent.plan_id, intent.symbol, intent.direction) * ROUNDING - intent.quantity

    def _beyond(self, intent: OrderIntent) -> Refusal | None:
        """Why ``intent`` is more than its plan wants, or may be."""
        asked_for, answers = self._answers
        told = answers if asked_for == intent.intent_id else {}
        total = fsum([told.get(name, units) for name, units in self._beside(intent).items()])
        if total <= self._most(intent):
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
        past = None if facts else self._journal.past(name)
        history = history_of(units, facts or (() if past is None else past.facts))
        if history.status() in TERMINAL:
            return history.filled
        return max(history.filled, history.size) if facts else nan


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
