"""The pure heart of the order plane: intents and facts in, effects and reports out."""

from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from uuid import UUID

from contracts.base import Message
from contracts.control import KillScope, KillSwitchCommand
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus, Side
from order_plane.account_books import AccountBooks
from order_plane.alerts import critical, kill_alert
from order_plane.changes import OrderChanges
from order_plane.effects import SubmitOrder
from order_plane.exposure import Exposure
from order_plane.facts import Fact, FactKind
from order_plane.journals.port import Past, RowState
from order_plane.judge import Judge
from order_plane.lifecycle import TERMINAL, Status
from order_plane.marks import Marks
from order_plane.reports import NO_ORDER, NOTHING_FILLED, SILENT, execution_report, reported
from order_plane.risk.port import Refusal, RiskCheck
from order_plane.safety.equity_watch import EquityWatch
from order_plane.safety.kill_cancels import KillCancels
from order_plane.safety.kill_switch import KillSwitch
from order_plane.safety.symbol_halts import ODD_FACTS, SymbolHalts
from order_plane.throttle import TokenBucket
from order_plane.working_order import WorkingOrder

_NOTHING: frozenset[tuple[str, Side]] = frozenset()
# Looking a member up by name costs more than what is done with it.
_BUY, _ACK, _REJECTED, _SUBMITTED = Side.BUY, FactKind.ACK, OrderStatus.REJECTED, Status.SUBMITTED


class Desk:
    """Judges intents, keeps every open order and the account's exposure, and says what is to be reported.

    Event time is the newest time of any market event seen; an intent is judged at that time or at its own,
    whichever is later, so that no intent can move the clock for others. ``cash`` (currency units) is what all
    executions added to the account, and ``halts`` the symbols that must not be traded.
    """

    def __init__(
        self,
        account: str,
        checks: Sequence[RiskCheck],
        cancels: TokenBucket,
        watch: EquityWatch | None = None,
        market: Marks | None = None,
    ) -> None:
        self._account = account
        self._market = market = market or Marks()
        self.mark, self.price_of, self.priced_at = market.take, market.price_of, market.priced_at
        self.wait, self.as_of = market.wait, market.as_of
        self._orders: dict[int, WorkingOrder] = {}  # by the number of the intent id, which hashes ten times faster
        self._kill = KillSwitch(account)
        self.changes = OrderChanges(account, self._orders, self._forbids)
        self.halts = SymbolHalts()
        self.cash = 0.0
        self.told: dict[UUID, ExecutionReport] = {}
        """The newest report on intents that were reported on beside this journal, or more often than it counts."""
        self._doubtful: set[UUID] = set()
        self._exposure = Exposure()
        self._books = books = AccountBooks(self._exposure, self._orders, market, watch)
        self.cancels = KillCancels(account, self._kill, self._orders, books.held, cancels, lambda: market.now)
        self._judge = Judge(checks, market, self._exposure, books, self._kill, self.halts)

    @property
    def now(self) -> datetime:
        """Event time, before all time until the first market event; `as_of` dates what is said before it."""
        return self._market.now

    @property
    def in_doubt(self) -> int:
        """Orders whose outcome is unknown."""
        return len(self._doubtful)

    @property
    def doubtful(self) -> Set[UUID]:
        """The intents of those orders, as they are at any moment."""
        return self._doubtful

    @property
    def switch(self) -> KillSwitch:
        """The kill switches."""
        return self._kill

    @property
    def books(self) -> AccountBooks:
        """The books by strategy."""
        return self._books

    def tighten(self, checks: Sequence[RiskCheck]) -> None:
        """Judge by ``checks`` from now on."""
        self._judge.checks = tuple(checks)

    @property
    def positions(self) -> Mapping[str, float]:
        """Units held by symbol, short negative."""
        return self._exposure.positions

    @property
    def open_orders(self) -> tuple[SubmitOrder, ...]:
        """Every order that is not known to be finished, oldest first."""
        return tuple(SubmitOrder(order.intent, self._account, order.attempt) for order in self._orders.values())

    def decide(self, intent: OrderIntent) -> SubmitOrder | ExecutionReport:
        """Let ``intent`` become an order, which counts from now on, or report which control refused it."""
        refusal = self._judge.refusal(intent, self._blocked() if self._doubtful else _NOTHING)
        if refusal is not None:
            return self.refuse(intent, max(intent.timestamp, self._market.now), str(refusal))
        return self.admit(intent)

    def admit(self, intent: OrderIntent) -> SubmitOrder:
        """Let ``intent`` become an order, whatever the controls say of it."""
        order = self._orders[intent.intent_id.int] = WorkingOrder(intent)
        self._books.admitted += 1
        self._count(order, order.history.quantity)
        return SubmitOrder(intent, self._account)

    @staticmethod
    def refuse(intent: OrderIntent, at: datetime, reason: str) -> ExecutionReport:
        """The report on an intent that no order came of; ``reason`` is ``CODE: sentence``."""
        return execution_report(intent, NO_ORDER, 1, OrderStatus.REJECTED, NOTHING_FILLED, at, reason)

    def withdraw(self, intent_id: UUID) -> None:
        """Forget an order that somebody else is sending, unless the venue has ended it meanwhile."""
        order = self._orders.pop(intent_id.int, None)
        if order is not None:
            self._count(order, 0.0)

    def attempt_again(self, intent_id: UUID) -> SubmitOrder:
        """The next attempt to send an open order, which goes on counting."""
        order = self._orders[intent_id.int]
        order.attempt += 1
        self.cancels.found.discard(intent_id)
        return SubmitOrder(order.intent, self._account, order.attempt)

    @property
    def troubled(self) -> bool:
        """Whether any kill switch or halt is engaged, or any outcome unknown."""
        return bool(self._doubtful or self._kill.engaged or self.halts.engaged)

    def forbids_sending(self, order: SubmitOrder) -> Refusal | None:
        """Why an admitted order that has not left must not be sent any more.

        A further attempt comes much later than the verdict on the first, so every control judges it again, but for
        the one that would take it for a repetition.
        """
        return self._forbids(order.intent, again=order.attempt > 1)

    def _forbids(self, terms: OrderIntent, *, again: bool = True) -> Refusal | None:
        ask = self._judge.second_refusal if again else self._judge.objection
        mine = self._orders.get(terms.intent_id.int)
        if mine is None:
            return Refusal("DUPLICATE", "the venue said meanwhile what became of the attempt before")
        counted = mine.working
        self._count(mine, 0.0)  # the controls add the order to what works already
        try:
            return ask(terms, self._blocked(but=terms.intent_id))
        finally:
            self._count(mine, counted)

    def knows(self, intent_id: UUID) -> bool:
        """Whether the order of ``intent_id`` is open here."""
        return intent_id.int in self._orders

    def learn(self, fact: Fact) -> tuple[Message, ...] | None:
        """Book ``fact`` and say what it changed; None when its order is not open here (see `reopen`)."""
        order = self._orders.get(fact.intent_id.int)
        if order is None:
            return None
        history = order.history
        filled, before = history.filled, order.status
        if not history.fold(fact):
            if before in TERMINAL:  # it was reopened for a fact that says nothing new
                del self._orders[fact.intent_id.int]
            return ()
        if order_id := fact.order_id:
            order.order_id = order_id
        if (kind := fact.kind) is _ACK and before is _SUBMITTED and not history.filled:
            status = order.status = history.status()  # most often it just works now: nothing to count anew
        else:
            status = self._recount(order, filled)
        odd = history.rejected or history.unsent or history.lowered or history.filled > history.quantity
        alerts = self._alarmed(order, fact.timestamp) if odd else ()
        if kind in SILENT or (status is before and kind is _ACK):
            return alerts
        return (order.report(reported(status, history), fact.timestamp, fact.reason, self.told, fact), *alerts)

    def doubt(self, intent_id: UUID, reason: str, *, lost: bool = True) -> tuple[Message, ...]:
        """Record that the outcome of an order is unknown, or if not ``lost`` that of a change of it, until resolved."""
        order = self._orders[intent_id.int]
        order.lost = lost
        if order.in_doubt:
            return ()
        order.in_doubt = True
        self._doubtful.add(intent_id)
        at = max(self._market.now, order.intent.timestamp)
        report = order.report(OrderStatus.IN_DOUBT, at, f"OUTCOME_UNKNOWN: {reason}", self.told)
        return report, critical("ORDER_IN_DOUBT", reason, at, order.intent.symbol)

    def restated(self, intent_id: UUID) -> ExecutionReport:
        """A report of where an open order stands, because the last one said that nobody knows."""
        order = self._orders[intent_id.int]
        at = max(self._market.now, order.intent.timestamp)
        return order.report(reported(order.status, order.history), at, "", self.told)

    def doubted_attempt(self, intent_id: UUID) -> int | None:
        """Which attempt of an intent is in doubt, if any."""
        return self._orders[intent_id.int].attempt if intent_id in self._doubtful else None

    def resolve(self, intent_id: UUID) -> None:
        """The outcome of an order is known again."""
        if intent_id in self._doubtful:
            self._doubtful.discard(intent_id)
            self.cancels.found.add(intent_id)
        if intent_id.int in self._orders:
            order = self._orders[intent_id.int]
            order.in_doubt = order.lost = False

    def command(self, command: KillSwitchCommand) -> tuple[Message, ...]:
        """Engage or release a kill switch; what it forbids from now on must be cancelled (`cancels`).

        The halt of a symbol forbids new orders and cancels none.
        """
        if command.scope is KillScope.SYMBOL:
            self.halts.apply(command)
        else:
            self._kill.apply(command)
        return (kill_alert(command),)

    def adopt(self, past: Past) -> None:
        """Take over an order from the journal, with its fills."""
        if past.is_no_order:
            return
        order = self.reopen(past)
        if past.state is RowState.IN_DOUBT:
            order.in_doubt = order.lost = True
            self._doubtful.add(past.intent.intent_id)
        order.cash = 0.0
        if self._recount(order, 0.0) not in TERMINAL:
            self.cancels.found.add(past.intent.intent_id)
        self._alarmed(order, past.intent.timestamp)

    def reopen(self, past: Past) -> WorkingOrder:
        """Take back an order whose fills are in the positions already, because a late fact came."""
        order = self._orders[past.intent.intent_id.int] = WorkingOrder(
            past.intent, past.attempt, past.order_id, past.reports
        )
        for fact in past.facts:
            order.history.fold(fact)
        order.status = order.history.status()
        order.cash = -order.spent()
        return order

    def _recount(self, order: WorkingOrder, filled_before: float) -> Status:
        """Bring positions and working units in line with what is known of ``order``."""
        history = order.history
        status = order.status = history.status()
        filled = history.filled - filled_before
        if history.filled or filled:
            cash = -order.spent()
            self.cash += cash - order.cash
            order.cash = cash
        if filled:
            units = filled if order.buying else -filled
            self._exposure.hold(order.symbol, units)
            self._books.trade(order.intent, units)
        finished = status in TERMINAL
        self._count(order, 0.0 if finished else history.remaining)
        if finished:
            intent_id = order.intent.intent_id
            del self._orders[intent_id.int]
            if self._doubtful:
                self._doubtful.discard(intent_id)
        return status

    def _count(self, order: WorkingOrder, working: float) -> None:
        """Count ``working`` units of ``order`` as still to trade."""
        if working != order.working:
            self._exposure.work(order.symbol, working - order.working, order.buying)
            order.working = working

    def _blocked(self, but: UUID | None = None) -> Set[tuple[str, Side]]:
        """The symbols and sides of which the outcome of an order, ``but`` for one, is unknown."""
        if not self._doubtful:
            return _NOTHING
        intents = [self._orders[key.int].intent for key in self._doubtful if key != but]
        return {(each.symbol, each.direction) for each in intents}

    def _alarmed(self, order: WorkingOrder, at: datetime) -> tuple[Message, ...]:
        alarms = order.history.alarms()
        if not alarms:
            return ()
        symbol = order.symbol
        detail = f"order {order.order_id or NO_ORDER}: {', '.join(alarms)}"
        self.halts.halt(symbol, detail, at, f"{order.intent.intent_id} {', '.join(alarms)}", ODD_FACTS)
        return (critical(ODD_FACTS, detail, at, symbol),)
