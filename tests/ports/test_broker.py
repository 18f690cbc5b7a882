"""What every broker promises, and how the paper venue fills; run over its volatile and its durable memory."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from order_messages import NOON, a_bar, an_intent

from contracts.trading import OrderType, Side, TimeInForce
from domain.calendar import SessionCalendar, always_open
from domain.costs import BasisPointSlippage, PerOrder
from domain.instrument import Instrument
from order_plane.brokers.paper import PaperBroker
from order_plane.brokers.paper_store import MemoryPaperStore
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, KeyLife
from order_plane.brokers.sqlite_paper_store import SqlitePaperStore
from order_plane.effects import CancelOrder, SubmitOrder
from order_plane.facts import FactKind

TWO_SESSIONS = SessionCalendar(
    "TEST",
    date(2024, 1, 2),
    date(2024, 1, 3),
    (date(2024, 1, 2), date(2024, 1, 3)),
    (datetime(2024, 1, 2, 14, 30, tzinfo=UTC), datetime(2024, 1, 3, 14, 30, tzinfo=UTC)),
    (datetime(2024, 1, 2, 21, tzinfo=UTC), datetime(2024, 1, 3, 21, tzinfo=UTC)),
)


def an_order(number=1, **changes):
    return SubmitOrder(an_intent(number, **changes), "ACC")


def a_cancel(number=1):
    return CancelOrder(UUID(int=number), "o", "ACC", "c1")


def told(facts):
    return [(fact.kind.value, fact.quantity) for fact in facts]


@pytest.fixture(params=["memory", "sqlite"])
def make_broker(request, tmp_path):
    made = []

    def make(**changes):
        store = MemoryPaperStore() if request.param == "memory" else SqlitePaperStore(tmp_path / "venue.sqlite")
        parts = {
            "calendar": always_open(date(2024, 1, 1), date(2024, 12, 31)),
            "commission": PerOrder(1.0),
            "slippage": BasisPointSlippage(0.0),
        }
        broker = PaperBroker(**{**parts, **changes}, store=store)
        made.append(broker)
        return broker

    yield make
    for broker in made:
        broker.close()


@pytest.fixture
def broker(make_broker):
    return make_broker()


def test_an_order_is_acknowledged_at_once(broker):
    (fact,) = broker.submit(an_order())
    assert (fact.kind, fact.intent_id, fact.timestamp) == (FactKind.ACK, UUID(int=1), NOON)
    assert [order.order_id for order in broker.snapshot().open_orders] == [fact.order_id]


def test_the_bar_that_caused_an_order_does_not_fill_it(broker):
    broker.submit(an_order())
    broker.observe(a_bar(0))
    assert list(broker.drain()) == []
    broker.observe(a_bar(1, open=99.5))
    (fill,) = broker.drain()
    assert (fill.kind, fill.quantity, fill.price, fill.commission) == (FactKind.FILL, 10.0, 99.5, 1.0)
    assert fill.timestamp == NOON + timedelta(minutes=1)


def test_an_order_that_comes_late_is_accepted_at_the_newest_bar_of_its_symbol(broker):
    broker.observe(a_bar(5))
    broker.observe(a_bar(9, symbol="MSFT"))
    (ack,) = broker.submit(an_order())
    assert ack.timestamp == NOON + timedelta(minutes=5)
    broker.observe(a_bar(6))
    assert told(broker.drain()) == [("FILL", 10.0)]


def test_a_second_order_of_an_intent_is_never_accepted(broker):
    assert broker.key_life is KeyLife.LIFETIME
    broker.submit(an_order())
    with pytest.raises(BrokerStateUnknown):
        broker.submit(an_order())
    broker.observe(a_bar(1))
    assert told(broker.drain()) == [("FILL", 10.0)]
    with pytest.raises(BrokerStateUnknown):
        broker.submit(an_order())
    assert broker.duplicates_refused == 2


def test_a_bar_seen_twice_fills_nothing_more(make_broker):
    broker = make_broker(volume_cap=0.004)
    broker.submit(an_order())
    for _ in range(2):
        broker.observe(a_bar(1))
    broker.observe(a_bar(0))
    assert told(broker.drain()) == [("FILL", 4.0)]


def test_the_volume_cap_is_shared_by_the_orders_of_a_symbol_oldest_first(make_broker):
    broker = make_broker(volume_cap=0.012)
    broker.submit(an_order(1))
    broker.submit(an_order(2))
    broker.observe(a_bar(1))
    assert [(fact.intent_id.int, fact.quantity) for fact in broker.drain()] == [(1, 10.0), (2, 2.0)]
    broker.observe(a_bar(2))
    facts = list(broker.drain())
    assert [(fact.intent_id.int, fact.quantity, fact.commission) for fact in facts] == [(2, 8.0, 0.0)]


def test_a_bar_without_volume_fills_nothing_under_a_cap(make_broker):
    broker = make_broker(volume_cap=0.1)
    broker.submit(an_order())
    broker.observe(a_bar(1, volume=0.0))
    assert list(broker.drain()) == []


def test_partial_fills_are_whole_lots(make_broker):
    broker = make_broker(volume_cap=0.1, instruments={"AAPL": Instrument("AAPL", lot_size=5.0)})
    broker.submit(an_order(quantity=20.0))
    broker.observe(a_bar(1, volume=99.0))
    assert told(broker.drain()) == [("FILL", 5.0)]


def test_a_limit_waits_until_it_is_touched(broker):
    broker.submit(an_order(order_type=OrderType.LIMIT, limit_price=98.0))
    broker.observe(a_bar(1))
    assert list(broker.drain()) == []
    broker.observe(a_bar(2, low=97.5))
    assert [fact.price for fact in broker.drain()] == [98.0]


def test_a_stop_once_triggered_stays_triggered(make_broker):
    broker = make_broker(volume_cap=0.005)
    broker.submit(an_order(order_type=OrderType.STOP, stop_price=103.0))
    broker.observe(a_bar(1, high=104.0))
    broker.observe(a_bar(2, price=90.0))
    assert [(fact.quantity, fact.price) for fact in broker.drain()] == [(5.0, 103.0), (5.0, 90.0)]


@pytest.mark.parametrize(
    ("force", "cap", "expected"),
    [
        (TimeInForce.IOC, 0.004, [("FILL", 4.0), ("CANCELLED", 0.0)]),
        (TimeInForce.IOC, None, [("FILL", 10.0)]),
        (TimeInForce.FOK, 0.004, [("CANCELLED", 0.0)]),
        (TimeInForce.FOK, None, [("FILL", 10.0)]),
    ],
)
def test_immediate_orders_are_judged_on_their_first_bar(make_broker, force, cap, expected):
    broker = make_broker(volume_cap=cap)
    broker.submit(an_order(time_in_force=force))
    broker.observe(a_bar(1))
    broker.observe(a_bar(2))
    assert told(broker.drain()) == expected


def test_an_immediate_limit_that_is_not_touched_is_cancelled(broker):
    broker.submit(an_order(time_in_force=TimeInForce.IOC, order_type=OrderType.LIMIT, limit_price=50.0))
    broker.observe(a_bar(1))
    assert told(broker.drain()) == [("CANCELLED", 0.0)]


@pytest.mark.parametrize(
    ("submitted", "works_until"),
    [
        (datetime(2024, 1, 2, 17, tzinfo=UTC), datetime(2024, 1, 2, 21, tzinfo=UTC)),
        (datetime(2024, 1, 2, 21, tzinfo=UTC), datetime(2024, 1, 3, 21, tzinfo=UTC)),
        (datetime(2024, 1, 2, 23, tzinfo=UTC), datetime(2024, 1, 3, 21, tzinfo=UTC)),
    ],
)
def test_a_day_order_works_to_the_end_of_its_session(make_broker, submitted, works_until):
    def at(moment):
        return a_bar((moment - NOON).total_seconds() / 60)

    for number, end in enumerate((works_until, works_until + timedelta(minutes=1)), start=1):
        broker = make_broker(calendar=TWO_SESSIONS)
        force = TimeInForce.DAY
        name = int(submitted.timestamp()) * 10 + number
        symbol = f"S{number}"
        order = an_order(
            name, symbol=symbol, timestamp=submitted, time_in_force=force, order_type=OrderType.LIMIT, limit_price=98.0
        )
        broker.submit(order)
        broker.observe(at(end).model_copy(update={"symbol": symbol, "low": 90.0}))
        (fact,) = broker.drain()
        assert fact.kind is (FactKind.FILL if end == works_until else FactKind.EXPIRED)
        assert fact.timestamp == works_until


def test_a_day_order_that_was_not_filled_expires_with_the_last_bar_of_its_session(make_broker):
    broker = make_broker(calendar=TWO_SESSIONS)
    broker.submit(an_order(time_in_force=TimeInForce.DAY, order_type=OrderType.LIMIT, limit_price=50.0))
    broker.observe(a_bar(4 * 60))
    assert told(broker.drain()) == [("EXPIRED", 0.0)]
    assert broker.snapshot().open_orders == ()


def test_a_day_order_without_a_session_to_work_in_is_refused(make_broker):
    broker = make_broker(calendar=TWO_SESSIONS)
    with pytest.raises(BrokerRefused, match="MARKET_CLOSED"):
        broker.submit(an_order(time_in_force=TimeInForce.DAY, timestamp=datetime(2024, 1, 3, 21, tzinfo=UTC)))
    assert broker.lookup(UUID(int=1)) is None


def test_good_till_date_works_to_its_date(broker):
    until = NOON + timedelta(minutes=2)
    broker.submit(
        an_order(time_in_force=TimeInForce.GTD, valid_until=until, order_type=OrderType.LIMIT, limit_price=50.0)
    )
    broker.observe(a_bar(1))
    assert list(broker.drain()) == []
    broker.observe(a_bar(2))
    (fact,) = broker.drain()
    assert (fact.kind, fact.timestamp) == (FactKind.EXPIRED, until)


def test_a_cancel_ends_what_is_left(make_broker):
    broker = make_broker(volume_cap=0.004)
    broker.submit(an_order())
    broker.observe(a_bar(1))
    broker.drain()
    (fact,) = broker.cancel(a_cancel())
    assert fact.kind is FactKind.CANCELLED
    broker.observe(a_bar(2))
    assert list(broker.drain()) == []
    assert broker.snapshot().open_orders == ()


def test_what_is_finished_or_unknown_cannot_be_cancelled(broker):
    broker.submit(an_order())
    broker.observe(a_bar(1))
    for number in (1, 2):
        with pytest.raises(BrokerRefused):
            broker.cancel(a_cancel(number))


def test_an_order_is_found_by_its_intent_with_everything_that_became_of_it(make_broker):
    broker = make_broker(volume_cap=0.004)
    broker.submit(an_order())
    broker.observe(a_bar(1))
    broker.drain()
    assert told(broker.lookup(UUID(int=1))) == [("ACK", 0.0), ("FILL", 4.0)]
    assert broker.lookup(UUID(int=2)) is None


def test_the_snapshot_shows_orders_executions_and_positions(make_broker):
    broker = make_broker(volume_cap=0.004)
    broker.submit(an_order())
    broker.submit(an_order(2, symbol="MSFT", direction=Side.SELL, quantity=3.0))
    broker.observe(a_bar(1))
    broker.observe(a_bar(1, symbol="MSFT"))
    broker.drain()
    seen = broker.snapshot()
    assert [(order.intent_id.int, order.filled) for order in seen.open_orders] == [(1, 4.0)]
    assert told(seen.executions) == [("FILL", 4.0), ("FILL", 3.0)]
    assert seen.positions == {"AAPL": 4.0, "MSFT": -3.0}


def test_news_are_told_once(broker):
    broker.submit(an_order())
    broker.observe(a_bar(1))
    assert len(broker.drain()) == 1
    assert list(broker.drain()) == []
