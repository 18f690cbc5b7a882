"""The durable venue outlives its client: what it knew before a kill it knows after it."""

import sqlite3
from contextlib import closing
from datetime import date
from uuid import UUID

import pytest

from contracts.trading import OrderType, TimeInForce
from domain.calendar import always_open
from domain.costs import BasisPointSlippage, PerOrder
from order_plane.brokers.paper import PaperBroker
from order_plane.brokers.paper_store import MemoryPaperStore
from order_plane.brokers.port import BrokerStateUnknown
from order_plane.brokers.sqlite_paper_store import SqlitePaperStore
from order_plane.effects import SubmitOrder
from order_plane.facts import FactKind


@pytest.fixture
def open_venue(tmp_path):
    opened = []

    def open_again():
        for venue in opened:
            venue.close()
        opened.clear()
        calendar = always_open(date(2024, 1, 1), date(2024, 12, 31))
        store = SqlitePaperStore(tmp_path / "venue.sqlite")
        opened.append(PaperBroker(calendar, PerOrder(1.0), BasisPointSlippage(0.0), store, volume_cap=0.004))
        return opened[0]

    yield open_again
    for venue in opened:
        venue.close()


def test_working_orders_go_on_where_they_stood(open_venue, make_intent, make_bar):
    venue = open_venue()
    venue.submit(SubmitOrder(make_intent(time_in_force=TimeInForce.GTC), "ACC"))
    venue.observe(make_bar(1))
    venue.drain()
    venue = open_venue()
    assert venue.snapshot().positions == {"AAPL": 4.0}
    venue.observe(make_bar(2))
    venue.observe(make_bar(3))
    facts = venue.drain()
    assert [(fact.fact_id, fact.quantity, fact.commission) for fact in facts] == [("2", 4.0, 0.0), ("3", 2.0, 0.0)]
    assert [fact.quantity for fact in venue.lookup(make_intent().intent_id)] == [0.0, 4.0, 4.0, 2.0]


def test_bars_seen_before_the_restart_fill_nothing_after_it(open_venue, make_intent, make_bar):
    venue = open_venue()
    venue.observe(make_bar(5))
    venue.drain()
    venue = open_venue()
    (ack,) = venue.submit(SubmitOrder(make_intent(), "ACC"))
    assert ack.timestamp == make_bar(5).timestamp
    venue.observe(make_bar(5))
    assert list(venue.drain()) == []


def test_a_bar_that_was_never_drained_is_new_after_the_restart(open_venue, make_intent, make_bar):
    venue = open_venue()
    venue.submit(SubmitOrder(make_intent(), "ACC"))
    venue.observe(make_bar(1))
    venue = open_venue()
    venue.observe(make_bar(1))
    assert [fact.quantity for fact in venue.drain()] == [4.0]


def test_a_triggered_stop_stays_triggered(open_venue, make_intent, make_bar):
    venue = open_venue()
    venue.submit(SubmitOrder(make_intent(order_type=OrderType.STOP, stop_price=103.0), "ACC"))
    venue.observe(make_bar(1, high=104.0, volume=0.0))
    assert list(venue.drain()) == []
    venue = open_venue()
    venue.observe(make_bar(2, price=90.0))
    assert [fact.price for fact in venue.drain()] == [90.0]


def test_an_intent_stays_used_after_the_restart(open_venue, make_intent, make_bar):
    venue = open_venue()
    venue.submit(SubmitOrder(make_intent(quantity=4.0), "ACC"))
    venue.observe(make_bar(1))
    venue.drain()
    venue = open_venue()
    with pytest.raises(BrokerStateUnknown):
        venue.submit(SubmitOrder(make_intent(quantity=4.0), "ACC"))
    assert [fact.kind for fact in venue.lookup(make_intent().intent_id)] == [FactKind.ACK, FactKind.FILL]


def test_the_volatile_venue_remembers_keys_longer_than_facts(make_intent, make_bar):
    store = MemoryPaperStore(retain=1)
    venue = PaperBroker(always_open(), PerOrder(1.0), BasisPointSlippage(0.0), store)
    for number in range(1, 4):
        venue.submit(SubmitOrder(make_intent(number), "ACC"))
    venue.observe(make_bar(1))
    venue.drain()
    assert len(store.executions(10)) == 1
    with pytest.raises(BrokerStateUnknown):
        venue.submit(SubmitOrder(make_intent(1), "ACC"))
    assert venue.lookup(UUID(int=3))[-1].kind is FactKind.FILL


def test_an_order_in_a_file_of_before_works_on_and_loses_its_index(open_venue, tmp_path, make_intent, make_bar):
    open_venue().submit(SubmitOrder(make_intent(), "ACC"))
    path = tmp_path / "venue.sqlite"
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE INDEX orders_open ON orders (position) WHERE finished = 0")
    venue = open_venue()
    venue.observe(make_bar(1))
    assert [fact.quantity for fact in venue.drain()] == [4.0]
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT name FROM sqlite_schema WHERE name = 'orders_open'").fetchall() == []
