"""Targets become lots, gaps and intents."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from contracts.codec import decode, encode
from contracts.market import SliceEvent
from contracts.trading import OrderIntent, OrderType, Side
from domain.currency import currencies_of
from domain.ids import intent_id
from strategy_plane.engines.book import Book
from strategy_plane.engines.orders import InvalidTargetError, TradingRules, gaps, intents, unmet
from strategy_plane.sizing import whole_lots
from strategy_plane.strategies.port import Basis, PortfolioError, Targets

NOW = datetime(2024, 1, 2, tzinfo=UTC)
MOMENT = SliceEvent(timestamp=NOW, bar_size="1d", symbols=("A", "B", "C"))
RULES = TradingRules("s")


@pytest.fixture
def book() -> Book:
    book = Book(10_000.0)
    book.marks.update(A=100.0, B=50.0, C=20.0)
    held = OrderIntent(
        intent_id=intent_id("s", "B", NOW - timedelta(days=1)),
        symbol="B",
        direction=Side.BUY,
        quantity=10.0,
        order_type=OrderType.MARKET,
        timestamp=NOW - timedelta(days=1),
    )
    book.work(held)
    return book


def found(targets: Targets, book: Book, rules: TradingRules = RULES) -> dict[str, float]:
    return {symbol: gap for _, symbol, gap in gaps(unmet(targets, book, rules), MOMENT, book, rules)}


@pytest.mark.parametrize(
    ("units", "lot", "expected"),
    [
        (2.9, 1.0, 2.0),
        (-2.9, 1.0, -2.0),
        (0.3, 0.1, 0.3),
        (99.9999999999, 1.0, 100.0),
        (250.0, 100.0, 200.0),
        (0, 1, 0),
    ],
)
def test_units_are_cut_towards_zero_to_whole_lots(units: float, lot: float, expected: float):
    assert whole_lots(units, lot) == pytest.approx(expected)


def test_the_gap_counts_what_is_working(book: Book):
    assert found(Targets({"A": 7.0, "B": 4.0}, Basis.UNITS), book) == {"A": 7.0, "B": -6.0}


def test_weights_are_fractions_of_equity_at_the_close(book: Book):
    assert found(Targets({"A": 0.255, "B": 0.05, "C": -0.1}), book) == {"A": 25.0, "C": -50.0}


def test_sells_come_before_buys_and_symbols_in_order(book: Book):
    wanted = unmet(Targets({"C": 1.0, "B": 0.0, "A": 1.0}, Basis.UNITS), book, RULES)
    assert [symbol for _, symbol, _ in gaps(wanted, MOMENT, book, RULES)] == ["B", "A", "C"]


def test_symbols_without_a_bar_now_are_left_alone(book: Book):
    book.marks["D"] = 10.0
    assert found(Targets({"D": 5.0, "E": 5.0}, Basis.UNITS), book) == {}
    assert found(Targets({"D": 0.1, "E": 0.1}), book) == {}


def test_small_changes_are_left_alone_unless_they_close(book: Book):
    by_value = TradingRules("s", min_trade_value=600.0)
    by_band = TradingRules("s", no_trade_band=0.06)
    for rules in (by_value, by_band):
        assert found(Targets({"A": 5.0, "B": 5.0}, Basis.UNITS), book, rules) == {}
        assert found(Targets({"A": 6.0, "B": 0.0}, Basis.UNITS), book, rules) == {"A": 6.0, "B": -10.0}


@pytest.mark.parametrize("units", [math.nan, math.inf, -math.inf, 1e300])
def test_an_impossible_target_is_refused(book: Book, units: float):
    with pytest.raises(InvalidTargetError, match="target for A"):
        found(Targets({"A": units}, Basis.UNITS), book)


def test_weights_need_positive_equity():
    with pytest.raises(PortfolioError, match="not positive"):
        unmet(Targets({"A": 0.5}), Book(0.0), RULES)


def test_an_intent_is_a_valid_message_with_a_derived_name(book: Book):
    (order,) = intents(MOMENT, [(True, "A", 7.0)], book, RULES)
    assert decode(encode(order)) == order
    assert order.intent_id == intent_id("s", "A", NOW)
    assert (order.direction, order.quantity, order.order_type) == (Side.BUY, 7.0, OrderType.MARKET)
    assert (order.timestamp, order.valid_until, order.limit_price) == (NOW, NOW + timedelta(days=5), None)


@pytest.mark.parametrize(("gap", "offset", "price"), [(7.0, 10.0, 99.9), (-7.0, 10.0, 100.1), (7.0, -10.0, 100.1)])
def test_a_limit_asks_for_better_than_the_close(book: Book, gap: float, offset: float, price: float):
    rules = TradingRules("s", order_type=OrderType.LIMIT, limit_offset_bps=offset)
    (order,) = intents(MOMENT, [(gap > 0, "A", gap)], book, rules)
    assert order.limit_price == pytest.approx(price)
    assert decode(encode(order)) == order


def test_weights_leave_the_cash_buffer_uninvested_and_units_do_not_know_it():
    book = Book(10_000.0)
    book.marks["A"] = 100.0
    kept = TradingRules("s", cash_buffer=0.2)
    assert unmet(Targets({"A": 0.5}), book, kept) == {"A": pytest.approx(40.0)}
    assert unmet(Targets({"A": 50.0}, Basis.UNITS), book, kept) == {"A": 50.0}


def test_what_has_no_exchange_rate_is_left_alone_until_it_has_one():
    book = Book(10_000.0, currencies_of("USD", {"A": "KRW"}))
    book.marks |= {"A": 50_000.0, "B": 10.0}
    rules, wanted = TradingRules("s", min_trade_value=399.0), Targets({"A": 0.04, "B": 0.04})
    moment = MOMENT.model_copy(update={"symbols": ("A", "B")})
    assert [symbol for _, symbol, _ in gaps(unmet(wanted, book, rules), moment, book, rules)] == ["B"]
    assert book.unrated(("A", "B")).detail.endswith("A (KRW)")
    book.marks["USDKRW"] = 1250.0
    assert gaps(unmet(wanted, book, rules), moment, book, rules) == [(True, "A", 10.0), (True, "B", 40.0)]
    assert book.unrated(("A", "B")) is None
