"""The life of one plan after it was proposed: sells, then buys within cash, then an account of what came of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from contracts.control import (
    PlanDecision,
    PlannedTrade,
    PlanProgress,
    PlanState,
    RebalancePlan,
    TradeProgress,
    TradeState,
    Verdict,
)
from contracts.market import SliceEvent
from contracts.trading import TERMINAL_STATUSES, ExecutionReport, OrderIntent, Side
from strategy_plane.engines.book import Book
from strategy_plane.engines.orders import Gap, TradingRules, intents
from strategy_plane.engines.plans import RebalanceRules, affordable

ENDED = frozenset({PlanState.COMPLETED, PlanState.REFUSED, PlanState.EXPIRED, PlanState.SUPERSEDED})


@dataclass(slots=True)
class PlanRecord:
    """Everything known of the newest plan: facts that may come in any order, any number of times."""

    plan: RebalancePlan
    decision: PlanDecision | None = None
    progress: PlanProgress | None = None
    orders: dict[str, OrderIntent] = field(default_factory=dict)

    @property
    def state(self) -> PlanState | None:
        """Where it stands; None while it waits for approval or has just been made."""
        return self.progress.state if self.progress else None

    @property
    def has_ended(self) -> bool:
        """Whether nothing will be ordered or reported of it any more."""
        return self.state in ENDED

    @property
    def is_carried_out(self) -> bool:
        """Whether it went its way: to its end, or with orders that still worked when it ran out."""
        return self.state is PlanState.COMPLETED or (self.state is PlanState.EXPIRED and bool(self.orders))

    def decide(self, decision: PlanDecision) -> bool:
        """Take the first decision on this very content; False for any other."""
        if decision.plan_id != self.plan.plan_id or decision.content_hash != self.plan.content_hash:
            return False
        if self.decision is None:
            self.decision = decision
        return True

    def note(self, progress: PlanProgress) -> None:
        """Take what was said of it earlier; the newest counts."""
        before = self.progress
        if progress.plan_id == self.plan.plan_id and (before is None or before.timestamp <= progress.timestamp):
            self.progress = progress


class Reports:
    """What is known of every order of the strategy, whatever order its reports come in."""

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}

    def take(self, report: ExecutionReport) -> None:
        """Remember how much is filled, whether more can come, and why it was refused."""
        name = report.intent_id.int
        before = self._known.get(name, _UNKNOWN)
        self._known[name] = _Known(
            max(before.filled, report.filled_quantity),
            before.ended or report.status in TERMINAL_STATUSES,
            report.reject_reason or before.reason,
        )

    def of(self, intent: OrderIntent) -> "_Known":
        """What is known of one order."""
        return self._known.get(intent.intent_id.int, _UNKNOWN)


@dataclass(frozen=True, slots=True)
class _Known:
    """Units filled so far, whether the order can fill no further, and the reason when it was refused."""

    filled: float = 0.0
    ended: bool = False
    reason: str | None = None


_UNKNOWN = _Known()


@dataclass(frozen=True, slots=True)
class PlanExecution:
    """Carries a plan out, one step at each complete moment; ``weights`` are those held then.

    Whatever the log already holds is not sent again, and what a crash kept out of it is sent at the same moment.
    """

    book: Book
    reports: Reports
    trading: TradingRules
    rules: RebalanceRules

    def step(
        self, record: PlanRecord, moment: SliceEvent, weights: dict[str, float]
    ) -> tuple[list[OrderIntent], list[PlanProgress]]:
        """Orders to send now and what to say of the plan; both are already noted in ``record``."""
        placed: list[OrderIntent] = []
        said: list[PlanProgress] = []
        late = moment.timestamp >= record.plan.valid_until
        verdict = self._verdict(record, late) if record.state is None else record.state
        if verdict is PlanState.SELLING:
            placed += self._place(record, moment, self._sells(record))
        if record.state is None and verdict is not None:
            said.append(self._say(record, moment, verdict, weights))
        if record.state is PlanState.SELLING and (late or self._finished(record, Side.SELL)):
            placed += self._buy(record, moment, weights, said, late)
        elif record.state is PlanState.BUYING:
            placed += self._place(record, moment, _unsent(record))
            finished = self._finished(record)
            if late or finished:
                state = PlanState.COMPLETED if finished else PlanState.EXPIRED
                said.append(self._say(record, moment, state, weights))
        return placed, said

    def supersede(self, record: PlanRecord, moment: SliceEvent, weights: dict[str, float], why: str) -> PlanProgress:
        """End a plan before its time, since a newer one takes its place; what was ordered of it goes on working."""
        unsent = (trade.symbol for trade in record.plan.trades if trade.symbol not in record.orders)
        return self._say(record, moment, PlanState.SUPERSEDED, weights, dict.fromkeys(unsent, why))

    def is_done(self, record: PlanRecord) -> bool:
        """Whether all of it has been sent and can fill no further, so that its next step ends it."""
        buys = any(trade.direction is Side.BUY for trade in record.plan.trades)
        sent = record.state is PlanState.BUYING or (record.state is PlanState.SELLING and not buys)
        return sent and self._finished(record)

    def _verdict(self, record: PlanRecord, late: bool) -> PlanState | None:
        if not (record.plan.requires_approval and record.plan.trades):
            return PlanState.SELLING
        if record.decision is not None and record.decision.verdict is Verdict.REFUSED:
            return PlanState.REFUSED
        if late or (record.decision is not None and record.decision.timestamp >= record.plan.valid_until):
            return PlanState.EXPIRED
        return None if record.decision is None else PlanState.SELLING

    def _buy(
        self, record: PlanRecord, moment: SliceEvent, weights: dict[str, float], said: list[PlanProgress], late: bool
    ) -> list[OrderIntent]:
        buys = [trade for trade in record.plan.trades if trade.direction is Side.BUY]
        if late:
            reasons = {trade.symbol: "the plan ran out before its sells had ended" for trade in buys}
            said.append(self._say(record, moment, PlanState.EXPIRED, weights, reasons))
            return []
        wanted, reasons = self._payable(record, moment, buys)
        orders = self._place(record, moment, wanted)
        state = PlanState.COMPLETED if self._finished(record) else PlanState.BUYING
        said.append(self._say(record, moment, state, weights, reasons))
        return orders

    def _sells(self, record: PlanRecord) -> list[Gap]:
        return [
            (False, trade.symbol, -trade.quantity)
            for trade in record.plan.trades
            if trade.direction is Side.SELL and trade.symbol not in record.orders
        ]

    def _payable(
        self, record: PlanRecord, moment: SliceEvent, buys: Sequence[PlannedTrade]
    ) -> tuple[list[Gap], dict[str, str]]:
        """Buys by rank within the cash there is now, and why each of the others is not among them."""
        book = self.book
        cash = book.cash - self.trading.cash_buffer * book.equity()
        dearer = 1.0 + self.rules.cost_allowance
        wanted: list[Gap] = []
        reasons: dict[str, str] = {}
        for trade in buys:
            symbol = trade.symbol
            ordered = record.orders.get(symbol)
            if ordered is not None:
                cash -= ordered.quantity * book.worth(symbol) * dearer
                continue
            if symbol not in moment.symbols:
                reasons[symbol] = "no bar at this moment"
                continue
            worth = book.worth(symbol) * dearer
            units = affordable(trade.quantity, cash, worth, self.trading) if self.rules.within_cash else trade.quantity
            if units < trade.quantity:
                reasons[symbol] = f"cash pays for {units:g} of {trade.quantity:g} units"
            if units:
                cash -= units * worth
                wanted.append((True, symbol, units))
        return wanted, reasons

    def _place(self, record: PlanRecord, moment: SliceEvent, wanted: Sequence[Gap]) -> list[OrderIntent]:
        plan = record.plan.plan_id if record.plan.requires_approval else None
        placed = intents(moment, wanted, self.book, self.trading, plan)
        for intent in placed:
            self.book.work(intent)
            record.orders[intent.symbol] = intent
        return placed

    def _finished(self, record: PlanRecord, side: Side | None = None) -> bool:
        """Whether every order, or every one of ``side``, can fill no further."""
        orders = record.orders.values()
        return all(self.reports.of(order).ended for order in orders if side is None or order.direction is side)

    def _say(
        self,
        record: PlanRecord,
        moment: SliceEvent,
        state: PlanState,
        weights: dict[str, float],
        reasons: dict[str, str] | None = None,
    ) -> PlanProgress:
        earlier = {each.symbol: each.reason for each in record.progress.trades} if record.progress else {}
        known = {symbol: reason for symbol, reason in earlier.items() if reason} | (reasons or {})
        ended = state in ENDED
        said = PlanProgress(
            plan_id=record.plan.plan_id,
            strategy_id=record.plan.strategy_id,
            timestamp=moment.timestamp,
            state=state,
            trades=tuple(self._trade(record, trade, state, ended, known) for trade in record.plan.trades),
            weights=weights,
        )
        record.progress = said
        return said

    def _trade(
        self, record: PlanRecord, trade: PlannedTrade, state: PlanState, ended: bool, reasons: dict[str, str]
    ) -> TradeProgress:
        order, reason = record.orders.get(trade.symbol), reasons.get(trade.symbol)
        so_far = TradeProgress(
            symbol=trade.symbol,
            direction=trade.direction,
            state=TradeState.PLANNED,
            planned=trade.quantity,
            reason=reason,
        )
        if order is None:
            decided = ended or (state is PlanState.BUYING and trade.direction is Side.BUY)
            if not decided:
                return so_far
            why = reason or f"the plan is {state.value}"
            return so_far.model_copy(update={"state": TradeState.SKIPPED, "reason": why})
        known = self.reports.of(order)
        done = known.ended or (ended and state is not PlanState.SUPERSEDED)
        return so_far.model_copy(
            update={
                "state": _state_of(known.filled, order.quantity, done),
                "ordered": order.quantity,
                "filled": known.filled,
                "reason": reason or known.reason,
            }
        )


def _unsent(record: PlanRecord) -> list[Gap]:
    """Buys that were said to be ordered and are not in the log: a crash came between the two."""
    said = record.progress.trades if record.progress else ()
    return [(True, each.symbol, each.ordered) for each in said if each.ordered and each.symbol not in record.orders]


def _state_of(filled: float, ordered: float, done: bool) -> TradeState:
    if filled >= ordered:
        return TradeState.FILLED
    if not done:
        return TradeState.ORDERED
    return TradeState.PARTIAL if filled else TradeState.UNFILLED


def orders_of(plan: RebalancePlan, known: Iterable[OrderIntent]) -> dict[str, OrderIntent]:
    """The orders that belong to ``plan``, the newest there is: all since its moment."""
    return {intent.symbol: intent for intent in known if intent.timestamp >= plan.timestamp}


def newest(before: PlanRecord | None, plan: RebalancePlan, known: Iterable[OrderIntent]) -> PlanRecord:
    """The record of ``plan`` when it is newer than the one at hand, else that."""
    if before is not None and before.plan.timestamp >= plan.timestamp:
        return before
    return PlanRecord(plan, orders=orders_of(plan, known))
