"""Plans keep to cash, lots and caps whatever is held and wanted, and do not depend on the names of symbols."""

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from strategy_books import book_of

from contracts.control import RebalancePlan
from contracts.market import SliceEvent
from contracts.plan_content import content_hash
from contracts.trading import Side
from strategy_plane.engines.book import Book
from strategy_plane.engines.orders import TradingRules
from strategy_plane.engines.plans import RebalanceRules, propose
from strategy_plane.strategies.port import Targets

MOMENT = datetime(2024, 1, 2, 21, tzinfo=UTC)
NAMES = ("A", "B", "C", "D")
quick = settings(max_examples=150, deadline=None)
markets = st.fixed_dictionaries({name: st.floats(1.0, 500.0) for name in NAMES})
held = st.fixed_dictionaries({name: st.integers(0, 40) for name in NAMES})
wanted = st.dictionaries(st.sampled_from(NAMES), st.floats(0.0, 0.6), max_size=4)
lots = st.sampled_from([1.0, 10.0, 0.01])
caps = st.sampled_from([0.1, 0.5, 5.0])
buffers = st.sampled_from([0.0, 0.05])


def plan_of(
    prices: dict[str, float], units: dict[str, int], targets: dict[str, float], lot: float, cap: float, buffer: float
) -> tuple[RebalancePlan, Book]:
    book = book_of(prices, units, cash=100_000.0)
    moment = SliceEvent(timestamp=MOMENT, bar_size="1d", symbols=tuple(prices))
    trading = TradingRules("s", lot=lot, cash_buffer=buffer)
    return propose(moment, Targets(targets), book, trading, RebalanceRules(turnover_cap=cap), ["test"]), book


@quick
@given(prices=markets, units=held, targets=wanted, lot=lots, cap=caps, buffer=buffers)
def test_a_plan_keeps_cash_lots_order_and_cap(prices, units, targets, lot, cap, buffer):
    plan, book = plan_of(prices, units, targets, lot, cap, buffer)
    equity, cash = book.equity(), book.cash
    sides = [trade.direction for trade in plan.trades]
    assert all(not (before is Side.BUY and after is Side.SELL) for before, after in pairwise(sides))
    for trade in plan.trades:
        assert abs(trade.quantity / lot - round(trade.quantity / lot)) < 1e-6
        cash += (trade.quantity if trade.direction is Side.SELL else -trade.quantity) * prices[trade.symbol]
    if Side.BUY in sides:
        assert cash >= buffer * equity - 1e-6 * equity
    moved = sum(trade.quantity * prices[trade.symbol] for trade in plan.trades)
    assert moved <= cap * equity + 2 * len(NAMES) * lot * max(prices.values())
    assert {trade.symbol for trade in plan.trades} <= targets.keys()
    assert plan.content_hash == content_hash(plan)


@quick
@given(prices=markets, units=held, targets=wanted, lot=lots, cap=caps, buffer=buffers)
def test_other_names_give_the_same_plan_under_other_names(prices, units, targets, lot, cap, buffer):
    renamed = dict(zip(NAMES, ("Z", "Y", "X", "W"), strict=True))
    plain, _ = plan_of(prices, units, targets, lot, cap, buffer)
    other, _ = plan_of(
        {renamed[name]: price for name, price in prices.items()},
        {renamed[name]: count for name, count in units.items()},
        {renamed[name]: weight for name, weight in targets.items()},
        lot,
        cap,
        buffer,
    )
    assert [(renamed[t.symbol], t.direction) for t in plain.trades] == [(t.symbol, t.direction) for t in other.trades]
    for one, two in zip(plain.trades, other.trades, strict=True):
        assert abs(one.quantity - two.quantity) <= lot * 1.001  # equity is summed in another order


@quick
@given(prices=markets, units=held, targets=wanted, lot=lots, cap=caps, buffer=buffers)
def test_the_same_question_gives_the_same_bytes(prices, units, targets, lot, cap, buffer):
    first, _ = plan_of(prices, units, targets, lot, cap, buffer)
    again, _ = plan_of(prices, units, targets, lot, cap, buffer)
    assert first.model_dump_json() == again.model_dump_json()
