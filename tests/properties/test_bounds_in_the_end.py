"""Whatever is held and wanted, by whatever lots and band: what is held in the end is within the strategy's bounds."""

from collections.abc import Mapping
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from strategy_books import book_of

from contracts.control import RebalancePlan
from contracts.market import SliceEvent
from contracts.trading import Side
from strategy_plane.engines.book import Book
from strategy_plane.engines.orders import TradingRules, gaps_within
from strategy_plane.engines.plans import RebalanceRules, broken_bounds, propose
from strategy_plane.engines.within_bounds import SLACK
from strategy_plane.strategies.port import Bound, Measure, Targets, exposure_bounds

MOMENT = datetime(2024, 1, 2, 21, tzinfo=UTC)
NAMES = ("A", "B", "C", "D", "E")
EQUITY = 100_000.0
NOISE = 1e-5
quick = settings(max_examples=300, deadline=None)
prices = st.fixed_dictionaries({name: st.floats(1.0, 9_000.0) for name in NAMES})
held = st.fixed_dictionaries({name: st.floats(-0.9, 0.9) for name in NAMES})
wanted = st.fixed_dictionaries({name: st.floats(-2.0, 2.0) for name in NAMES})
rules = st.builds(
    TradingRules,
    st.just("s"),
    lot=st.sampled_from([1.0, 10.0, 0.001]),
    no_trade_band=st.sampled_from([0.0, 0.02, 0.3]),
    min_trade_value=st.sampled_from([0.0, 10_000.0]),
    cash_buffer=st.sampled_from([0.0, 0.1]),
)


@st.composite
def limits(draw: st.DrawFn) -> tuple[Bound, ...]:
    box, gross, net = draw(st.floats(0.05, 1.0)), draw(st.floats(0.1, 2.0)), draw(st.floats(0.05, 1.0))
    boxes = [Bound(f"box of {name}", Measure.GROSS, box, frozenset((name,))) for name in NAMES]
    group = Bound("first two", Measure.NET_LONG, draw(st.floats(0.05, 1.0)), frozenset("AB"))
    return (*boxes, group, *exposure_bounds(gross, net, -draw(st.floats(0.0, 1.0)) * net))


def whole_lots_of(closes: Mapping[str, float], weights: Mapping[str, float], lot: float) -> Book:
    """A book of whole lots nearest to ``weights``."""
    units = {name: round(weights[name] * EQUITY / closes[name] / lot) * lot for name in NAMES}
    return book_of(closes, units, EQUITY)


def by_decision(
    targets: Targets, moment: SliceEvent, book: Book, trading: TradingRules
) -> tuple[dict[str, float], str | None]:
    found, alarm = gaps_within(targets, moment, book, trading)
    return {symbol: gap for _, symbol, gap in found}, alarm and alarm.detail


def by_plan(
    targets: Targets, moment: SliceEvent, book: Book, trading: TradingRules
) -> tuple[dict[str, float], str | None]:
    plan: RebalancePlan = propose(moment, targets, book, trading, RebalanceRules(within_cash=False), ["test"])
    alarm = broken_bounds(plan)
    traded = {t.symbol: t.quantity if t.direction is Side.BUY else -t.quantity for t in plan.trades}
    return traded, alarm and alarm.detail


def in_the_end(traded: Mapping[str, float], book: Book) -> dict[str, float]:
    return {name: (book.holding(name) + traded.get(name, 0.0)) * book.marks[name] / book.equity() for name in NAMES}


@quick
@given(closes=prices, before=held, aims=wanted, trading=rules, bounds=limits(), listed=st.sets(st.sampled_from(NAMES)))
def test_what_is_held_is_within_the_bounds_or_an_alert_names_the_one_that_is_not(
    closes, before, aims, trading, bounds, listed
):
    moment = SliceEvent(timestamp=MOMENT, bar_size="1d", symbols=tuple(sorted(listed)))
    for trade in (by_decision, by_plan):
        book = whole_lots_of(closes, before, trading.lot)
        traded, alarm = trade(Targets(aims, bounds=bounds), moment, book, trading)
        weights = in_the_end(traded, book)
        one_lot = max((trading.lot * closes[name] / book.equity() for name in listed), default=0.0)
        broken = [bound for bound in bounds if bound.over(weights) > max(SLACK * bound.limit, one_lot) + 2 * NOISE]
        assert all(bound.name in str(alarm) for bound in broken), (trade, weights)


@quick
@given(closes=prices, before=held, aims=wanted, trading=rules, bounds=limits())
def test_nothing_but_one_lot_keeps_it_from_the_bounds_when_everything_can_be_traded(
    closes, before, aims, trading, bounds
):
    moment = SliceEvent(timestamp=MOMENT, bar_size="1d", symbols=NAMES)
    waits = trading.no_trade_band or trading.min_trade_value
    for trade in (by_decision, by_plan):
        book = whole_lots_of(closes, before, trading.lot)
        traded, alarm = trade(Targets(aims, bounds=bounds), moment, book, trading)
        weights = in_the_end(traded, book)
        assert alarm is None
        one_lot = max(trading.lot * closes[name] / book.equity() for name in NAMES)
        sums = [bound.limit for bound in bounds if bound.measure is not Measure.GROSS]
        unavoidable = one_lot if min(sums) < 3.0 * one_lot else 0.0  # lots of either side may not fit each other
        for bound in bounds:
            allowed = max(unavoidable, SLACK * bound.limit if waits else 0.0)
            assert bound.over(weights) <= allowed + 2 * NOISE, (trade, bound, weights)


@quick
@given(closes=prices, before=held, aims=wanted, trading=rules)
def test_bounds_that_are_far_away_change_nothing(closes, before, aims, trading):
    moment = SliceEvent(timestamp=MOMENT, bar_size="1d", symbols=NAMES)
    book, far = whole_lots_of(closes, before, trading.lot), exposure_bounds(99.0, 99.0, -99.0)
    for trade in (by_decision, by_plan):
        free, _ = trade(Targets(aims), moment, book, trading)
        assert trade(Targets(aims, bounds=far), moment, book, trading) == (free, None)
