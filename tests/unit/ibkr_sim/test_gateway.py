"""Sessions, faults and time in the pure gateway."""

from datetime import date

import pytest

from ibkr_sim.data_desk import DataRules
from ibkr_sim.faults import Fault, FaultScriptError, faults_of
from ibkr_sim.gateway import GatewayRules
from ibkr_sim.market_time import moment_of

OPEN = moment_of(date(2024, 7, 9), 9, 30)
STOCK = {"symbol": "AAPL", "secType": "STK", "exchange": "SMART", "currency": "USD", "conId": "0"}


def test_the_same_requests_at_the_same_times_give_the_same_bytes(wired):
    def run():
        wire = wired()
        link = wire.connect(1)
        wire.say(link, "reqMktData", reqId=50, **STOCK)
        wire.order(link, 1, totalQuantity=3000)
        wire.wait(7.0)
        wire.order(link, 2, action="SELL", orderType="LMT", lmtPrice=1.5)
        wire.wait(20.0)
        return wire.raw

    assert run() == run()


def test_time_may_pass_in_any_steps(wired):
    def run(steps):
        wire = wired()
        link = wire.connect(1)
        wire.order(link, 1, totalQuantity=3000)
        wire.say(link, "reqRealTimeBars", reqId=60, barSize=5, whatToShow="TRADES", useRTH=1, **STOCK)
        for number in range(1, steps + 1):
            wire.wait(30.0 * number / steps)
        return wire.raw

    assert run(1) == run(7) == run(30)


@pytest.mark.parametrize(
    ("offer", "version"),
    [("v157..176", "176"), ("v100..157", "157"), ("v157..222", "178"), ("v160..178 +PACEAPI", "178")],
)
def test_both_sides_agree_on_the_newest_common_version(wire, offer, version):
    wire.gateway.greet(1, offer)
    wire._take()
    assert wire.sent[1][0][0] == version


@pytest.mark.parametrize("offer", ["v100..120", "v200..210", "hello", ""])
def test_without_a_common_version_the_connection_ends(wire, offer):
    wire.gateway.greet(1, offer)
    wire._take()
    assert wire.closed == {1}


def test_nothing_is_answered_before_the_api_is_started(wire):
    wire.gateway.greet(1, "v157..176")
    wire.say(1, "reqPositions")
    assert wire.codes(1) == [504]


def test_garbage_is_an_error_and_not_the_end(wire):
    link = wire.connect(1)
    for texts in (["88888"], [], ["4"], ["x", "y"], ["3", "1"]):
        wire.gateway.receive(link, texts)
    wire._take()
    assert wire.codes(link)[-5:] == [320] * 5
    assert wire.say(link, "reqIds", count=1) == [["9", "1", "1"]]


def test_at_most_thirty_two_clients_connect(wire):
    for number in range(33):
        wire.connect(number)
    assert wire.closed == {32}


def test_a_client_id_is_free_again_when_its_session_is_lost(wire):
    wire.connect(1, link=10)
    wire.connect(1, link=11)
    assert wire.codes(11) == [326]
    assert wire.closed == {11}
    wire.gateway.lost(10)
    wire.connect(1, link=12)
    assert wire.of(12, 9)


def test_only_client_zero_binds_orders(wire):
    wire.connect(0)
    wire.connect(1)
    assert wire.say(0, "reqAutoOpenOrders", bind=1) == []
    assert wire.say(1, "reqAutoOpenOrders", bind=1)[0][3] == "327"


def test_lines_are_limited_and_their_ids_unique(wired):
    wire = wired(GatewayRules(message_rate=0, data=DataRules(lines=2, tick_lines=1)))
    link = wire.connect(1)
    wire.say(link, "reqMktData", reqId=1, **STOCK)
    wire.say(link, "reqMktData", reqId=1, **STOCK)
    assert wire.codes(link)[-1] == 102
    wire.say(link, "reqTickByTickData", reqId=2, tickType="Last", **STOCK)
    wire.say(link, "reqMktData", reqId=3, **STOCK)
    assert wire.codes(link)[-1] == 101
    wire.say(link, "cancelMktData", reqId=1)
    wire.say(link, "reqTickByTickData", reqId=4, tickType="BidAsk", **STOCK)
    assert wire.codes(link)[-1] == 10190


@pytest.mark.parametrize(("permission", "code"), [("delayed", 354), ("none", 10168)])
def test_without_permission_live_data_is_refused(wired, permission, code):
    wire = wired(GatewayRules(message_rate=0, data=DataRules(permission)))
    link = wire.connect(1)
    wire.say(link, "reqMktData", reqId=1, **STOCK)
    wire.say(link, "reqTickByTickData", reqId=2, tickType="Last", **STOCK)
    wire.say(link, "reqRealTimeBars", reqId=3, **STOCK)
    assert wire.codes(link)[-3:] == [code, 10189, 420]


def test_a_snapshot_ends_and_needs_no_cancellation(wire):
    link = wire.connect(1)
    answers = wire.say(link, "reqMktData", reqId=1, snapshot=1, **STOCK)
    assert answers[-1] == ["57", "1", "1"]
    assert wire.say(link, "cancelMktData", reqId=1)[-1][3] == "300"


def test_summaries_are_two_at_most_and_come_again(wire):
    link = wire.connect(1)
    asked = {"group": "All", "tags": "NetLiquidation,BuyingPower"}
    for number in (1, 2, 3):
        wire.say(link, "reqAccountSummary", reqId=number, **asked)
    assert wire.codes(link)[-1] == 322
    assert len(wire.of(link, 64)) == 2
    wire.say(link, "cancelAccountSummary", reqId=1)
    wire.wait(181.0)
    assert len(wire.of(link, 64)) == 3


def test_positions_come_again_when_they_change_until_cancelled(wire):
    link = wire.connect(1)
    wire.say(link, "reqPositions")
    wire.order(link, 1)
    assert [texts[14] for texts in wire.of(link, 61)] == ["100"]
    wire.say(link, "cancelPositions")
    wire.order(link, 2, action="SELL", symbol="MSFT")
    assert len(wire.of(link, 61)) == 1
    rows = wire.say(link, "reqPositionsMulti", reqId=5, account="DU1", modelCode="")
    assert [texts[0] for texts in rows] == ["71", "71", "72"]


def test_a_wrong_account_is_an_error_everywhere(wire):
    link = wire.connect(1)
    wire.say(link, "reqAccountUpdates", subscribe=1, account="DU9")
    wire.say(link, "reqAccountUpdatesMulti", reqId=1, account="DU9", modelCode="", ledgerAndNLV=0)
    wire.say(link, "reqPnL", reqId=2, account="DU9", modelCode="")
    assert wire.codes(link)[-3:] == [321, 321, 321]


def test_every_other_question_has_an_answer(wire):
    link = wire.connect(1)
    answers = {
        "reqSoftDollarTiers": "77",
        "reqFamilyCodes": "78",
        "reqMktDepthExchanges": "80",
        "reqSmartComponents": "82",
        "reqNewsProviders": "85",
        "reqUserInfo": "107",
        "reqManagedAccts": "15",
    }
    for name, number in answers.items():
        assert [texts[0] for texts in wire.say(link, name, reqId=1)] == [number], name
    assert wire.say(link, "reqMktDepth", reqId=1)[0][3] == "10092"
    assert wire.say(link, "reqMarketRule", marketRuleId="99")[0][3] == "321"
    assert wire.say(link, "setServerLogLevel", level=5) == []


def test_the_time_is_told_once_a_second_to_each_client(wire):
    wire.connect(1)
    wire.connect(2)
    told = []
    for at, client in [(0.0, 1), (0.5, 1), (0.5, 2), (0.99, 1), (1.0, 1), (1.4, 2), (1.6, 2), (1.99, 1)]:
        wire.wait(at)
        told += [(at, client)] * len(wire.say(client, "reqCurrentTime"))
    assert told == [(0.0, 1), (0.5, 2), (1.0, 1), (1.6, 2)]


def test_a_market_that_stands_still_tells_the_time_whenever_it_is_asked(wired):
    wire = wired(GatewayRules(message_rate=0, time_pacing=False))
    wire.connect(1)
    assert [len(wire.say(1, "reqCurrentTime")) for _ in range(3)] == [1, 1, 1]


def test_faults_at_a_time_happen_then(wired):
    faults = faults_of({"faults": [{"at": 5, "do": "notice", "code": 2103, "text": "broken"}]})
    wire = wired(faults=faults)
    link = wire.connect(1)
    wire.wait(4.9)
    assert 2103 not in wire.codes(link)
    wire.wait(5.0)
    assert 2103 in wire.codes(link)


def test_a_trigger_counts_its_symbol_and_repeats(wired):
    wire = wired(faults=[Fault(do="reject", on="placeOrder", symbol="MSFT", nth=2, times=2)])
    link = wire.connect(1)
    for number, symbol in enumerate(("MSFT", "AAPL", "MSFT", "MSFT", "MSFT"), 1):
        wire.order(link, number, symbol=symbol)
    assert [order.status for order in wire.orders()] == ["Filled", "Filled", "Inactive", "Inactive", "Filled"]


def test_bars_are_not_kept_up_to_date_after_any_loss_of_the_link(wire):
    link = wire.connect(1)
    asked = {"endDateTime": "", "barSize": "1 min", "duration": "1 D", "useRTH": 1, "whatToShow": "TRADES"}
    wire.say(link, "reqHistoricalData", reqId=1, formatDate=2, keepUpToDate=1, **asked, **STOCK)
    wire.wait(11.0)
    assert len(wire.of(link, 90)) == 2
    wire.inject(do="connectivity", seconds=3, data="kept")
    wire.wait(60.0)
    assert wire.codes(link)[-2:] == [1100, 1102]
    assert len(wire.of(link, 90)) == 2
    assert wire.say(link, "cancelHistoricalData", reqId=1)[0][3] == "366"


def test_a_cancellation_waits_for_the_link_too(wire):
    link = wire.connect(1)
    wire.order(link, 1, orderType="LMT", lmtPrice=1.5)
    wire.inject(do="connectivity", seconds=3)
    wire.say(link, "cancelOrder", reqId=1)
    assert wire.orders()[0].status == "PendingCancel"
    wire.wait(4.0)
    assert wire.statuses(link, 1)[-1] == "Cancelled"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"do": "explode"}, "do"),
        ({"do": "reject", "at": 3}, "at suits"),
        ({"do": "halt", "at": 3, "on": "fill"}, "at suits"),
        ({"do": "halt", "nth": 0}, "nth"),
        ({"do": "halt", "colour": "red"}, "colour"),
    ],
)
def test_a_fault_that_is_none_is_named(fault, message):
    with pytest.raises(FaultScriptError, match=message):
        faults_of([fault])
    with pytest.raises(FaultScriptError):
        faults_of("faults")


def test_an_order_placed_while_the_link_is_down_cannot_fill_before_it_is_back(wire):
    link = wire.connect(1)
    wire.order(link, 1, orderType="LMT", lmtPrice=1.5)
    wire.inject(do="connectivity", seconds=5)
    wire.order(link, 2)
    wire.wait(4.9)
    assert wire.statuses(link, 2) == ["PendingSubmit"]
    assert wire.orders()[1].filled == 0
    wire.wait(5.1)
    assert wire.statuses(link, 2)[-1] == "Filled"
