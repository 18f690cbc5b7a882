"""The stage that runs one strategy: bars and reports in, order intents out."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from operator import attrgetter

from contracts.base import Message
from contracts.codec import ErrorCode, FieldError, encode
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport, OrderIntent
from domain.bar_run import BarRun
from domain.ledger import UnknownDirectionError
from kernel.ports import Handler, Unprocessable, nothing_to_settle
from strategy_plane.engines.book import Book
from strategy_plane.engines.orders import (
    Gap,
    InvalidTargetError,
    TradingRules,
    gaps,
    gaps_within,
    intents,
    unit_gaps_within,
    unmet,
)
from strategy_plane.engines.portfolio_report import alert, portfolio_state
from strategy_plane.engines.rebalance_calendar import SymbolCalendar
from strategy_plane.engines.slices import SliceAssembler
from strategy_plane.history import Vector
from strategy_plane.strategies.port import (
    Alarm,
    Ask,
    Basis,
    Frequency,
    PortfolioError,
    Skimmer,
    Strategy,
    Targets,
    Watchful,
)

_symbol = attrgetter("symbol")
_UNITS, _WEIGHTS = Basis.UNITS, Basis.WEIGHTS  # looking a member up by name costs more than comparing it


class SingleStrategyEngine:
    """Asks one strategy for targets at each complete slice and trades the difference to its own book.

    The difference counts working intents, so an unanswered order is not placed twice, and a rejected or
    expired one frees its part of the gap for the next decision.
    """

    def __init__(
        self,
        strategy: Strategy,
        slices: SliceAssembler,
        book: Book,
        rules: TradingRules,
        *,
        publish_portfolio: bool = False,
    ) -> None:
        self._strategy = strategy
        self._slices = slices
        self._rules = rules
        self._publish_portfolio = publish_portfolio
        self._marks = book.marks
        self._logged = book.logged
        self._on_strategy_bar = strategy.on_bar
        self._ask: Ask = strategy.decide
        self._at_once = strategy.at_once if isinstance(strategy, Watchful) else None
        period = strategy.period
        self._period = 1 if isinstance(period, Frequency) else period
        self._calendar = SymbolCalendar(period) if isinstance(period, Frequency) else None
        self._until_due = strategy.warm_up
        self._pairs = book.currencies.pairs
        skims = period == 1 and not self._pairs
        self._skim = strategy.skim if skims and isinstance(strategy, Skimmer) else None
        self._wanted: Targets | None = None
        self._met: Targets | None = None
        self._met_version = -1
        self._decided: datetime | None = None
        self._act_on = partial(self._act, self._decide_on_rates if self._pairs else self._decide)
        self.book = book

    settle = staticmethod(nothing_to_settle)

    @property
    def handlers(self) -> Mapping[type[Message], Handler]:
        """Bars, slices and execution reports."""
        return {
            BarEvent: partial(self._slices.on_bar, self._act_on),
            SliceEvent: partial(self._slices.on_slice, self._act_on),
            ExecutionReport: self._on_report,
        }

    @property
    def dormant(self) -> bool:
        """A strategy always listens."""
        return False

    def sweep(self, messages: Sequence[Message], begin: int, end: int) -> tuple[int, Sequence[Message]]:
        """Handle messages up to the first slice at which something is said."""
        if self._skim is None or not isinstance(messages, BarRun):
            return self._slices.sweep(self._act_on, messages, begin, end)
        place = begin
        while place < end:
            said: Sequence[Message] = ()
            if not place % 2:
                place, said = self._skim_run(self._skim, messages, place, end)
            if not said and place < end:
                next_bar = place + 2 - place % 2
                place, said = self._slices.sweep(self._act_on, messages, place, min(next_bar, end))
            if said:
                return place, said
        return end, ()

    def _skim_run(
        self, skim: Callable[[str, Vector, int, int], int], run: BarRun, begin: int, end: int
    ) -> tuple[int, Sequence[Message]]:
        """Pass over moments at which there is nothing to trade; returns the first place not taken, and what is said.

        As long as the strategy wants what it wanted, and that is met, asking it anew says nothing.
        """
        first, last = begin // 2, end // 2
        if first == last or not self._is_quiet() or not self._slices.takes(run, first):
            return begin, ()
        taken = skim(run.symbol, run.closes, first, last)
        if taken == first:
            return begin, ()
        moment = run.moment(taken - 1)
        self._marks[run.symbol] = run.closes.item(taken - 1)
        self._decided = moment.timestamp
        self._slices.pass_over(self._decided)
        return 2 * taken, self._decide(moment, self._ask)

    def _is_quiet(self) -> bool:
        """Whether each moment is one of decision, and what the strategy wanted at the last one is met."""
        met = self._wanted is None or (self._wanted is self._met and self.book.version == self._met_version)
        return met and self._until_due == 1 and not self._logged and not self._publish_portfolio

    def restore(self, message: Message) -> None:
        """Fold in what was handled, or said, before a restart; topics may come in any order.

        Takes bars, slices, reports and this strategy's own intents from the log; decides nothing.
        """
        if isinstance(message, BarEvent):
            self._slices.on_bar(partial(self._act, _say_nothing), message)
        elif isinstance(message, SliceEvent):
            self._slices.on_slice(partial(self._act, _say_nothing), message)
        elif isinstance(message, OrderIntent):
            if message.strategy_id == self._rules.strategy_id:
                self.book.log(message, self._decided)
        elif isinstance(message, ExecutionReport) and message.strategy_id == self._rules.strategy_id:
            with suppress(UnknownDirectionError):  # it became a dead letter when it was handled
                self.book.report(message)

    def _on_report(self, report: ExecutionReport) -> Sequence[Message]:
        if report.strategy_id == self._rules.strategy_id:
            try:
                self.book.report(report)
            except UnknownDirectionError:
                missing = FieldError("/direction", "required once anything is filled", ErrorCode.SCHEMA_INVALID)
                raise Unprocessable(missing) from None
        return ()

    def _act(
        self, decide: Callable[[SliceEvent, Ask], Sequence[Message]], moment: SliceEvent, bars: Sequence[BarEvent]
    ) -> Sequence[Message]:
        """Learn the bars of ``moment``, ``decide`` when it is time to or cannot wait, and leave the moment behind."""
        marks, on_bar = self._marks, self._on_strategy_bar
        if self._pairs:
            bars = self.book.quote(bars)
        if not bars:  # a moment of exchange rates, or of symbols outside the universe, is none of this strategy
            return ()
        for bar in bars:
            fields = bar.__dict__
            marks[fields["symbol"]] = fields["close"]
            on_bar(bar)
        ask = self._ask_now(moment, bars)
        said = () if ask is None else decide(moment, ask)
        self._decided = moment.timestamp
        if self._logged:
            self.book.advance(self._decided)
        if self._publish_portfolio:
            return [*said, portfolio_state(moment, self._rules.strategy_id, self.book)]
        return said

    def _ask_now(self, moment: SliceEvent, bars: Sequence[BarEvent]) -> Ask | None:
        """What the strategy is asked at ``moment``; nothing at a late one, after which what was due is still due."""
        self._until_due -= 1
        calendar = self._calendar
        due = self._until_due < 1 and (calendar is None or calendar.is_due(moment.timestamp, map(_symbol, bars)))
        if moment.late:
            return None
        if not due:
            return self._at_once
        self._until_due = self._period
        if calendar is not None:
            calendar.decided(map(_symbol, bars))
        return self._ask

    def _decide(self, moment: SliceEvent, ask: Ask) -> Sequence[Message]:
        try:
            targets = self._wanted = ask(moment, self.book)
            if targets is None or (targets is self._met and self.book.version == self._met_version):
                return ()
            found, broken = self._compare(targets, moment)
        except PortfolioError as fault:
            return (alert(moment, Alarm("PORTFOLIO_UNKNOWN", str(fault))),)
        except InvalidTargetError as fault:
            return (alert(moment, Alarm("INVALID_TARGET", str(fault))),)
        placed = self._place(moment, found) if found else ()
        if targets.alarm is None and broken is None:
            return placed
        return [*placed, *(alert(moment, alarm) for alarm in (targets.alarm, broken) if alarm)]

    def _decide_on_rates(self, moment: SliceEvent, ask: Ask) -> Sequence[Message]:
        unrated = self.book.unrated(moment.symbols) if ask is self._ask else None
        said = self._decide(moment, ask)
        return [*said, alert(moment, unrated)] if unrated else said

    def _compare(self, targets: Targets, moment: SliceEvent) -> tuple[Sequence[Gap], Alarm | None]:
        """What is to be traded now, and an alarm when that leaves a bound broken."""
        if targets.bounds and targets.basis is _WEIGHTS:
            return gaps_within(targets, moment, self.book, self._rules)
        wanted = unmet(targets, self.book, self._rules)
        if wanted and targets.bounds:
            return unit_gaps_within(targets.bounds, wanted, moment, self.book, self._rules)
        if wanted:
            return gaps(wanted, moment, self.book, self._rules), None
        if targets.basis is _UNITS and targets.alarm is None:
            self._met, self._met_version = targets, self.book.version
        return (), None

    def _place(self, moment: SliceEvent, found: Sequence[Gap]) -> Sequence[Message]:
        placed: list[Message] = []
        for intent in intents(moment, found, self.book, self._rules):
            logged = self._logged.get(intent.intent_id) if self._logged else None
            if logged is None:
                self.book.work(intent)
            elif encode(logged) != encode(intent):
                continue  # a wish is said once; what the log holds may already have been acted on
            placed.append(intent)
        return placed


def _say_nothing(moment: SliceEvent, ask: Ask) -> Sequence[Message]:
    return ()
