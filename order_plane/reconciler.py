"""Holds the journal against the venue, mends what asking can mend, and halts what differs."""

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from itertools import count
from typing import NamedTuple
from uuid import UUID

from contracts.base import Message
from contracts.control import AlertSeverity, RiskAlert
from contracts.trading import OrderIntent, OrderType, Side, TimeInForce
from order_plane.alerts import all_clear, critical
from order_plane.brokers.port import Broker, BrokerStateUnknown, BrokerUnavailable, OpenOrder, Snapshot
from order_plane.desk import Desk
from order_plane.effects import SubmitOrder
from order_plane.journals.port import Answer, Journal, Past, RowState
from order_plane.reconcile import REPAIRABLE, Difference, Finding, OwnView, UnknownOrders, differences, named
from order_plane.router import Router
from order_plane.safety.symbol_halts import MISMATCH
from order_plane.settlement import Settlement
from order_plane.working_order import EXTERNAL

_OPENING_CASH = "opening cash"
_STOOD = "differences"
_ALARM = "reconciliation alarm"
_NOT_YET = "RECONCILING: the account could not be held against the venue"


class ReconciliationOptions(NamedTuple):
    """How the account is held against the venue; money is in currency units.

    Without ``cash_tolerance`` cash is not compared; without ``opening_cash`` the first snapshot tells it.
    """

    unknown_orders: UnknownOrders = UnknownOrders.ALARM
    cash_tolerance: float | None = 0.01
    opening_cash: float | None = None


class Reconciler:
    """Compares the account with a snapshot of the venue; see `reconcile` for what can differ.

    What differs is asked for once more, and halts its symbol (the account, when it has none) only if a second snapshot
    says the same: the venue moves on while it is asked. While the venue cannot be asked, nothing is sent.
    """

    def __init__(
        self,
        desk: Desk,
        journal: Journal,
        broker: Broker,
        router: Router,
        account: str,
        options: ReconciliationOptions,
    ) -> None:
        self._desk = desk
        self._journal = journal
        self._broker = broker
        self._router = router
        self._account = account
        self._options = options
        self._matched: frozenset[object] = frozenset()
        self._standing: tuple[UUID, ...] = ()
        self._answered = False
        self._there = Snapshot((), (), {})
        desk.halts.held = _NOT_YET
        desk.books.beyond = None

    @property
    def holds(self) -> bool:
        """Whether the venue answered last time and every difference found was released by a person."""
        return self._answered and not any(map(self._desk.halts.stands, self._standing))

    def run(self, begin: Callable[[], Settlement]) -> Sequence[Message]:
        """Compare, mend, compare again and halt; ``begin`` starts a settlement with whatever the venue has reported."""
        outputs: list[Message] = []
        try:
            first = self._compare(begin, outputs)
            found = self._compare(begin, outputs, self._mend(first, outputs)) if first else first
        except (BrokerUnavailable, BrokerStateUnknown):
            if self._answered:
                self._journal.note({_ALARM: "stands"})
                outputs.append(critical("RECONCILIATION_FAILED", "the venue gave no account", self._desk.as_of()))
            self._answered = False
            self._desk.halts.held = _NOT_YET
            return outputs
        if not self._answered and self._journal.noted(_ALARM):  # it may be one of an earlier life
            self._journal.note({_ALARM: ""})
            outputs.append(all_clear("RECONCILIATION_RESUMED", "the venue gives its account again", self._desk.as_of()))
        self._answered = True
        self._desk.halts.held = None
        self._weigh(found)
        self._halt([finding for finding in found if finding in first], found, outputs)
        return outputs

    def _weigh(self, found: Sequence[Finding]) -> None:
        """Say what the venue holds and works beside us: what is closed there must not become something else."""
        differing = {finding.symbol for finding in found if finding.difference is Difference.POSITION_DIFFERS}
        ours, theirs = self._desk.positions, self._there.positions
        self._desk.books.beyond = {each: theirs.get(each, 0.0) - ours.get(each, 0.0) for each in differing}
        others: dict[tuple[str, Side], float] = {}
        for order in self._there.open_orders:
            if not self._desk.knows(order.intent_id):
                name = order.symbol, order.direction
                others[name] = others.get(name, 0.0) + max(order.quantity - order.filled, 0.0)
        self._desk.books.others = others

    def _compare(
        self, begin: Callable[[], Settlement], outputs: list[Message], mended: Settlement | None = None
    ) -> tuple[Finding, ...]:
        """What differs from a snapshot taken now, after everything reported so far is booked."""
        if mended is not None:
            mended.conclude(self._journal)
            outputs += mended.outputs
        snapshot = self._broker.snapshot()
        self._there = snapshot
        settlement = begin()
        settlement.conclude(self._journal)
        outputs += settlement.outputs
        fresh = self._unmatched(snapshot)
        found = differences(self._own(fresh), fresh)
        if not found:
            self._matched = frozenset((*snapshot.executions, *snapshot.completed_orders))
        return found

    def _unmatched(self, snapshot: Snapshot) -> Snapshot:
        """Without what was in order before, for venues list a whole day again, and without cash if unwanted."""
        known = self._matched
        return Snapshot(
            snapshot.open_orders,
            tuple(each for each in snapshot.executions if each not in known),
            snapshot.positions,
            tuple(each for each in snapshot.completed_orders if each not in known),
            None if self._options.cash_tolerance is None else snapshot.cash,
        )

    def _own(self, snapshot: Snapshot) -> OwnView:
        open_here = {order.intent.intent_id for order in self._desk.open_orders}
        pasts = {name: self._journal.past(name) for name in named(snapshot) | open_here}
        known = {name: past for name, past in pasts.items() if past is not None}
        cash = 0.0 if snapshot.cash is None else self._opening_cash(snapshot.cash) + self._desk.cash
        return OwnView(known, self._desk.positions, cash, self._options.cash_tolerance or 0.0)

    def _opening_cash(self, at_venue: float) -> float:
        if self._options.opening_cash is not None:
            return self._options.opening_cash
        kept = self._journal.noted(_OPENING_CASH)
        if kept is None:
            kept = repr(at_venue - self._desk.cash)
            self._journal.note({_OPENING_CASH: kept})
        return float(kept)

    def _mend(self, found: Collection[Finding], outputs: list[Message]) -> Settlement:
        """Ask for the facts of every order that differs, and adopt what is not ours if that is the policy."""
        settlement = Settlement(published=0)
        strange = {finding.intent_id for finding in found if finding.difference is Difference.UNKNOWN_ORDER}
        for name in {finding.intent_id for finding in found if finding.difference in REPAIRABLE}:
            past = None if name is None else self._journal.past(name)
            if past is not None:
                self._router.catch_up(past, settlement)
        if self._options.unknown_orders is UnknownOrders.ADOPT and strange:
            for order in self._there.open_orders:
                if order.intent_id in strange:
                    self._adopt(order, settlement)
        names = sorted({finding.difference.value for finding in found if finding.difference in REPAIRABLE})
        if names:
            detail, at = f"the venue was asked again: {', '.join(names)}", self._desk.as_of()
            outputs.append(
                RiskAlert(timestamp=at, severity=AlertSeverity.WARNING, code="RECONCILED", detail=detail[:512])
            )
        return settlement

    def _adopt(self, order: OpenOrder, settlement: Settlement) -> None:
        """Take over an order that somebody else placed: it counts, its executions are booked, a kill cancels it."""
        intent = OrderIntent(
            intent_id=order.intent_id,
            symbol=order.symbol,
            direction=order.direction,
            quantity=order.quantity,
            order_type=OrderType.MARKET,
            timestamp=self._desk.as_of(),
            strategy_id=EXTERNAL,
            time_in_force=TimeInForce.GTC,
        )
        self._journal.begin([SubmitOrder(intent, self._account)], (), 0)
        past = Past(intent, self._account, 1, RowState.SUBMITTING, order.order_id, (), 0)
        self._desk.adopt(past)
        settlement.answers.append(Answer(order.intent_id, 1, RowState.ACKED, order.order_id))
        self._router.catch_up(past._replace(state=RowState.ACKED), settlement)

    def _halt(self, confirmed: Sequence[Finding], found: Sequence[Finding], outputs: list[Message]) -> None:
        """Halt what is ``confirmed``, once for each difference, until a person releases it; cancel what nobody wants.

        A difference that was gone and is ``found`` again is another one, though every amount be the same.
        """
        at, halts, noted = self._desk.as_of(), self._desk.halts, self._journal.noted(_STOOD)
        before: dict[str, str] = json.loads(noted or "{}")
        stood = {name: before[name] for name in map(_name_of, found) if name in before}
        for finding in dict.fromkeys(confirmed):
            if finding.stray and finding.intent_id is not None:
                self._desk.cancels.stray(finding.intent_id, finding.stray)
            detail, name = f"{finding.difference}: {finding.detail}", _name_of(finding)
            evidence = stood.setdefault(name, detail)
            new = halts.halt(finding.symbol, detail, at, evidence, MISMATCH)
            if not new and name not in before and noted is not None:
                evidence = stood[name] = self._again(finding.symbol, detail, at)
                new = True
            if new:
                symbol = None if finding.intent_id is None and finding.symbol == "*" else finding.symbol
                outputs.append(critical(MISMATCH, detail, at, symbol))
        self._standing = tuple(halts.name_of(each.symbol, stood[_name_of(each)]) for each in confirmed)
        if noted is None or stood != before:
            self._journal.note({_STOOD: json.dumps(stood)})

    def _again(self, symbol: str, detail: str, at: datetime) -> str:
        """Halt for evidence that halted before, and return the name it has now."""
        names = (f"{detail} ({number})" for number in count(2))
        return next(each for each in names if self._desk.halts.halt(symbol, detail, at, each, MISMATCH))


def _name_of(finding: Finding) -> str:
    return f"{finding.symbol} {finding.difference}: {finding.detail}"
