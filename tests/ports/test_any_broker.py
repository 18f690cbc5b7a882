"""What every broker promises, over the paper venue and over Interactive Brokers with each client library."""

import time
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from contracts.market import BarEvent
from contracts.trading import OrderIntent, OrderType, Side, TimeInForce
from domain.calendar import always_open
from domain.costs import BasisPointSlippage, PerOrder
from ibkr_client.lifeline import Address
from order_plane.brokers.ibkr import IbkrBroker, IbkrTerms
from order_plane.brokers.paper import PaperBroker
from order_plane.brokers.paper_store import MemoryPaperStore
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown
from order_plane.brokers.sqlite_paper_store import SqlitePaperStore
from order_plane.effects import CancelOrder, ReplaceOrder, SubmitOrder
from order_plane.facts import FactKind
from order_plane.lifecycle import Status, history_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

ACCOUNT = "DU1234567"
OPEN = datetime(2024, 7, 10, 13, 30, tzinfo=UTC)


class Harness:
    """A broker, the facts it told so far, and what makes its market go on."""

    def __init__(self, broker):
        self.broker, self.facts, self.minutes = broker, [], 0

    def submit(self, order):
        self.facts += self.broker.submit(order)

    def trade(self, symbols=("AAPL", "MSFT")):
        self.minutes += 1
        at = OPEN + timedelta(minutes=self.minutes)
        for symbol in symbols:
            self.broker.observe(
                BarEvent(symbol=symbol, timestamp=at, open=200.0, high=201.0, low=199.0, close=200.0, volume=1e6)
            )

    def wait(self, *kinds):
        """Facts of these kinds, in any order of the orders."""
        deadline = time.monotonic() + 15
        while sorted(fact.kind.value for fact in self.facts) != sorted(kinds):
            assert time.monotonic() < deadline, self.facts
            self.facts += self.broker.drain()
            time.sleep(0.01)
        return self.facts


@contextmanager
def paper(tmp_path, store):
    broker = PaperBroker(
        calendar=always_open(date(2024, 1, 1), date(2024, 12, 31)),
        commission=PerOrder(1.0),
        slippage=BasisPointSlippage(0.0),
        store=store,
    )
    yield broker
    broker.close()


@contextmanager
def gateway(tmp_path, library, simulator):
    address = Address("127.0.0.1", simulator.port, 1, patience=3.0)
    terms = IbkrTerms(address, ACCOUNT, tmp_path / "ids.sqlite", paper_ports=frozenset({simulator.port}))
    broker = IbkrBroker(terms, {}, library)
    yield broker
    broker.close()


@pytest.fixture(params=["memory", "sqlite", "ib_insync", "ib_async"])
def harness(request, tmp_path):
    if request.param.startswith("ib_"):
        request.getfixturevalue("library_of")(request.param)
        made = gateway(tmp_path, request.param, request.getfixturevalue("simulator"))
    else:
        memory = request.param == "memory"
        made = paper(tmp_path, MemoryPaperStore() if memory else SqlitePaperStore(tmp_path / "venue.sqlite"))
    with made as broker:
        yield Harness(broker)


def an_order(number=1, **changes):
    fields = {
        "intent_id": UUID(int=number),
        "symbol": "AAPL",
        "direction": Side.BUY,
        "quantity": 10.0,
        "order_type": OrderType.MARKET,
        "timestamp": OPEN,
        "time_in_force": TimeInForce.GTC,
    }
    return SubmitOrder(OrderIntent(**{**fields, **changes}), ACCOUNT)


def a_resting_order(number=1, **changes):
    return an_order(number, **{"order_type": OrderType.LIMIT, "limit_price": 10.0, **changes})


def a_cancel(number=1):
    return CancelOrder(UUID(int=number), "o", ACCOUNT, f"c{number}")


def test_an_order_is_acknowledged_at_once_and_works(harness):
    harness.submit(a_resting_order())
    (fact,) = harness.facts
    assert (fact.kind, fact.intent_id, fact.timestamp) == (FactKind.ACK, UUID(int=1), OPEN)
    assert [(order.intent_id.int, order.order_id, order.symbol) for order in harness.broker.snapshot().open_orders] == [
        (1, fact.order_id, "AAPL")
    ]


def test_a_second_order_of_an_intent_is_never_accepted(harness):
    harness.submit(a_resting_order())
    with pytest.raises(BrokerStateUnknown):
        harness.submit(a_resting_order())
    assert len(harness.broker.snapshot().open_orders) == 1


@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"order_type": OrderType.LIMIT, "limit_price": 500.0},
        {"order_type": OrderType.STOP, "stop_price": 50.0},
        {"order_type": OrderType.STOP_LIMIT, "stop_price": 50.0, "limit_price": 500.0},
        {"order_type": OrderType.ADAPTIVE},
    ],
)
def test_every_type_of_order_trades(harness, terms):
    harness.submit(an_order(**terms))
    harness.trade()
    facts = harness.wait("ACK", "FILL")
    history = history_of(10.0, facts)
    assert (history.filled, history.commission) == (10.0, 1.0)
    assert history.average_price > 0
    assert harness.broker.snapshot().positions == {"AAPL": 10.0}
    assert harness.broker.snapshot().open_orders == ()


def test_a_cancel_ends_what_is_left(harness):
    harness.submit(a_resting_order())
    harness.facts += harness.broker.cancel(a_cancel())
    harness.wait("ACK", "CANCELLED")
    assert harness.broker.snapshot().open_orders == ()


RESTING = {
    OrderType.LIMIT: ({"limit_price": 10.0}, {"limit_price": 500.0}),
    OrderType.STOP: ({"stop_price": 900.0}, {"stop_price": 50.0}),
    OrderType.STOP_LIMIT: ({"stop_price": 900.0, "limit_price": 900.0}, {"stop_price": 50.0, "limit_price": 500.0}),
    OrderType.ADAPTIVE: ({"limit_price": 10.0}, {"limit_price": 500.0}),
}


@pytest.mark.parametrize("kind", RESTING)
def test_an_order_is_replaced_under_its_own_id_and_trades_as_it_is_then(harness, kind):
    before, after = RESTING[kind]
    harness.submit(an_order(order_type=kind, **before))
    (order,) = harness.broker.snapshot().open_orders
    harness.facts += harness.broker.replace(
        ReplaceOrder(an_order(order_type=kind, **before).intent, ACCOUNT, 6.0, **after)
    )
    assert harness.broker.snapshot().open_orders in ((order,), ())
    harness.trade()
    facts = harness.wait("ACK", "FILL", "CANCELLED")
    history = history_of(10.0, facts)
    assert (history.filled, history.status()) == (6.0, Status.CANCELLED)
    assert {fact.order_id for fact in facts} == {order.order_id}
    assert harness.broker.snapshot().positions == {"AAPL": 6.0}


@pytest.mark.parametrize("kind", RESTING)
def test_an_order_is_replaced_more_than_once(harness, kind):
    before, after = RESTING[kind]
    harness.submit(an_order(order_type=kind, **before))
    intent = an_order(order_type=kind, **before).intent
    for revision, (quantity, terms) in enumerate(((8.0, before), (7.0, before), (6.0, after)), start=1):
        change = ReplaceOrder(intent, ACCOUNT, quantity, request_id=f"r{revision}", revision=revision, **terms)
        harness.facts += harness.broker.replace(change)
    harness.trade()
    assert history_of(10.0, harness.wait("ACK", "FILL", "CANCELLED")).filled == 6.0
    assert harness.broker.snapshot().positions == {"AAPL": 6.0}


def test_a_market_order_stays_one_however_often_it_is_made_smaller_where_the_venue_says_so(harness):
    if not harness.broker.converts:
        pytest.skip("this venue makes no market order of another one, and its own trade at once")
    harness.submit(a_resting_order())
    harness.submit(an_order(2))
    for revision, quantity in enumerate((9.0, 8.0, 7.0), start=1):
        for order, at_market in ((a_resting_order(), True), (an_order(2), False)):
            name = f"r{revision}"
            change = ReplaceOrder(order.intent, ACCOUNT, quantity, None, None, at_market, name, revision)
            harness.facts += harness.broker.replace(change)
    harness.trade()
    harness.wait("ACK", "ACK", "FILL", "FILL", "CANCELLED", "CANCELLED")
    assert harness.broker.snapshot().positions == {"AAPL": 14.0}


def test_an_order_becomes_a_market_order_where_the_venue_says_so(harness):
    harness.submit(a_resting_order())
    change = ReplaceOrder(a_resting_order().intent, ACCOUNT, 10.0, at_market=True, request_id="r1")
    if not harness.broker.converts:
        with pytest.raises(BrokerRefused):
            harness.broker.replace(change)
        return
    harness.facts += harness.broker.replace(change)
    harness.trade()
    assert history_of(10.0, harness.wait("ACK", "FILL")).status() is Status.FILLED
    told = [fact for fact in harness.broker.lookup(UUID(int=1)) if fact.kind is FactKind.REPLACED]
    assert [(fact.fact_id, fact.quantity, fact.revision) for fact in told] == [("r1", 10.0, 1)]
    assert harness.broker.snapshot().positions == {"AAPL": 10.0}


def test_a_change_that_cannot_be_leaves_the_order_as_it_was(harness):
    terms = {"order_type": OrderType.LIMIT, "limit_price": 10.0}
    harness.submit(an_order(**terms))
    for change in (
        ReplaceOrder(an_order(**terms).intent, ACCOUNT, 11.0, 10.0),
        ReplaceOrder(an_order(**terms).intent, ACCOUNT, 0.0, 10.0),
        ReplaceOrder(an_order(**terms).intent, ACCOUNT, 5.0),
        ReplaceOrder(an_order(2, **terms).intent, ACCOUNT, 5.0, 11.0),
    ):
        with pytest.raises(BrokerRefused):
            harness.broker.replace(change)
    assert len(harness.broker.snapshot().open_orders) == 1
    harness.wait("ACK")


def test_what_is_finished_or_unknown_cannot_be_replaced(harness):
    harness.submit(an_order())
    harness.trade()
    harness.wait("ACK", "FILL")
    with pytest.raises(BrokerRefused):
        harness.broker.replace(ReplaceOrder(an_order().intent, ACCOUNT, 5.0))


def test_what_is_finished_or_unknown_cannot_be_cancelled(harness):
    harness.submit(an_order())
    harness.trade()
    harness.wait("ACK", "FILL")
    for number in (1, 2):
        with pytest.raises(BrokerRefused):
            harness.broker.cancel(a_cancel(number))


def test_an_order_is_found_by_its_intent_with_everything_that_became_of_it(harness):
    harness.submit(an_order())
    harness.trade()
    told = harness.wait("ACK", "FILL")
    assert set(harness.broker.lookup(UUID(int=1))) == set(told)
    assert harness.broker.lookup(UUID(int=2)) is None


def test_the_snapshot_shows_orders_executions_and_positions(harness):
    harness.submit(an_order())
    harness.submit(an_order(2, symbol="MSFT", direction=Side.SELL, quantity=3.0))
    harness.submit(a_resting_order(3))
    harness.trade()
    harness.wait("ACK", "FILL", "ACK", "FILL", "ACK")
    seen = harness.broker.snapshot()
    assert [(order.intent_id.int, order.filled) for order in seen.open_orders] == [(3, 0.0)]
    assert sorted((fact.intent_id.int, fact.quantity) for fact in seen.executions) == [(1, 10.0), (2, 3.0)]
    assert seen.positions == {"AAPL": 10.0, "MSFT": -3.0}


def test_news_are_told_once(harness):
    harness.submit(an_order())
    harness.trade()
    harness.wait("ACK", "FILL")
    harness.broker.lookup(UUID(int=1))
    harness.broker.snapshot()
    assert list(harness.broker.drain()) == []


def test_an_immediate_order_that_does_not_trade_is_cancelled(harness):
    harness.submit(a_resting_order(time_in_force=TimeInForce.IOC))
    harness.trade()
    facts = harness.wait("ACK", "CANCELLED")
    assert history_of(10.0, facts).status() is Status.CANCELLED
