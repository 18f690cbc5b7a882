"""Orders of every kind through the real libraries, and what is refused before it leaves."""

from datetime import timedelta
from uuid import UUID

import pytest

from contracts.market import BarEvent
from contracts.trading import OrderType, Side, TimeInForce
from ibkr_client.contracts import ContractTerms
from ibkr_client.lifeline import Address
from order_plane.brokers.ibkr import IbkrBroker, IbkrTerms, WrongAccount
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, BrokerUnavailable, Preparing
from order_plane.effects import CancelOrder
from order_plane.facts import FactKind
from order_plane.gates import LiveTradingRefused
from order_plane.lifecycle import Status, history_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.mark.parametrize(
    "terms",
    [
        {"order_type": OrderType.LIMIT, "limit_price": 150.019},
        {"order_type": OrderType.LIMIT, "limit_price": 350.011, "direction": Side.SELL},
        {"order_type": OrderType.STOP, "stop_price": 400.011},
        {"order_type": OrderType.STOP, "stop_price": 100.019, "direction": Side.SELL},
        {"order_type": OrderType.STOP_LIMIT, "stop_price": 400.0, "limit_price": 401.0},
        {"order_type": OrderType.ADAPTIVE, "limit_price": 150.0},
    ],
)
def test_each_kind_of_order_works_at_prices_of_the_grid(desk, simulator, terms):
    broker = desk.broker(simulator)
    facts = broker.submit(desk.order(**terms))
    assert [fact.kind for fact in facts] == [FactKind.ACK]
    (order,) = simulator.state()["orders"]
    assert (order["order_ref"], order["filled"]) == (str(UUID(int=1)), 0)
    (working,) = broker.snapshot().open_orders
    assert working.intent_id == UUID(int=1)


def test_market_and_adaptive_orders_fill_with_their_commission(desk, simulator, told):
    broker = desk.broker(simulator)
    first = told(broker, broker.submit(desk.order(1)))
    fill = first.wait("ACK", "FILL")[1]
    assert (fill.quantity, fill.commission) == (10.0, 1.0)
    assert fill.price > 0
    assert fill.timestamp >= desk.order().intent.timestamp
    second = told(broker, broker.submit(desk.order(2, order_type=OrderType.ADAPTIVE, direction=Side.SELL)))
    second.wait("ACK", "FILL")
    assert broker.snapshot().positions == {}


def test_a_size_is_rounded_down_and_the_rest_is_reported_as_cancelled(desk, simulator, told):
    broker = desk.broker(simulator)
    facts = told(broker, broker.submit(desk.order(quantity=10.7))).wait("ACK", "FILL", "CANCELLED")
    assert history_of(10.7, facts).status() is Status.CANCELLED
    assert history_of(10.7, facts).filled == 10.0
    with pytest.raises(BrokerRefused, match="QUANTITY_TOO_SMALL"):
        broker.submit(desk.order(2, quantity=0.4))


def test_a_symbol_nobody_knows_is_refused_and_may_be_named_otherwise(desk, simulator):
    broker = desk.broker(simulator, contracts={"APPLE": ContractTerms(symbol="AAPL")})
    with pytest.raises(BrokerRefused, match="UNKNOWN_SYMBOL"):
        broker.submit(desk.order(symbol="NOPE"))
    broker.submit(desk.resting(2, symbol="APPLE"))
    assert [order.symbol for order in broker.snapshot().open_orders] == ["APPLE"]


def test_what_an_order_needs_is_asked_of_this_venue_before_the_order_is_sent(desk, simulator):
    broker = desk.broker(simulator)
    assert isinstance(broker, Preparing)
    assert broker.prepare(desk.order())
    with pytest.raises(BrokerRefused, match="UNKNOWN_SYMBOL"):
        broker.prepare(desk.order(symbol="NOPE"))
    assert simulator.state()["orders"] == []


def test_a_symbol_that_has_bars_is_looked_up_before_it_is_traded(desk, simulator, until):
    broker = desk.broker(simulator)
    at, prices = desk.order().intent.timestamp, {"open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0}
    for symbol in ("NOPE", "AAPL"):
        broker.observe(BarEvent(symbol=symbol, timestamp=at, volume=1.0, **prices))
    until(lambda: broker._venue.contracts.knows("AAPL"))
    assert [fact.kind for fact in broker.submit(desk.resting())] == [FactKind.ACK]


@pytest.mark.parametrize(
    ("options", "code"),
    [(("--read-only",), 321), (("--largest-order", "5"), 383), (("--price-band", "0.1"), 109)],
)
def test_what_the_gateway_refuses_never_becomes_an_order(desk, simulate, options, code):
    simulator = simulate(*options)
    broker = desk.broker(simulator)
    with pytest.raises(BrokerRefused, match=f"IBKR_{code}"):
        broker.submit(desk.resting())
    assert simulator.state()["orders"] == []
    assert broker.lookup(UUID(int=1)) is None or broker.lookup(UUID(int=1))[0].kind is FactKind.REJECT


def test_an_attempt_is_never_sent_twice_not_even_by_another_life(desk, simulator):
    first = desk.broker(simulator)
    first.submit(desk.resting())
    with pytest.raises(BrokerStateUnknown):
        first.submit(desk.resting())
    first.close()
    second = desk.broker(simulator)
    with pytest.raises(BrokerStateUnknown):
        second.submit(desk.resting())
    assert len(simulator.state()["orders"]) == 1
    second.submit(desk.resting(attempt=2))
    assert len(simulator.state()["orders"]) == 2


def test_order_ids_go_on_where_the_gateway_and_the_file_are(desk, simulator, tmp_path):
    first = desk.broker(simulator)
    first.submit(desk.resting(1))
    first.close()
    desk.path = tmp_path / "other.sqlite"
    second = desk.broker(simulator)
    (fact,) = second.submit(desk.resting(2))
    assert fact.order_id == "2"


def test_a_snapshot_lists_orders_of_others_orders_that_ended_and_cash(desk, simulator, told, tmp_path):
    stranger = desk.broker(simulator, client_id=2)
    stranger.submit(desk.resting(1))
    stranger.close()
    desk.path = tmp_path / "other.sqlite"
    broker = desk.broker(simulator)
    before = broker.snapshot()
    told(broker, broker.submit(desk.order(2))).wait("ACK", "FILL")
    after = broker.snapshot()
    (theirs,) = after.open_orders
    assert theirs.intent_id.int not in (1, 2)
    assert (theirs.symbol, theirs.direction, theirs.quantity) == ("AAPL", Side.BUY, 10.0)
    assert after.open_orders == before.open_orders
    (ended,) = after.completed_orders
    assert (ended.intent_id.int, ended.status, ended.filled) == (2, Status.FILLED, 10.0)
    (fill,) = after.executions
    assert after.cash == pytest.approx(before.cash - fill.quantity * fill.price - fill.commission)


def test_a_cancel_ends_an_order_and_a_second_one_is_refused(desk, simulator, told):
    broker = desk.broker(simulator)
    facts = told(broker, broker.submit(desk.resting()))
    facts.facts += broker.cancel(desk.a_cancel())
    facts.wait("ACK", "CANCELLED")
    for number in (1, 2):
        with pytest.raises(BrokerRefused):
            broker.cancel(desk.a_cancel(number))


def test_a_day_order_expires_with_its_session(desk, simulate, told):
    simulator = simulate("--start", "20240710 15:59:58")
    broker = desk.broker(simulator)
    told(broker, broker.submit(desk.resting())).wait("ACK", "EXPIRED")


def test_an_immediate_order_that_does_not_trade_is_cancelled(desk, simulator, told):
    broker = desk.broker(simulator)
    told(broker, broker.submit(desk.resting(time_in_force=TimeInForce.IOC))).wait("ACK", "CANCELLED")


def test_an_order_good_till_a_date_ends_then(desk, simulate, told):
    simulator = simulate("--start", "20240710 09:45:00")
    broker = desk.broker(simulator)
    until = desk.order().intent.timestamp + timedelta(minutes=15, seconds=3)
    order = desk.resting(time_in_force=TimeInForce.GTD, valid_until=until)
    told(broker, broker.submit(order)).wait("ACK", "EXPIRED")


@pytest.mark.parametrize(
    ("port", "account", "live", "paper_ports"),
    [
        (4001, "DU1", False, ()),
        (4002, "U1", False, ()),
        (7496, "DU1", True, ()),
        (4002, "U1", True, ()),
        (4001, "DU1", False, (4001,)),
        (5000, "DU1", False, ()),
    ],
)
def test_port_account_and_mode_must_agree(tmp_path, port, account, live, paper_ports):
    terms = IbkrTerms(
        Address("127.0.0.1", port, 1), account, tmp_path / "ids", live=live, paper_ports=frozenset(paper_ports)
    )
    with pytest.raises(WrongAccount):
        IbkrBroker(terms, {})


def test_live_trading_needs_the_gates_in_the_adapter_too(tmp_path):
    terms = IbkrTerms(Address("127.0.0.1", 4001, 1), "U1", tmp_path / "ids", live=True)
    with pytest.raises(LiveTradingRefused, match="LIVE_API"):
        IbkrBroker(terms, {})


@pytest.mark.parametrize("accounts", [("U1234567", "DU1234567"), ("DU7654321",)])
def test_a_gateway_with_other_accounts_is_not_used(desk, simulate, accounts):
    simulator = simulate(*(word for name in accounts for word in ("--account", name)))
    with pytest.raises(WrongAccount):
        desk.broker(simulator)


def test_a_gateway_that_is_not_there_or_has_the_client_id_in_use_is_unavailable(desk, simulator):
    desk.broker(simulator)
    with pytest.raises(BrokerUnavailable, match="326"):
        desk.broker(simulator)
    simulator.fault(do="drop_link", seconds=30)
    with pytest.raises(BrokerUnavailable):
        desk.broker(simulator, client_id=2)


def test_a_first_attempt_that_works_after_the_second_has_filled_is_told_and_cancelled_alone(desk, simulator, told):
    broker = desk.broker(simulator)
    heard = told(broker, broker.submit(desk.resting(1)))
    first = heard.facts[0].order_id
    heard.facts += broker.submit(desk.order(1, attempt=2))
    heard.wait("ACK", "ACK", "FILL")
    assert FactKind.SECOND_ORDER in [fact.kind for fact in broker.lookup(UUID(int=1))]
    heard.wait("ACK", "ACK", "FILL", "SECOND_ORDER")
    stray = CancelOrder(UUID(int=1), first, "DU1234567", "stray", stray=True)
    broker.cancel(stray)
    statuses = {str(each["order_id"]): each["status"] for each in simulator.state()["orders"]}
    assert statuses[first] == "Cancelled"
    assert sorted(statuses.values()) == ["Cancelled", "Filled"]
    with pytest.raises(BrokerRefused, match="UNKNOWN_ORDER"):
        broker.cancel(stray)
