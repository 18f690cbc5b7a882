"""Orders in the pure gateway: sessions, stops, brackets, groups, expiry, latency."""

from datetime import date

import pytest

from ibkr_sim.gateway import GatewayRules
from ibkr_sim.market_time import moment_of
from ibkr_sim.order_book import Venue
from ibkr_sim.order_checks import Rules
from ibkr_sim.order_desk import DeskRules

OPEN = moment_of(date(2024, 7, 9), 9, 30)
CLOSE_SECONDS = 23_400.0


def rules(**desk):
    return GatewayRules(seed=3, message_rate=0, orders=DeskRules(**desk))


def test_a_market_order_says_open_status_execution_status_commission(wire):
    link = wire.connect(1)
    answers = [texts[0] for texts in wire.order(link, 1)]
    assert answers == ["5", "3", "11", "5", "3", "59"]
    assert wire.statuses(link, 1) == ["Submitted", "Filled"]


def test_orders_take_the_time_they_need_to_the_exchange(wired):
    wire = wired(rules(latency=2.0, cancel_latency=1.0))
    link = wire.connect(1)
    wire.order(link, 1)
    wire.wait(1.9)
    assert wire.statuses(link, 1) == ["Submitted"]
    wire.wait(2.1)
    assert wire.statuses(link, 1) == ["Submitted", "Filled"]
    wire.order(link, 2, orderType="LMT", lmtPrice=10.0)
    wire.say(link, "cancelOrder", reqId=2)
    wire.wait(3.2)
    assert wire.statuses(link, 2) == ["Submitted", "PendingCancel", "Cancelled"]


def test_an_order_may_fill_while_its_cancellation_is_on_its_way(wired):
    wire = wired(rules(latency=1.0, cancel_latency=2.0))
    link = wire.connect(1)
    wire.order(link, 1)
    wire.say(link, "cancelOrder", reqId=1)
    wire.wait(5.0)
    assert wire.statuses(link, 1)[-1] == "Filled"
    assert 10148 in wire.codes(link)


def test_an_order_at_night_waits_for_the_open_with_a_warning(wired):
    wire = wired(start=OPEN - 60.0)
    link = wire.connect(1)
    wire.order(link, 1)
    assert wire.statuses(link, 1) == ["PreSubmitted"]
    assert 399 in wire.codes(link)
    wire.wait(61.0)
    assert wire.statuses(link, 1)[-1] == "Filled"


def test_day_orders_end_with_the_session_and_others_stay(wired):
    wire = wired()
    link = wire.connect(1)
    for number, tif in enumerate(("DAY", "GTC"), 1):
        wire.order(link, number, orderType="LMT", lmtPrice=1.5, tif=tif)
    wire.order(link, 3, orderType="LMT", lmtPrice=1.5, tif="GTD", goodTillDate="20240709 10:00:00 US/Eastern")
    wire.wait(1801.0)
    assert wire.statuses(link, 3) == ["Submitted", "Cancelled"]
    wire.wait(CLOSE_SECONDS + 1)
    assert wire.statuses(link, 1) == ["Submitted", "Cancelled"]
    assert wire.statuses(link, 2) == ["Submitted"]


def test_immediate_orders_trade_what_is_there_and_end(wire):
    link = wire.connect(1)
    wire.order(link, 1, totalQuantity=5000, tif="IOC")
    first = wire.orders()[0]
    assert 0 < first.filled < 5000
    assert wire.statuses(link, 1)[-1] == "Cancelled"
    wire.wait(1.6)
    wire.order(link, 2, totalQuantity=5000, tif="FOK")
    assert wire.orders()[1].filled == 0
    assert wire.statuses(link, 2)[-1] == "Cancelled"


def test_orders_of_one_side_share_what_is_displayed_in_their_order_of_arrival(wire):
    link = wire.connect(1)
    wire.order(link, 1, totalQuantity=5000)
    wire.order(link, 2, totalQuantity=100)
    assert [order.filled > 0 for order in wire.orders()] == [True, False]
    wire.wait(60.0)
    assert [order.status for order in wire.orders()] == ["Filled", "Filled"]


def test_the_largest_fill_cuts_an_order_into_pieces(wired):
    wire = wired(rules(venue=Venue(depth=100.0, largest_fill=30.0)))
    link = wire.connect(1)
    wire.order(link, 1)
    assert [execution.shares for execution in wire.orders()[0].executions] == [30, 30, 30, 10]
    assert len(wire.of(link, 11)) == 4


def test_a_stop_limit_triggers_and_then_keeps_its_limit(wire):
    link = wire.connect(1)
    wire.order(link, 1, orderType="STP LMT", auxPrice=1.0, lmtPrice=2.0)
    assert wire.orders()[0].triggered
    assert wire.statuses(link, 1) == ["PreSubmitted", "Submitted"]
    wire.wait(60.0)
    assert wire.orders()[0].filled == 0


def test_a_kept_back_bracket_leaves_with_its_last_order(wire):
    link = wire.connect(1)
    wire.order(link, 1, transmit=0)
    wire.order(link, 2, transmit=0, parentId=1, action="SELL", orderType="LMT", lmtPrice=900.0)
    wire.wait(5.0)
    assert [order.filled for order in wire.orders()] == [0, 0]
    wire.order(link, 3, parentId=1, action="SELL", orderType="STP", auxPrice=1.0)
    wire.wait(10.0)
    assert [wire.statuses(link, number)[-1] for number in (1, 2, 3)] == ["Filled", "Submitted", "PreSubmitted"]
    wire.say(link, "cancelOrder", reqId=2)
    assert [order.status for order in wire.orders()] == ["Filled", "Cancelled", "PreSubmitted"]


def test_children_end_with_a_parent_that_never_traded(wire):
    link = wire.connect(1)
    wire.order(link, 1, transmit=0, orderType="LMT", lmtPrice=2.0)
    wire.order(link, 2, parentId=1, action="SELL", orderType="LMT", lmtPrice=900.0)
    wire.say(link, "cancelOrder", reqId=1)
    assert [order.status for order in wire.orders()] == ["Cancelled", "Cancelled"]


@pytest.mark.parametrize(("kind", "left"), [(1, None), (2, 60), (3, 60)])
def test_a_group_is_cancelled_or_reduced_by_a_fill(wire, kind, left):
    link = wire.connect(1)
    wire.order(link, 1, orderType="LMT", lmtPrice=1.5, ocaGroup="g", ocaType=kind)
    wire.order(link, 2, symbol="MSFT", totalQuantity=40, ocaGroup="g", ocaType=kind)
    first = wire.orders()[0]
    assert (first.status == "Cancelled") is (left is None)
    assert left is None or first.quantity == left


def test_a_modification_may_change_price_and_size_only(wire):
    link = wire.connect(1)
    wire.order(link, 1, orderType="LMT", lmtPrice=1.5)
    wire.order(link, 1, orderType="LMT", lmtPrice=1.6, totalQuantity=50)
    assert (wire.orders()[0].limit, wire.orders()[0].quantity) == (1.6, 50)
    wire.order(link, 1, orderType="LMT", lmtPrice=1.6, action="SELL")
    assert wire.codes(link)[-1] == 105
    wire.order(link, 2)
    wire.order(link, 2)
    assert wire.codes(link)[-1] == 104


def test_limits_of_value_and_price_can_be_switched_on(wired):
    wire = wired(rules(rules=Rules(largest_value=100.0, price_band=0.1)))
    link = wire.connect(1)
    wire.order(link, 1, orderType="LMT", lmtPrice=1.5)
    wire.order(link, 2)
    assert wire.codes(link)[-2:] == [109, 451]


def test_with_two_accounts_an_order_names_one(wired):
    wire = wired(accounts=("DU1", "DU2"))
    link = wire.connect(1)
    wire.order(link, 1)
    assert wire.codes(link)[-1] == 435
    wire.order(link, 1, account="DU2")
    assert {name: account.quantity(265598) for name, account in wire.gateway.accounts.items()} == {"DU1": 0, "DU2": 100}


def test_the_master_client_is_told_of_every_order(wired):
    wire = wired(GatewayRules(seed=3, message_rate=0, master_client=9))
    master, link = wire.connect(9), wire.connect(1)
    wire.order(link, 1)
    assert wire.statuses(master, 1) == ["Submitted", "Filled"]
    other = wire.connect(2)
    assert wire.of(other, 3) == []


def test_orders_with_conditions_are_refused_not_misread(wire):
    link = wire.connect(1)
    wire.order(link, 1, conditions="1")
    assert wire.codes(link)[-1] == 321
    assert wire.orders() == []


def test_executions_are_filtered(wire):
    link = wire.connect(1)
    wire.order(link, 1)
    wire.order(link, 2, symbol="MSFT", action="SELL")
    asked = {"clientId": "0", "account": "", "time": "", "symbol": "", "secType": "", "exchange": "", "side": ""}
    for wanted, count in (
        ({}, 2),
        ({"symbol": "MSFT"}, 1),
        ({"side": "BUY"}, 1),
        ({"clientId": "7"}, 0),
        ({"time": "20240709-13:29:59"}, 2),
        ({"time": "20240709 16:00:00 US/Eastern"}, 0),
        ({"account": "DU1", "secType": "STK"}, 2),
    ):
        answers = wire.say(link, "reqExecutions", reqId=5, **(asked | wanted))
        assert [texts[0] for texts in answers].count("11") == count, wanted
        assert answers[-1] == ["55", "1", "5"]
    assert wire.say(link, "reqExecutions", reqId=6, **(asked | {"time": "yesterday"}))[-1][3] == "321"


def test_a_correction_stands_in_the_place_of_what_it_corrects(wire):
    link = wire.connect(1)
    wire.inject(on="placeOrder", do="correct_execution", price=1.5)
    wire.order(link, 1)
    wire.wait(1.0)
    book = wire.gateway.orders.book
    (order,) = book.orders.values()
    assert [(each.exec_id[-2:], each.price) for each in order.executions] == [("02", 1.5)]
    assert order.executions == book.executions
