"""The book folds intents and reports to the same holdings whatever their order."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from contracts.control import PortfolioState, RiskAlert
from contracts.market import SliceEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus, OrderType, Side
from domain.ids import intent_id
from strategy_plane.engines.book import Book
from strategy_plane.engines.portfolio_report import portfolio_state
from strategy_plane.strategies.port import PortfolioError

START = datetime(2024, 1, 1, tzinfo=UTC)


def intent(quantity: float = 10.0, side: Side = Side.BUY, day: int = 0, symbol: str = "A") -> OrderIntent:
    moment = START + timedelta(days=day)
    return OrderIntent(
        intent_id=intent_id("s", symbol, moment),
        symbol=symbol,
        direction=side,
        quantity=quantity,
        order_type=OrderType.MARKET,
        timestamp=moment,
    )


def report(of: OrderIntent, status: OrderStatus, filled: float = 0.0, sequence: int = 1) -> ExecutionReport:
    return ExecutionReport(
        intent_id=of.intent_id,
        order_id="1",
        symbol=of.symbol,
        status=status,
        filled_quantity=filled,
        avg_fill_price=100.0 if filled else None,
        timestamp=of.timestamp,
        reject_reason="no" if status is OrderStatus.REJECTED else None,
        sequence=sequence,
        direction=of.direction,
    )


@pytest.fixture
def book() -> Book:
    return Book(1000.0)


def test_a_working_intent_counts_as_held(book: Book):
    book.work(intent(10.0))
    book.work(intent(4.0, Side.SELL, day=1))
    assert book.holding("A") == 6.0
    assert book.symbols == ("A",)
    assert book.positions == {}


def test_a_partial_fill_moves_units_from_working_to_held(book: Book):
    order = intent(10.0)
    book.work(order)
    book.report(report(order, OrderStatus.PARTIAL_FILL, 4.0))
    assert book.positions == {"A": 4.0}
    assert book.holding("A") == 10.0


@pytest.mark.parametrize("status", [OrderStatus.REJECTED, OrderStatus.CANCELED, OrderStatus.EXPIRED])
def test_an_order_that_ended_frees_what_it_did_not_fill(book: Book, status: OrderStatus):
    order = intent(10.0)
    book.work(order)
    book.report(report(order, OrderStatus.PARTIAL_FILL, 4.0, 1))
    book.report(report(order, status, 4.0, 2))
    assert book.holding("A") == 4.0


def test_a_doubtful_order_still_counts(book: Book):
    order = intent(10.0)
    book.work(order)
    book.report(report(order, OrderStatus.IN_DOUBT))
    assert book.holding("A") == 10.0


def test_any_order_and_number_of_facts_gives_the_same_book():
    order = intent(10.0)
    facts = [
        order,
        report(order, OrderStatus.ACKNOWLEDGED, 0.0, 1),
        report(order, OrderStatus.PARTIAL_FILL, 4.0, 2),
        report(order, OrderStatus.PARTIAL_FILL, 7.0, 3),
        report(order, OrderStatus.CANCELED, 7.0, 4),
    ]
    for ordered in permutations(facts):
        book = Book(1000.0)
        for fact in (*ordered, *ordered):
            book.work(fact) if isinstance(fact, OrderIntent) else book.report(fact)
        assert (book.holding("A"), book.cash, book.symbols) == (7.0, 300.0, ("A",))


def test_a_late_report_of_a_smaller_fill_changes_nothing(book: Book):
    order = intent(10.0)
    book.work(order)
    book.report(report(order, OrderStatus.PARTIAL_FILL, 7.0, 3))
    book.report(report(order, OrderStatus.PARTIAL_FILL, 4.0, 2))
    assert (book.positions["A"], book.holding("A")) == (7.0, 10.0)


def test_a_fill_known_before_its_intent_reduces_what_is_working(book: Book):
    order = intent(10.0)
    book.report(report(order, OrderStatus.PARTIAL_FILL, 4.0))
    book.work(order)
    assert book.holding("A") == 10.0


def test_an_intent_of_a_moment_not_yet_decided_does_not_count(book: Book):
    order = intent(10.0, day=5)
    book.log(order, START)
    assert book.holding("A") == 0.0
    book.advance(order.timestamp)
    assert book.holding("A") == 10.0
    assert not book.logged


def test_the_version_changes_with_every_holding(book: Book):
    order = intent(10.0)
    versions = [book.version]
    book.work(order)
    versions.append(book.version)
    book.report(report(order, OrderStatus.ACKNOWLEDGED))
    assert book.version == versions[-1]
    book.report(report(order, OrderStatus.FILLED, 10.0, 2))
    versions.append(book.version)
    assert len(set(versions)) == 3


def test_weights_count_working_orders_at_the_newest_close(book: Book):
    book.marks["A"] = 10.0
    book.work(intent(20.0))
    assert book.weight("A") == pytest.approx(0.2)
    assert book.weight("B") == 0.0


def test_a_book_that_cannot_be_valued_says_why(book: Book):
    order = intent(1.0)
    book.work(order)
    with pytest.raises(PortfolioError, match="A is worked"):
        book.weight("A")
    book.report(report(order, OrderStatus.FILLED, 1.0))
    with pytest.raises(PortfolioError, match="A is held"):
        book.equity()
    broke = Book(0.0)
    broke.marks["A"] = 10.0
    broke.work(intent(1.0))
    with pytest.raises(PortfolioError, match="not positive"):
        broke.weight("A")


def test_a_worth_beyond_what_a_message_can_say_is_an_alarm_and_stops_nothing(book: Book):
    book.report(report(intent(2e9), OrderStatus.FILLED, 2e9))
    book.marks["A"] = 1e6  # equity is 1.8e15
    with pytest.raises(PortfolioError, match=r"more than 1e\+15"):
        book.equity()
    moment = SliceEvent(timestamp=START, bar_size="1d", symbols=("A",))
    assert isinstance(portfolio_state(moment, "s", book), RiskAlert)
    book.marks["A"] = 100.0
    assert isinstance(portfolio_state(moment, "s", book), PortfolioState)
