"""Carries the desk's wishes to the broker and the broker's facts to the desk."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from uuid import UUID

from contracts.base import Message
from contracts.control import RiskAlert
from contracts.trading import OrderStatus
from kernel.clock import monotonic
from order_plane.alerts import all_clear, critical, warning
from order_plane.brokers.port import (
    Broker,
    BrokerRefused,
    BrokerStateUnknown,
    BrokerUnavailable,
    CancelsTogether,
    Outcome,
    outcome_of,
)
from order_plane.desk import Desk
from order_plane.effects import CancelOrder, SubmitOrder
from order_plane.facts import FROM_US, NOT_SENT, Fact, FactKind, can_be, says_nothing
from order_plane.journals.port import Answer, Journal, Past, Resolution, RowState, Verdict
from order_plane.journals.published import recall_newest
from order_plane.safety.symbol_halts import EVERY_SYMBOL, ODD_FACTS
from order_plane.settlement import Settlement

# Looking a member up by name costs more than using it.
_ACKED, _FILL, _SECOND = RowState.ACKED, FactKind.FILL, FactKind.SECOND_ORDER
_NO_LIFE = FROM_US | {FactKind.REJECT}
"""Facts that do not say that the venue has the order, or had it."""
_PATIENCE_SECONDS = 1.0
"""How long a venue that leaves a cancel unanswered may keep everybody else waiting."""
_WORKS = frozenset({FactKind.ACK, FactKind.FILL})


class Router:
    """Talks to one broker; whatever it does not know for certain it leaves in doubt."""

    def __init__(self, desk: Desk, journal: Journal, broker: Broker) -> None:
        self._desk = desk
        self._journal = journal
        self._broker = broker
        self._together = broker.cancel_together if isinstance(broker, CancelsTogether) else None
        self._doubtful = desk.doubtful  # asked for every fact, so without a call
        self._uncancelled: set[UUID] = set()
        self.cut_off = False
        """Whether the venue did not answer since this was last put back."""

    def learn(self, fact: Fact, settlement: Settlement, signed: bool = False) -> None:
        """Book a fact of an open order, or a late one of a finished order; one that cannot be true halts its symbol.

        ``signed`` says that a person told it, who need not be told that a doubt is over.
        """
        kind = fact.kind
        if kind is _FILL and not can_be(fact):
            self._refuse(fact, settlement)
            return
        if self._doubtful and kind not in FROM_US:
            self._end_doubt(fact, settlement, signed)
        said = self._desk.learn(fact)
        if said is None:
            past = self._journal.past(fact.intent_id)
            if past is None:
                settlement.outputs.append(_unknown(fact))
                return
            said = self._learn_late(settlement.completed(past), fact, settlement)
        if kind is _SECOND:
            self._cancel_second(fact, settlement)
        settlement.facts.append(fact)
        if said:
            settlement.say(said)

    def _learn_late(self, past: Past, fact: Fact, settlement: Settlement) -> tuple[Message, ...] | None:
        """Book a fact of an order that had ended; one that a person gave up and that works after all is cancelled."""
        intent_id = fact.intent_id
        if past.state is RowState.NOT_SENT and fact.kind not in _NO_LIFE:
            settlement.answers.append(Answer(intent_id, past.attempt, _ACKED, fact.order_id))
        recall_newest(self._desk.told, self._journal, past)
        self._desk.reopen(past)
        said = self._desk.learn(fact)
        if self._desk.knows(intent_id):
            self._desk.cancels.found.add(intent_id)  # a kill could not cover it
        if fact.kind in _WORKS and past.was_given_up and past.remains_after(fact):
            self._desk.cancels.stray(intent_id, fact.order_id)
        return said

    def _cancel_second(self, fact: Fact, settlement: Settlement) -> None:
        """Nobody wants the order ``fact`` is of: it is cancelled, what it trades is booked, and its symbol halted."""
        self._desk.cancels.stray(fact.intent_id, fact.order_id)
        past = self._journal.past(fact.intent_id)
        symbol, at = EVERY_SYMBOL if past is None else past.intent.symbol, fact.timestamp
        detail = f"order {fact.order_id} is cancelled: it works beside another order of the same intent"
        if self._desk.halts.halt(symbol, detail, at, f"{fact.intent_id} stray {fact.order_id}", ODD_FACTS):
            settlement.outputs.append(critical(ODD_FACTS, detail, at, symbol))

    def _refuse(self, fact: Fact, settlement: Settlement) -> None:
        """Book nothing, whoever repeats it; what is true of the order a person must say, or reconciliation."""
        past = self._journal.past(fact.intent_id)
        if past is None:
            settlement.outputs.append(_unknown(fact))
            return
        symbol, at = past.intent.symbol, fact.timestamp
        detail = f"execution {fact.fact_id} of order {fact.order_id}: its quantity, price or commission cannot be true"
        if self._desk.halts.halt(symbol, detail, at, f"{fact.intent_id} {fact.fact_id} {fact.revision}", ODD_FACTS):
            settlement.outputs.append(critical(ODD_FACTS, detail, at, symbol))

    def _end_doubt(self, fact: Fact, settlement: Settlement, signed: bool) -> None:
        """A venue that reports on an order has it, or says that it has not; how it works is another matter."""
        attempt = self._desk.doubted_attempt(fact.intent_id)
        if attempt is not None and not self._desk.changes.pending(fact.intent_id, fact):
            state = RowState.REJECTED if fact.kind is FactKind.REJECT else _ACKED
            settlement.answers.append(Answer(fact.intent_id, attempt, state, fact.order_id))
            self._settle_doubt(fact.intent_id, settlement, signed)

    def _settle_doubt(self, intent_id: UUID, settlement: Settlement, signed: bool = False) -> None:
        """It is known what became of an order; unless a person ``signed`` it, who was alarmed of the doubt is told."""
        past = self._journal.past(intent_id) if intent_id in self._doubtful and not signed else None
        self._desk.resolve(intent_id)
        if past is not None:
            detail, at = "the venue has said what became of the order", self._desk.as_of()
            settlement.outputs.append(all_clear("DOUBT_SETTLED", detail, at, past.intent.symbol))

    def cancel_untold(self, due: Iterable[CancelOrder]) -> None:
        """Ask for the cancels ``due`` while nothing can be written down; what becomes of them the next life asks."""
        for orders in self._at_once(due):
            self._outcomes(orders)

    def cancel_each(self, due: Mapping[UUID, CancelOrder], settlement: Settlement) -> dict[UUID, CancelOrder]:
        """Ask for the cancels ``due``; returns those to ask for next time, first what was not asked for now."""
        left: list[CancelOrder] = []
        unasked: list[CancelOrder] = []
        until = monotonic() + _PATIENCE_SECONDS
        for orders in self._at_once(due.values()):
            if left and monotonic() > until:
                unasked += orders
            else:
                left += self._cancel(orders, settlement)
        return {order.key: order for order in (*unasked, *left)}

    def _at_once(self, due: Iterable[CancelOrder]) -> list[list[CancelOrder]]:
        """What to ask for before any answer has come: of a venue that can, all, but one cancel of each intent."""
        if self._together is None:
            return [[order] for order in due]
        rounds: list[dict[UUID, CancelOrder]] = []
        for order in due:
            free = next((each for each in rounds if order.intent_id not in each), None)
            if free is None:
                rounds.append(free := {})
            free[order.intent_id] = order
        return [[*each.values()] for each in rounds]

    def _cancel(self, orders: Iterable[CancelOrder], settlement: Settlement) -> list[CancelOrder]:
        """Ask for cancels at once; returns those that could not be asked for and must be tried again."""
        wanted = [order for order in orders if order.stray or self._desk.knows(order.intent_id)]
        for order in wanted:
            if not order.stray and self._desk.cancels.is_new(order):
                self.learn(self._asked(order), settlement)
            self._desk.cancels.leaves(again=order.key in self._uncancelled)
        heard = zip(wanted, self._outcomes(wanted), strict=True)
        return [order for order, outcome in heard if not self._hear(order, outcome, settlement)]

    def _outcomes(self, orders: Sequence[CancelOrder]) -> Sequence[Outcome]:
        if self._together is not None and len(orders) > 1:
            return self._together(orders)
        return [outcome_of(partial(self._broker.cancel, order)) for order in orders]

    def _asked(self, order: CancelOrder) -> Fact:
        kind, at = FactKind.CANCEL_REQUESTED, self._desk.as_of()
        return Fact(order.intent_id, kind, order.request_id, at, reason=order.reason)

    def _hear(self, order: CancelOrder, outcome: Outcome, settlement: Settlement) -> bool:
        """Book what the venue says to a cancel; False when it must be asked for again."""
        at, key = self._desk.as_of(), order.key
        if isinstance(outcome, (BrokerUnavailable, BrokerStateUnknown)):
            if key not in self._uncancelled:
                self._uncancelled.add(key)
                settlement.outputs.append(critical("CANCEL_FAILED", f"order {order.order_id} may still work", at))
            return False
        self._uncancelled.discard(key)
        if not isinstance(outcome, BrokerRefused):
            for fact in outcome:
                self.learn(fact, settlement)
        elif order.stray:
            detail = f"order {order.order_id}, which nobody wants, cannot be cancelled: {outcome.reason}"
            settlement.outputs.append(warning("STRAY_NOT_CANCELLED", detail, at))
        else:
            refused = self._asked(order)._replace(kind=FactKind.CANCEL_REFUSED, reason=outcome.reason)
            self.learn(refused, settlement)
        return True

    def reconcile(self, past: Past, settlement: Settlement) -> None:
        """Ask the broker what became of an order that was open when the last run ended."""
        intent_id = past.intent.intent_id
        try:
            facts = self._broker.lookup(intent_id)
        except (BrokerUnavailable, BrokerStateUnknown):
            self._reconcile_unasked(past, settlement)
            return
        if facts is None or says_nothing(facts):
            self._learn_news(past, facts or (), settlement)
            self._reconcile_absent(past, settlement)
            return
        if past.state is not RowState.ACKED:
            order_id = facts[0].order_id if facts else ""
            settlement.answers.append(Answer(intent_id, past.attempt, RowState.ACKED, order_id))
        if not self._desk.changes.pending(intent_id):
            self._settle_doubt(intent_id, settlement)
        said = len(settlement.reports)
        self._learn_news(past, facts, settlement)
        if self._doubt_change(intent_id, settlement):
            return
        told = self._journal.reports_of(intent_id)
        if len(settlement.reports) == said and told and told[-1].status is OrderStatus.IN_DOUBT:
            settlement.say((self._desk.restated(intent_id),))

    def _doubt_change(self, intent_id: UUID, settlement: Settlement) -> bool:
        """Leave an order in doubt of which the venue does not say whether it was replaced, when the last run ended."""
        if not self._desk.changes.pending(intent_id):
            return False
        settlement.say(self._desk.doubt(intent_id, "nobody knows whether the order was replaced", lost=False))
        return True

    def catch_up(self, past: Past, settlement: Settlement) -> None:
        """Ask the venue again about an order, whatever became of it here."""
        if self._desk.knows(past.intent.intent_id):
            self.reconcile(past, settlement)
            return
        self._learn_news(past, self.facts_at_broker(past.intent.intent_id), settlement)

    def _learn_news(self, past: Past, facts: Sequence[Fact], settlement: Settlement, *, signed: bool = False) -> None:
        known = set(past.facts)
        for fact in facts:
            if fact not in known:
                self.learn(fact, settlement, signed=signed)

    def _reconcile_unasked(self, past: Past, settlement: Settlement) -> None:
        """The broker could not be asked."""
        if past.state is RowState.SUBMITTING:
            self._leave_in_doubt(past, "the broker could not be asked whether it has the order", settlement)
        elif past.state is not RowState.IN_DOUBT:
            self._doubt_change(past.intent.intent_id, settlement)

    def _reconcile_absent(self, past: Past, settlement: Settlement) -> None:
        """The broker says that it has no such order."""
        if past.state is RowState.ACKED:
            self._leave_in_doubt(past, "the broker accepted the order and knows it no more", settlement)
        else:  # it may still be on its way, whatever the venue says now
            self._leave_in_doubt(past, "the broker does not find the order", settlement)

    def resolve(self, resolution: Resolution, settlement: Settlement) -> SubmitOrder | None:
        """Act on a person's decision, which is in the journal; returns the order that is to be sent again."""
        intent_id = resolution.intent_id
        self._desk.resolve(intent_id)
        if resolution.verdict is Verdict.SEND_AGAIN:
            return self._desk.attempt_again(intent_id)
        if resolution.verdict is Verdict.NOT_SENT:
            facts = [_signed_end(resolution, self._journal.past(intent_id))]
        else:
            facts = self.facts_at_broker(intent_id)
            if says_nothing(facts) or not facts:
                facts.append(Fact(intent_id, FactKind.ACK, "ack", resolution.at, resolution.order_id))
        for fact in facts:
            self.learn(fact, settlement)
        return None

    def answer(self, past: Past, told: Sequence[Fact], settlement: Settlement) -> None:
        """Book what a person ``told`` of a change of an order, whose outcome is known then."""
        intent_id = past.intent.intent_id
        self._learn_news(past, told, settlement, signed=True)
        self._uncancelled.discard(intent_id)
        if not self._desk.changes.pending(intent_id):
            self._desk.resolve(intent_id)

    def facts_at_broker(self, intent_id: UUID) -> list[Fact]:
        """What the venue tells of an order, nothing when it cannot be asked."""
        try:
            return list(self._broker.lookup(intent_id) or ())
        except (BrokerUnavailable, BrokerStateUnknown):
            return []

    def _leave_in_doubt(self, past: Past, reason: str, settlement: Settlement) -> None:
        if past.state is not RowState.IN_DOUBT:
            settlement.answers.append(Answer(past.intent.intent_id, past.attempt, RowState.IN_DOUBT, past.order_id))
        settlement.say(self._desk.doubt(past.intent.intent_id, reason))


def _signed_end(resolution: Resolution, past: Past | None) -> Fact:
    """That there is no such order; one that the venue has had and knows no more has ended there."""
    had = past is not None and past.history.there
    kind, name = (FactKind.CANCELLED, "cancelled") if had else (FactKind.REJECT, NOT_SENT)
    reason = f"{'ENDED' if had else 'NOT_SENT'}: signed by {resolution.operator}: {resolution.reason}"
    return Fact(resolution.intent_id, kind, name, resolution.at, reason=reason)


def _unknown(fact: Fact) -> RiskAlert:
    return critical("UNKNOWN_ORDER", f"the broker reports on {fact.order_id}", fact.timestamp)
