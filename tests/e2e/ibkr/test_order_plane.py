"""The whole order plane on a gateway: cuts and restarts neither double an order nor lose one."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from contracts.codec import decode, encode
from contracts.market import BarEvent
from contracts.trading import ExecutionReport, OrderStatus, TimeInForce
from order_plane.composition import build_stage
from order_plane.settings import OrderSettings
from order_plane.unacceptable import NotReplaceable

FIRST = UUID(int=1)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
OPEN = datetime(2024, 7, 10, 13, 30, tzinfo=UTC)
"""When the simulator's market begins."""


class Plane:
    """An order plane with a journal in a file, and the reports it gave."""

    def __init__(self, library, simulator, path, monkeypatch):
        monkeypatch.setenv("ALGOTRADE_IBKR_LIBRARY", library)
        gateway = {
            "port": simulator.port,
            "paper_ports": [simulator.port],
            "patience_seconds": 3.0,
            "first_wait_seconds": 0.05,
            "answer_seconds": 1.0,
            "ids_path": str(path / "ids.sqlite"),
        }
        settings = OrderSettings.model_validate(
            {
                "broker": "ibkr",
                "account": "DU1234567",
                "audit": False,
                "journal_path": path / "journal.sqlite",
                "ibkr": gateway,
            }
        )
        self.stage = build_stage(settings)
        self.messages = list(self.stage.recover())

    def trade(self, *orders):
        at = orders[0].intent.timestamp
        bar = BarEvent(symbol="AAPL", timestamp=at, open=190.0, high=192.0, low=189.0, close=191.0, volume=1e6)
        self.messages += self.stage.handlers[BarEvent](bar)
        for order in orders:
            self.messages += self.stage.handlers[type(order.intent)](order.intent)
        self.settle()

    def settle(self):
        self.messages += self.stage.settle()

    def statuses(self):
        self.settle()
        reports = [each for each in self.messages if isinstance(each, ExecutionReport)]
        return {report.intent_id.int: report.status for report in reports}


@pytest.fixture
def start(ibkr_library, tmp_path, monkeypatch):
    planes = []

    def started(simulator):
        planes.append(Plane(ibkr_library.__name__, simulator, tmp_path, monkeypatch))
        return planes[-1]

    yield started
    for plane in planes:
        plane.stage.close()


def test_a_cut_in_the_middle_of_a_batch_neither_doubles_nor_loses_an_order(start, desk, simulator, until):
    plane = start(simulator)
    simulator.fault(do="drop_link", on="placeOrder", nth=2, seconds=0.3)
    plane.trade(*(desk.order(number, quantity=9.0 + number) for number in (1, 2, 3)))
    assert plane.statuses()[2] in (OrderStatus.IN_DOUBT, OrderStatus.FILLED)
    until(lambda: plane.statuses().get(2) is OrderStatus.FILLED)
    assert plane.statuses()[1] is OrderStatus.FILLED
    assert plane.statuses()[3] is OrderStatus.REJECTED
    refs = [order["order_ref"] for order in simulator.state()["orders"]]
    assert sorted(refs) == [str(UUID(int=1)), str(UUID(int=2))]
    assert plane.stage.desk.in_doubt == 0


def test_a_restart_takes_up_what_worked_and_what_filled_meanwhile(start, desk, simulate, until):
    simulator = simulate("--latency-ms", "700")
    plane = start(simulator)
    plane.trade(desk.order(1), desk.resting(2, limit_price=180.0))
    plane.stage.close()
    until(lambda: simulator.state()["orders"][0]["status"] == "Filled")
    second = start(simulator)
    until(lambda: second.statuses().get(1) is OrderStatus.FILLED)
    assert len(simulator.state()["orders"]) == 2
    second.trade(desk.order(1), desk.resting(2, limit_price=180.0))
    assert len(simulator.state()["orders"]) == 2


def test_an_account_that_holds_something_and_an_order_placed_by_hand_is_started_and_started_again(
    start, desk, simulator, until, tmp_path
):
    by_hand = type(desk)(desk.library, tmp_path / "others.sqlite").broker(simulator, client_id=9)
    by_hand.submit(desk.order(1, symbol="MSFT"))
    by_hand.submit(desk.resting(2, limit_price=180.0, time_in_force=TimeInForce.GTC))
    until(lambda: simulator.state()["orders"][0]["status"] == "Filled")
    by_hand.close()
    plane = start(simulator)
    halted = set(plane.stage.desk.halts.reasons)
    assert halted == {"AAPL", "MSFT"}
    for said in plane.messages:
        assert decode(encode(said)) == said
        assert timedelta(0) <= said.timestamp - OPEN < timedelta(hours=1), "the gateway lives in 2024"
    plane.stage.close()
    second = start(simulator)
    assert set(second.stage.desk.halts.reasons) == halted
    second.trade(desk.order(3, quantity=9.0))
    assert second.statuses() == {3: OrderStatus.REJECTED}


def test_an_order_that_got_lost_stays_in_doubt_until_a_person_decides(start, desk, simulator):
    plane = start(simulator)
    simulator.fault(do="lose_request", on="placeOrder")
    plane.trade(desk.order(1))
    assert plane.statuses() == {1: OrderStatus.IN_DOUBT}
    plane.stage.close()
    second = start(simulator)
    assert second.stage.desk.in_doubt == 1
    assert simulator.state()["orders"] == []


def test_orders_whose_rows_were_lost_with_the_power_are_taken_up_from_journal_and_gateway(
    start, desk, simulator, until, tmp_path
):
    plane = start(simulator)
    plane.trade(desk.order(1), desk.resting(2, limit_price=180.0))
    until(lambda: plane.statuses().get(1) is OrderStatus.FILLED)
    plane.stage.close()
    with closing(sqlite3.connect(tmp_path / "ids.sqlite", isolation_level=None)) as ids:
        ids.execute("DELETE FROM orders")
    second = start(simulator)
    assert second.stage.desk.in_doubt == 0
    second.stage.cancel(UUID(int=2), "c2", "enough")
    until(lambda: second.statuses().get(2) is OrderStatus.CANCELED)
    second.trade(desk.order(3, quantity=9.0))
    until(lambda: second.statuses().get(3) is OrderStatus.FILLED)
    refs = [order["order_ref"] for order in simulator.state()["orders"]]
    assert sorted(refs) == [str(UUID(int=number)) for number in (1, 2, 3)]


def test_an_order_that_the_venue_forgot_in_the_middle_of_a_change_is_not_placed_by_another_change(
    start, desk, simulate
):
    first, next_day = simulate(), simulate()
    plane = start(first)
    plane.trade(desk.resting(limit_price=180.0))
    first.fault(do="lose_request", on="modifyOrder")
    plane.stage.upkeep.wish(FIRST, "op-1", 6.0, 181.0, "ann: smaller")
    plane.settle()
    plane.stage.close()
    second = start(next_day)
    assert second.statuses() == {1: OrderStatus.IN_DOUBT}
    with pytest.raises(NotReplaceable, match="OUTCOME_UNKNOWN"):
        second.stage.upkeep.wish(FIRST, "op-2", 6.0, 182.0, "ann: smaller")
    second.settle()
    assert next_day.state()["orders"] == []


def test_an_order_that_was_made_smaller_and_filled_while_the_link_was_cut_ends(start, desk, simulator, until):
    plane = start(simulator)
    plane.trade(desk.resting(limit_price=180.0))
    simulator.fault(do="drop_link", on="modifyOrder", seconds=0.5)
    plane.stage.upkeep.wish(FIRST, "op-1", 6.0, 195.0, "ann: smaller and dearer")
    plane.settle()
    until(lambda: simulator.state()["orders"][0]["status"] == "Filled")
    until(lambda: plane.statuses()[1] is OrderStatus.CANCELED)
    assert plane.stage.desk.positions == {"AAPL": 6.0}
    assert (plane.stage.desk.open_orders, plane.stage.desk.in_doubt) == ((), 0)
