"""What an order plane does beside sending orders: holding the account against the venue, and policies."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from contracts.base import Message
from contracts.trading import OrderIntent
from kernel.ports import Clock
from order_plane.brokers.port import Broker, BrokerStateUnknown, BrokerUnavailable, Remote
from order_plane.changes import AT_MARKET_REQUEST
from order_plane.desk import Desk
from order_plane.effects import CancelOrder, ReplaceOrder, SubmitOrder
from order_plane.facts import Fact, FactKind
from order_plane.journals.port import Journal, Past, Recall
from order_plane.late_trades import LateTrades
from order_plane.policies import (
    CANCEL_REQUEST,
    MARKET_REQUEST,
    Deadlines,
    Remainder,
    UnfilledPolicy,
    agrees,
    replacement,
)
from order_plane.reconciler import Reconciler, ReconciliationOptions
from order_plane.replacing import Replacing
from order_plane.reports import NO_ORDER
from order_plane.router import Router
from order_plane.settlement import Settlement
from order_plane.unacceptable import NotOpen, NotReplaceable
from order_plane.working_order import EXTERNAL


class Options(NamedTuple):
    """What is wanted beside sending orders; ``clock`` dates what is said of the account before the first bar."""

    reconciliation: ReconciliationOptions | None = None
    unfilled: UnfilledPolicy | None = None
    clock: Clock | None = None


NO_UPKEEP = Options()


class Upkeep:
    """Carries out what `Options` ask for."""

    def __init__(
        self, desk: Desk, journal: Journal, broker: Broker, router: Router, account: str, options: Options
    ) -> None:
        self._desk = desk
        self._account = account
        self._journal = journal
        self._broker = broker
        self._router = router
        wanted = options.reconciliation
        parts = (desk, journal, broker, router, account)
        self._reconciler = None if wanted is None else Reconciler(*parts, wanted)
        self._clock = options.clock
        self._policy = options.unfilled
        self._deadlines = Deadlines(timedelta(0) if self._policy is None else self._policy.after)
        self._replaced: set[UUID] = set()
        self._replacing = Replacing(desk, journal, broker, router)
        self.late = LateTrades(desk, journal, broker, router, reconciled=wanted is not None)
        self.confirm: Callable[[], bool] = lambda: True
        """Whether this plane may send what no intent asks for; a replacement waits until it may."""
        self.may_replace: Callable[[UUID], bool] = lambda intent_id: True
        """Whether an order may be sent anew; one that another plane may have replaced is only ever cancelled."""
        self.changes: dict[UUID, ReplaceOrder] = {}
        """What the venue is to be asked to replace in the settlement under way, or in the next one."""
        self.policed = self._policy is not None
        """Whether unfilled orders are looked after; then `sent`, `take_over` and `police` are to be called."""

    def sent(self, orders: Iterable[SubmitOrder]) -> None:
        """Count the time of orders that leave now."""
        for order in orders:
            self._deadlines.add(order.intent.intent_id, max(order.intent.timestamp, self._desk.now))

    def take_over(self, past: Past, pending: dict[UUID, OrderIntent]) -> None:
        """Go on with an order of the last run; a replacement that was not made any more becomes ``pending``."""
        intent_id = past.intent.intent_id
        if self._desk.knows(intent_id) and past.intent.strategy_id != EXTERNAL:
            self._deadlines.add(intent_id, past.intent.timestamp)
        if self.may_replace(intent_id):
            self._replaced.add(intent_id)
            self._replace(intent_id, pending)

    def police(
        self, pending: dict[UUID, OrderIntent], cancels: dict[UUID, CancelOrder], unbooked: Iterable[Fact] = ()
    ) -> None:
        """Add the cancels and the replacements that are due; what is ``unbooked`` may change a replacement."""
        for intent_id in self._replaced - {fact.intent_id for fact in unbooked}:
            self._replace(intent_id, pending)
        for intent_id in self._deadlines.due(self._desk.now):
            past = self._journal.past(intent_id) if self._desk.knows(intent_id) else None
            if past is None or self._policy is None:
                continue
            unknown = intent_id in self._desk.doubtful and not self._desk.changes.pending(intent_id)
            if unknown or intent_id in cancels:
                self._deadlines.add(intent_id, self._desk.now)
                continue
            wish = self._policy.decide(past.intent, past.history.filled)
            if wish is Remainder.CANCEL or (wish is Remainder.MARKET and not self._goes_to_market(past)):
                cancels[intent_id] = self._cancel(intent_id, past.order_id, wish)

    def wish(
        self, intent_id: UUID, request_id: str, quantity: float | None, limit_price: float | None, reason: str
    ) -> None:
        """Have an order changed in the next settlement, as a person wants it; raises NotOpen and NotReplaceable."""
        self.changes[intent_id] = self._desk.changes.wished(intent_id, request_id, quantity, limit_price, reason)

    def change(
        self, settlement: Settlement, cancels: dict[UUID, CancelOrder], heed: Callable[[Settlement], None]
    ) -> None:
        """Carry out the `changes`; what was to go to the market and does not is added to ``cancels``.

        ``heed`` carries out, before each, what somebody waits for: a kill adds its cancels to ``cancels``.
        """
        due, self.changes = self.changes, {}
        for intent_id, order in due.items():
            heed(settlement)
            if intent_id in cancels or not self._desk.knows(intent_id):
                continue
            if not self._replacing.replace(order, settlement) and order.at_market:
                cancels[intent_id] = self._cancel(intent_id, "", Remainder.MARKET)

    def cancel(self, due: Mapping[UUID, CancelOrder], settlement: Settlement) -> dict[UUID, CancelOrder]:
        """Ask for the cancels ``due``; returns those to ask for next time."""
        self.late.watch(order.intent_id for order in due.values())
        return self._router.cancel_each(due, settlement)

    def _goes_to_market(self, past: Past) -> bool:
        """Whether the venue works it as a market order, or is asked now to do so: it is asked only once."""
        asked = [fact.kind for fact in past.facts if fact.fact_id == AT_MARKET_REQUEST]
        intent_id = past.intent.intent_id
        if asked or not (self._broker.converts and self.may_replace(intent_id)):
            return FactKind.REPLACED in asked
        try:
            self.changes[intent_id] = self._desk.changes.at_market(intent_id, AT_MARKET_REQUEST)
        except (NotOpen, NotReplaceable):
            return False
        return True

    def _cancel(self, intent_id: UUID, order_id: str, wish: Remainder) -> CancelOrder:
        """The cancel of an order, after which it is sent anew if that is the ``wish`` and it may be."""
        request = MARKET_REQUEST if wish is Remainder.MARKET and self.may_replace(intent_id) else CANCEL_REQUEST
        if request is MARKET_REQUEST:
            self._replaced.add(intent_id)
        return CancelOrder(intent_id, order_id or NO_ORDER, self._account, request)

    def _replace(self, intent_id: UUID, pending: dict[UUID, OrderIntent]) -> None:
        if self._desk.knows(intent_id) or self._policy is None:
            return
        past = self._journal.past(intent_id)
        intent = None if past is None else replacement(past, self._policy.after)
        if past is None or intent is None or self._journal.recall(intent) is not Recall.NEW:
            self._replaced.discard(intent_id)
        elif self._is_late(intent) or (self._is_agreed(past, intent) and self.confirm()):
            self._replaced.discard(intent_id)
            pending[intent.intent_id] = intent

    def _is_late(self, replaces: OrderIntent) -> bool:
        return replaces.valid_until is not None and replaces.valid_until < self._desk.now

    def _is_agreed(self, past: Past, replaces: OrderIntent) -> bool:
        """Whether the venue says, too, that so much is left of an order that it has ended."""
        try:
            told = self._broker.lookup(past.intent.intent_id)
        except (BrokerUnavailable, BrokerStateUnknown):
            return False
        return told is not None and agrees(past, replaces.quantity, told) and not self.late.counts_more(past)

    @property
    def waits(self) -> bool:
        """Whether a replacement may have to be sent before the venue says anything new."""
        return bool(self._replaced or self.changes)

    @property
    def reconciled(self) -> bool:
        """Whether the account is as the venue says, or a person released every difference."""
        return self._reconciler is None or self._reconciler.holds

    @property
    def connected(self) -> bool | None:
        """Whether the venue can be used now, None when it is always there."""
        return self._broker.ready if isinstance(self._broker, Remote) else None

    @property
    def cut_off(self) -> bool:
        """Whether the venue left something unanswered since the account was last held against it."""
        return self._router.cut_off

    def reconcile(self) -> Sequence[Message]:
        """Hold the account against the venue, between batches and if that is wanted; what it says must be published."""
        self._router.cut_off = False
        if self._clock is not None:
            self._desk.wait(self._clock.now())
        if self._reconciler is None:
            return ()
        said = self._reconciler.run(self._hear)
        if self._desk.halts.held is None:  # the venue gave its account
            self.late.accounted()
        return said

    def _hear(self) -> Settlement:
        settlement = Settlement(published=0)
        for fact in self._broker.drain():
            self._router.learn(fact, settlement)
        return settlement
