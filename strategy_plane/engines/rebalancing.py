"""The stage that trades by plans: on its calendar, after approval where it is required, sells before buys."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial

from contracts.base import Message
from contracts.codec import ErrorCode, FieldError
from contracts.control import AlertSeverity, PlanDecision, PlanProgress, PlanState, RebalancePlan, RiskAlert
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport, OrderIntent
from domain.ledger import UnknownDirectionError
from kernel.ports import Handler, Unprocessable, nothing_to_settle
from strategy_plane.engines.as_planned import AsPlanned
from strategy_plane.engines.book import Book
from strategy_plane.engines.orders import InvalidTargetError, TradingRules
from strategy_plane.engines.plan_execution import PlanExecution, PlanRecord, Reports, newest
from strategy_plane.engines.plans import (
    RebalanceRules,
    broken_bounds,
    held_weights,
    is_capped,
    left_alone,
    priced_by_now,
    propose,
)
from strategy_plane.engines.portfolio_report import alert, portfolio_state
from strategy_plane.engines.rebalance_calendar import RebalanceCalendar, drifted
from strategy_plane.engines.slices import SliceAssembler
from strategy_plane.engines.within_bounds import beyond
from strategy_plane.strategies.port import Alarm, PortfolioError, Strategy, Targets, Watchful

_AT_ONCE = "the strategy has bounds that what is held is beyond"
_BEYOND = "it aims at more than the strategy's bounds allow by now"
_UNDECIDED = "nobody decided on it before the next rebalance was due"
_UNCAPPED = "the turnover cap is left aside, since within it those bounds would not be kept"


class RebalancingEngine:
    """Asks its strategy for targets when a rebalance is due and carries one plan at a time out.

    A plan is made at the first complete moment of a period, again at later ones while the strategy wants nothing
    yet, for symbols without a price at that moment when they have one, and between periods when weights have drifted or
    the strategy cannot wait (`Watchful`). Its sells are sent at
    once or on approval; when all of them have ended, its buys follow in order as far as cash goes. What is then
    unfilled or skipped is reported and not ordered again. A plan at hand that aims beyond bounds which have become
    tighter is ended, waiting or not, and another takes its place.
    """

    def __init__(
        self,
        strategy: Strategy,
        slices: SliceAssembler,
        book: Book,
        trading: TradingRules,
        rules: RebalanceRules,
        *,
        publish_portfolio: bool = False,
    ) -> None:
        self._strategy = strategy
        self._at_once = strategy.at_once if isinstance(strategy, Watchful) else None
        self._slices = slices
        self._trading = trading
        self._rules = rules
        self._publish_portfolio = publish_portfolio
        self._calendar = RebalanceCalendar(rules.every)
        self._reports = Reports()
        self._execution = PlanExecution(book, self._reports, trading, rules)
        self._record: PlanRecord | None = None
        self._logged: list[OrderIntent] = []
        self._seen = 0
        self._moment: SliceEvent | None = None
        self.book = book

    settle = staticmethod(nothing_to_settle)

    @property
    def handlers(self) -> Mapping[type[Message], Handler]:
        """Bars, slices and execution reports; decisions on plans where these need approval."""
        act = partial(self._act, self._rebalance)
        found: dict[type[Message], Handler] = {
            BarEvent: partial(self._slices.on_bar, act),
            SliceEvent: partial(self._slices.on_slice, act),
            ExecutionReport: self._on_report,
        }
        return {**found, PlanDecision: self._on_decision} if self._rules.requires_approval else found

    def restore(self, message: Message) -> None:
        """Fold in what was handled, or said, before a restart; topics may come in any order.

        Takes bars, slices, reports, and this strategy's own intents, plans, their decisions and their progress.
        """
        if isinstance(message, BarEvent):
            self._slices.on_bar(partial(self._act, _nothing), message)
        elif isinstance(message, SliceEvent):
            self._slices.on_slice(partial(self._act, _nothing), message)
        elif getattr(message, "strategy_id", None) == self._trading.strategy_id:
            self._restore_own(message)

    def _restore_own(self, message: Message) -> None:
        if isinstance(message, OrderIntent):
            self._restore_intent(message)
        elif isinstance(message, ExecutionReport):
            with suppress(UnknownDirectionError):  # it became a dead letter when it was handled
                self._take(message)
        elif isinstance(message, RebalancePlan):
            self._record = newest(self._record, message, self._logged)
        elif self._record is not None and isinstance(message, PlanDecision):
            self._record.decide(message)
        elif self._record is not None and isinstance(message, PlanProgress):
            self._record.note(message)

    def _restore_intent(self, intent: OrderIntent) -> None:
        self._logged.append(intent)
        self.book.log(intent, self._decided)
        record = self._record
        if record is not None and intent.timestamp >= record.plan.timestamp:
            record.orders[intent.symbol] = intent

    @property
    def _decided(self) -> datetime | None:
        return self._moment.timestamp if self._moment else None

    def _on_report(self, report: ExecutionReport) -> Sequence[Message]:
        if report.strategy_id == self._trading.strategy_id:
            try:
                self._take(report)
            except UnknownDirectionError:
                missing = FieldError("/direction", "required once anything is filled", ErrorCode.SCHEMA_INVALID)
                raise Unprocessable(missing) from None
        return ()

    def _take(self, report: ExecutionReport) -> None:
        self.book.report(report)
        self._reports.take(report)

    def _on_decision(self, decision: PlanDecision) -> Sequence[Message]:
        """Act on an approval at once, as of the newest complete moment."""
        if decision.strategy_id != self._trading.strategy_id:
            return ()
        record = self._record
        if record is None or record.has_ended or not record.decide(decision):
            detail = f"decision of {decision.operator} is not on the plan that waits, or not on its content"
            return (
                RiskAlert(
                    timestamp=decision.timestamp,
                    severity=AlertSeverity.WARNING,
                    code="PLAN_DECISION_UNKNOWN",
                    detail=detail,
                ),
            )
        return self._guarded(self._carry_on, self._moment) if self._moment else ()

    def _act(
        self, decide: Callable[[SliceEvent], Sequence[Message]], moment: SliceEvent, bars: Sequence[BarEvent]
    ) -> Sequence[Message]:
        """Learn the bars of ``moment``, ``decide``, and leave the moment behind."""
        marks, on_bar = self.book.marks, self._strategy.on_bar
        if self.book.currencies.pairs:
            bars = self.book.quote(bars)
        if not bars:  # a moment of exchange rates, or of symbols outside the universe, is none of this strategy
            return ()
        for bar in bars:
            marks[bar.symbol] = bar.close
            on_bar(bar)
        self._seen += 1
        self._moment = moment
        self._calendar.note(moment.timestamp)
        said = () if moment.late else decide(moment)
        self.book.advance(moment.timestamp)  # after it, so that a repeated decision sees the book of the first
        if self._publish_portfolio:
            return [*said, portfolio_state(moment, self._trading.strategy_id, self.book)]
        return said

    def _rebalance(self, moment: SliceEvent) -> Sequence[Message]:
        steps = (self._withdraw, self._carry_on, self._propose)
        return [said for step in steps for said in self._guarded(step, moment)]

    def _guarded(self, act: Callable[[SliceEvent], Sequence[Message]], moment: SliceEvent) -> Sequence[Message]:
        try:
            return act(moment)
        except PortfolioError as fault:
            return (alert(moment, Alarm("PORTFOLIO_UNKNOWN", str(fault))),)
        except InvalidTargetError as fault:
            return (alert(moment, Alarm("INVALID_TARGET", str(fault))),)

    def _withdraw(self, moment: SliceEvent) -> Sequence[Message]:
        """End the plan at hand when it aims beyond bounds that are in force by now: what cannot wait waits for none."""
        record = self._record
        if record is None or record.has_ended or self._execution.is_done(record) or self._keeps(record.plan, moment):
            return ()
        said = self._execution.supersede(record, moment, held_weights(self.book), _BEYOND)
        detail = f"the plan of {record.plan.timestamp.isoformat()} is ended: {_BEYOND}"
        return (said, alert(moment, Alarm("PLAN_WITHDRAWN", detail)))

    def _keeps(self, plan: RebalancePlan, moment: SliceEvent) -> bool:
        """Whether the strategy would let what ``plan`` aims at wait for its next decision."""
        urgent = self._at_once(moment, AsPlanned(self.book, plan)) if self._at_once else None
        return urgent is None or not urgent.values

    def _carry_on(self, moment: SliceEvent) -> Sequence[Message]:
        """Take the next step of the plan at hand."""
        record = self._record
        if record is None or record.has_ended:
            return ()
        placed, said = self._execution.step(record, moment, held_weights(self.book))
        if record.state is None and self._calendar.is_due(record.plan.timestamp):
            said.append(self._execution.supersede(record, moment, held_weights(self.book), _UNDECIDED))
        return [*placed, *said]

    def _propose(self, moment: SliceEvent) -> Sequence[Message]:
        """Make a plan when one is due, and take its first step."""
        reasons, left = self._reasons(moment) if self._seen >= self._strategy.warm_up else ([], ())
        targets = self._strategy.decide(moment, self.book) if reasons else self._urgent(moment)
        if targets is not None and left:
            targets = replace(targets, values={each: targets.values[each] for each in targets.values if each in left})
        unrated = self.book.unrated(moment.symbols) if reasons else None
        alarms = [alert(moment, alarm) for alarm in (targets and targets.alarm, unrated) if alarm]
        if targets is None or not targets.values:
            return alarms
        plan = self._plan(moment, targets, reasons or [_AT_ONCE])
        broken = broken_bounds(plan)
        if broken:
            alarms.append(alert(moment, broken))
        if not reasons and not plan.trades:  # nothing of it is worth trading, and it would be said at every moment
            return alarms
        self._record = newest(None, plan, self._logged)
        return [*alarms, plan, *self._carry_on(moment)]

    def _plan(self, moment: SliceEvent, targets: Targets, reasons: list[str]) -> RebalancePlan:
        """The plan for ``targets``; one whose turnover cap would defeat the strategy's bounds goes all the way."""
        plan = propose(moment, targets, self.book, self._trading, self._rules, reasons)
        planned = AsPlanned(self.book, plan)
        weights = {symbol: planned.weight(symbol) for symbol in planned.symbols}
        if not is_capped(plan) or (self._keeps(plan, moment) and beyond(targets.bounds, weights, {}) is None):
            return plan
        free = replace(self._rules, turnover_cap=math.inf)
        return propose(moment, targets, self.book, self._trading, free, [*reasons, _UNCAPPED])

    def _urgent(self, moment: SliceEvent) -> Targets | None:
        """What cannot wait for the calendar; a plan at hand that keeps to it comes first."""
        if self._at_once is None or (self._record is not None and not self._record.has_ended):
            return None
        return self._at_once(moment, self.book)

    def _reasons(self, moment: SliceEvent) -> tuple[list[str], Sequence[str]]:
        """Why a plan is to be made now, none when it is not, and the symbols that it is for; for all without any."""
        record, period = self._record, f"{self._rules.every.value} rebalance of {self._calendar.period}"
        if record is not None and not record.has_ended:
            return [], ()
        if self._calendar.is_due(record.plan.timestamp if record else None):
            return [period], ()
        if record is None or record.progress is None:
            return [], ()
        if record.state is PlanState.SUPERSEDED and _AT_ONCE not in record.plan.reasons:
            return [f"the plan of {record.plan.timestamp.isoformat()} was ended before its time"], ()
        left = left_alone(record.plan) if record.is_carried_out else []
        priced = priced_by_now(left, moment, self.book)
        if priced:  # the plan is for all that are left, so that it names those who still lack a price
            return [f"{period}: no price before for {', '.join(priced[:10])}"], left
        moved = drifted(record.progress.weights, held_weights(self.book), self._rules.drift_band)
        why = f"weights drifted by more than {self._rules.drift_band:g}: {', '.join(moved[:10])}"
        return [why] if moved else [], ()


def _nothing(moment: SliceEvent) -> Sequence[Message]:
    return ()
