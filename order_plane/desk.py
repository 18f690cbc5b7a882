"""The pure heart of the order plane: intents and facts in, effects and reports out."""

from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from uuid import UUID

from contracts.base import Message
from contracts.control import KillScope, KillSwitchCommand
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus, Side
from domain.currency import ONE_CURRENCY, Currencies
from order_plane.account_books import AccountBooks
from order_plane.alerts import critical, kill_alert
from order_plane.effects import SubmitOrder
from order_plane.exposure import Exposure
from order_plane.journals.port import Past, RowState
from order_plane.lifecycle import TERMINAL, Fact, FactKind, Status
from order_plane.marks import Marks
from order_plane.reports import NO_ORDER, NOTHING_FILLED, execution_report, reported
from order_plane.risk.halt import not_halted
from order_plane.risk.port import Refusal, RiskCheck, RiskView
from order_plane.risk.price import worst_price
from order_plane.risk.session import not_expired
from order_plane.safety.equity_watch import EquityWatch
from order_plane.safety.kill_cancels import KillCancels
from order_plane.safety.kill_switch import KillSwitch
from order_plane.safety.symbol_halts import ODD_FACTS, SymbolHalts
from order_plane.throttle import TokenBucket
from order_plane.working_order import WorkingOrder

_SILENT = frozenset({FactKind.SUBMITTING, FactKind.CANCEL_REQUESTED, FactKind.CANCEL_REFUSED})
"""Facts that no report follows from."""
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
        currencies: Currencies = ONE_CURRENCY,
    ) -> None:
        self._account = account
        self._checks = tuple(checks)
        self._market = market = Marks(currencies)
        self.mark, self.price_of, self.priced_at = market.take, market.price_of, market.priced_at
        self._orders: dict[int, WorkingOrder] = {}  # by the number of the intent id, which hashes ten times faster
        self._kill = KillSwitch(account)
        self.cancels = KillCancels(account, self._kill, self._orders, cancels, lambda: market.now)
        self.halts = SymbolHalts()
        self.cash = 0.0
        self._doubtful: set[UUID] = set()
        self._exposure = Exposure()
        self._books = AccountBooks(self._exposure, self._orders, market, watch)

    @property
    def now(self) -> datetime:
        """Event time."""
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
        self._checks = tuple(checks)

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
        view = self._view(intent)
        for check in self._checks:
            refusal = check(intent, view)
            if refusal is not None:
                return self.refuse(intent, view.now, str(refusal))
        return self.admit(intent)

    def admit(self, intent: OrderIntent) -> SubmitOrder:
        """Let ``intent`` become an order, whatever the controls say of it."""
        order = self._orders[intent.intent_id.int] = WorkingOrder(intent)
        order.working = intent.quantity
        self._books.admitted += 1
        self._exposure.work(intent.symbol, intent.quantity, buying=intent.direction is _BUY)
        return SubmitOrder(intent, self._account)

    @staticmethod
    def refuse(intent: OrderIntent, at: datetime, reason: str) -> ExecutionReport:
        """The report on an intent that no order came of; ``reason`` is ``CODE: sentence``."""
        return execution_report(intent, NO_ORDER, 1, OrderStatus.REJECTED, NOTHING_FILLED, at, reason)

    def withdraw(self, intent_id: UUID) -> None:
        """Forget an order that somebody else is sending."""
        order = self._orders.pop(intent_id.int)
        self._exposure.work(order.intent.symbol, -order.working, buying=order.intent.direction is _BUY)

    def attempt_again(self, intent_id: UUID) -> SubmitOrder:
        """The next attempt to send an open order, which goes on counting."""
        order = self._orders[intent_id.int]
        order.attempt += 1
        self.cancels.found.discard(intent_id)
        return SubmitOrder(order.intent, self._account, order.attempt)

    def forbids_resend(self, intent: OrderIntent) -> Refusal | None:
        """Why an admitted order that is known never to have left must not be sent any more."""
        view = self._view(intent)
        return not_halted(intent, view) or not_expired(intent, view)

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
        if fact.order_id:
            order.order_id = fact.order_id
        if (kind := fact.kind) is _ACK and before is _SUBMITTED and not history.filled:
            status = order.status = history.status()  # most often it just works now: nothing to count anew
        else:
            status = self._recount(order, filled)
        odd = history.rejected or history.filled > history.quantity
        alerts = self._alarmed(order, fact.timestamp) if odd else ()
        if kind in _SILENT or (status is before and kind is _ACK):
            return alerts
        return (order.report(reported(status, history), fact.timestamp, fact.reason, fact), *alerts)

    def doubt(self, intent_id: UUID, reason: str) -> tuple[Message, ...]:
        """Record that the outcome of an order is unknown; it keeps counting until it is resolved."""
        order = self._orders[intent_id.int]
        if order.in_doubt:
            return ()
        order.in_doubt = True
        self._doubtful.add(intent_id)
        at = max(self._market.now, order.intent.timestamp)
        report = order.report(OrderStatus.IN_DOUBT, at, f"OUTCOME_UNKNOWN: {reason}")
        return report, critical("ORDER_IN_DOUBT", reason, at, order.intent.symbol)

    def restated(self, intent_id: UUID) -> ExecutionReport:
        """A report of where an open order stands, because the last one said that nobody knows."""
        order = self._orders[intent_id.int]
        at = max(self._market.now, order.intent.timestamp)
        return order.report(reported(order.status, order.history), at, "")

    def doubted_attempt(self, intent_id: UUID) -> int | None:
        """Which attempt of an intent is in doubt, if any."""
        return self._orders[intent_id.int].attempt if intent_id in self._doubtful else None

    def resolve(self, intent_id: UUID) -> None:
        """The outcome of an order is known again."""
        if intent_id in self._doubtful:
            self._doubtful.discard(intent_id)
            self.cancels.found.add(intent_id)
        if intent_id.int in self._orders:
            self._orders[intent_id.int].in_doubt = False

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
            order.in_doubt = True
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
        intent, history = order.intent, order.history
        status = order.status = history.status()
        buying = intent.direction is _BUY
        filled = history.filled - filled_before
        if history.filled or filled:
            cash = -order.spent()
            self.cash += cash - order.cash
            order.cash = cash
        if filled:
            units = filled if buying else -filled
            self._exposure.hold(intent.symbol, units)
            self._books.trade(intent.strategy_id, intent.symbol, units)
        finished = status in TERMINAL
        working = 0.0 if finished else history.remaining
        if working != order.working:
            self._exposure.work(intent.symbol, working - order.working, buying=buying)
            order.working = working
        if finished:
            del self._orders[intent.intent_id.int]
            if self._doubtful:
                self._doubtful.discard(intent.intent_id)
        return status

    def _view(self, intent: OrderIntent) -> RiskView:
        symbol, quantity, at = intent.symbol, intent.quantity, intent.timestamp
        market, reference = self._market, self.price_of(symbol)
        if market.moved:
            market.moved, self._exposure.stale = False, True
        self._books.worth = None
        before, after = self._exposure.largest(symbol, quantity if intent.direction is _BUY else -quantity)
        return RiskView(
            max(at, market.now),
            reference,
            market.priced_at(symbol),
            worst_price(intent, reference),
            before,
            after,
            self._exposure.gross(market.worth_of),
            self._halt_reason(intent),
            bool(self._doubtful) and self._is_blocked(intent),
            self._books,
            market.rate_of(symbol),
            market.rated_at(symbol),
        )

    def _halt_reason(self, intent: OrderIntent) -> str | None:
        cause = self._kill.stops(intent.strategy_id)
        if cause is not None:
            return f"kill switch engaged by {cause.operator}"
        return self.halts.reason(intent.symbol)

    def _is_blocked(self, intent: OrderIntent) -> bool:
        blocked = {(each.symbol, each.direction) for each in (self._orders[key.int].intent for key in self._doubtful)}
        return (intent.symbol, intent.direction) in blocked

    def _alarmed(self, order: WorkingOrder, at: datetime) -> tuple[Message, ...]:
        alarms = order.history.alarms()
        if not alarms:
            return ()
        symbol = order.intent.symbol
        detail = f"order {order.order_id or NO_ORDER}: {', '.join(alarms)}"
        self.halts.halt(symbol, detail, at, f"{order.intent.intent_id} {', '.join(alarms)}", ODD_FACTS)
        return (critical(ODD_FACTS, detail, at, symbol),)
