"""The official client library, from 9.81 to 10.46, and a health probe that speaks only the handshake.

Its newer releases know versions that no text can be spoken in; they agree on 178 with the simulator.
"""

import contextlib
import inspect
import socket
import struct
import threading
import time
from collections import Counter
from functools import partial

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

HEARD = (
    *("openOrder", "orderStatus", "execDetails", "position", "positionEnd", "error", "nextValidId"),
    *("contractDetails", "historicalData", "historicalDataEnd", "historicalDataUpdate", "realtimeBar", "tickPrice"),
    *("tickByTickBidAsk", "accountSummary", "accountSummaryEnd", "updatePortfolio", "accountDownloadEnd", "pnlSingle"),
    *("completedOrder", "completedOrdersEnd", "execDetailsEnd", "openOrderEnd", "marketRule", "historicalTicksLast"),
)


class Official:
    """The official client, reading in a thread of its own; what it hears is kept by name."""

    def __init__(self, official, port):
        self.heard = []
        self._official, kind = official, official("wrapper").EWrapper
        self.commission = "commissionReport" if hasattr(kind, "commissionReport") else "commissionAndFeesReport"
        names = [self.commission, *(name for name in HEARD if hasattr(kind, name))]
        self._code = [*inspect.signature(kind.error).parameters].index("errorCode") - 1
        wrapper = type("Wrapper", (kind,), {name: self._hears(name) for name in names})()
        self.client = official("client").EClient(wrapper)
        self.client.connect("127.0.0.1", port, 3)
        self._thread = threading.Thread(target=self.client.run, daemon=True)
        self._thread.start()
        self.wait("nextValidId")

    def _hears(self, name):
        return lambda _, *values: self.heard.append((name, values))

    def of(self, name):
        """What was heard under a name."""
        return [values for heard, values in self.heard if heard == name]

    def wait(self, *names, seconds=10.0):
        """Wait until each was heard."""
        deadline = time.monotonic() + seconds
        while not all(self.of(name) for name in names):
            assert time.monotonic() < deadline, (names, Counter(name for name, _ in self.heard))
            time.sleep(0.01)

    def codes(self):
        """Codes of errors and notices; newer releases tell their time before."""
        return {values[self._code] for values in self.of("error")}

    def cancel(self, number):
        """Cancel an order, with as much more as this release wants to be told."""
        _, *more = inspect.signature(self.client.cancelOrder).parameters
        newer = "orderCancel" in more
        self.client.cancelOrder(number, *(self._official("order_cancel").OrderCancel() if newer else "" for _ in more))

    def close(self):
        """Disconnect."""
        self.client.disconnect()
        self._thread.join(5)


@pytest.fixture
def official(library_of):
    """Modules of the official library by name."""
    library_of("ibapi")
    return partial(_module, library_of)


def _module(library_of, name):
    return library_of(f"ibapi.{name}")


def _contract(official):
    contract = official("contract").Contract()
    contract.symbol, contract.secType, contract.exchange, contract.currency = "AAPL", "STK", "SMART", "USD"
    return contract


def _order(official, **fields):
    order = official("order").Order()
    order.action, order.orderType, order.totalQuantity = "BUY", "MKT", 100
    order.eTradeOnly = order.firmQuoteOnly = False
    for name, value in fields.items():
        setattr(order, name, value)
    return order


def test_the_official_client_trades_and_sees_its_account(official, simulate):
    simulator = simulate("--speed", "10", "--start", "20240710 10:00:00")
    one = Official(official, simulator.port)
    try:
        contract = _contract(official)
        one.client.placeOrder(1, contract, _order(official, orderRef="ref"))
        one.wait(one.commission)
        one.client.placeOrder(2, contract, _order(official, orderType="LMT", lmtPrice=10.0))
        one.client.placeOrder(3, contract, _order(official, whatIf=True))
        one.client.reqPositions()
        one.client.reqAccountUpdates(True, "")
        one.client.reqAccountSummary(10, "All", "NetLiquidation,FullInitMarginReq")
        one.client.reqPnLSingle(11, "DU1234567", "", 265598)
        one.client.reqCompletedOrders(False)
        one.client.reqExecutions(12, official("execution").ExecutionFilter())
        one.client.reqAllOpenOrders()
        one.wait("positionEnd", "accountDownloadEnd", "accountSummaryEnd", "pnlSingle")
        one.wait("completedOrdersEnd", "execDetailsEnd", "openOrderEnd")
        one.cancel(2)
        deadline = time.monotonic() + 10
        while 202 not in one.codes() and time.monotonic() < deadline:
            time.sleep(0.01)
        statuses = {values[0]: values[1] for values in one.of("orderStatus")}
        assert statuses == {1: "Filled", 2: "Cancelled"}
        assert [values[2].orderRef for values in one.of("execDetails")] == ["ref", "ref"]
        assert [values[2] for values in one.of("position")] == [100.0]
        assert {values[3].status for values in one.of("openOrder")} >= {"Filled", "Submitted", "PreSubmitted"}
    finally:
        one.close()


def test_the_official_client_reads_contracts_and_market_data(official, simulate):
    simulator = simulate("--speed", "10", "--start", "20240710 10:00:00")
    one = Official(official, simulator.port)
    try:
        contract = _contract(official)
        one.client.reqContractDetails(1, contract)
        one.client.reqMarketRule(26)
        one.client.reqHistoricalData(2, contract, "", "1 D", "1 min", "TRADES", 1, 2, True, [])
        one.client.reqHistoricalTicks(3, contract, "20240710 09:30:00", "", 5, "TRADES", 1, True, [])
        one.client.reqRealTimeBars(4, contract, 5, "TRADES", True, [])
        one.client.reqMktData(5, contract, "", False, False, [])
        one.client.reqTickByTickData(6, contract, "BidAsk", 0, False)
        one.wait("contractDetails", "marketRule", "historicalDataEnd", "historicalDataUpdate", "historicalTicksLast")
        one.wait("realtimeBar", "tickPrice", "tickByTickBidAsk")
        assert one.of("contractDetails")[0][1].contract.conId == 265598
        assert len(one.of("historicalData")) >= 30
        assert one.codes() <= {2104, 2106, 2158, 2199}
    finally:
        one.close()


def test_a_probe_that_never_starts_the_api_takes_no_client_id(simulator):
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as link:
        offer = b"v157..178"
        link.sendall(b"API\0" + struct.pack(">I", len(offer)) + offer)
        answer = link.recv(100)
        assert answer[4:].split(b"\0")[0] == b"178"
        assert simulator.state()["clients"] == []


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"API\0\xff\xff\xff\xff", b"API\0\0\0\0\x09v100..120"])
def test_what_is_no_client_of_these_versions_is_shut_out(simulator, said):
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as link:
        link.sendall(said)
        with contextlib.suppress(ConnectionResetError):
            assert link.recv(100) == b""
    assert simulator.state()["clients"] == []
