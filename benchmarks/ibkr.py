"""Interactive Brokers against the simulator, beside the bare library in the same run: order round trips and bars.

python benchmarks/ibkr.py [ib_insync|ib_async]
"""

import asyncio
import re
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import structlog

from contracts.trading import OrderIntent, OrderType, Side, TimeInForce
from data_plane.connectors.ibkr import Wanted, backfill
from ibkr_client.library import load_library
from ibkr_client.lifeline import Address
from order_plane.brokers.ibkr import IbkrBroker, IbkrTerms
from order_plane.effects import SubmitOrder

ORDERS = 200
SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT", "SPY")


def an_order(number: int) -> SubmitOrder:
    intent = OrderIntent(
        intent_id=UUID(int=number),
        symbol="AAPL",
        direction=Side.BUY,
        quantity=1.0,
        order_type=OrderType.LIMIT,
        limit_price=10.0,
        timestamp=datetime(2024, 7, 10, 13, 30, tzinfo=UTC),
        time_in_force=TimeInForce.DAY,
    )
    return SubmitOrder(intent, "DU1234567")


def a_broker(name: str, port: int, folder: Path) -> IbkrBroker:
    address = Address("127.0.0.1", port, 1, rate=10_000, reserve=0)
    return IbkrBroker(IbkrTerms(address, "DU1234567", folder / "ids", paper_ports=frozenset({port})), {}, name)


async def bare(name: str, port: int) -> tuple[list[float], float]:
    library = load_library(name)
    ib = library.IB()
    await ib.connectAsync("127.0.0.1", port, clientId=2)
    ib.client.MaxRequests = 0
    contract = library.Stock("AAPL", "SMART", "USD")
    await ib.qualifyContractsAsync(contract)
    took = []
    for _ in range(ORDERS):
        begin, done = time.perf_counter(), asyncio.Event()
        trade = ib.placeOrder(contract, library.LimitOrder("BUY", 1, 10.0))
        trade.statusEvent += lambda trade, done=done: done.set() if trade.orderStatus.status == "Submitted" else None
        await done.wait()
        took.append(time.perf_counter() - begin)
    begin, count = time.perf_counter(), 0
    for symbol in SYMBOLS:
        asked = library.Stock(symbol, "SMART", "USD")
        end = "20240711-00:00:00"
        count += len(await ib.reqHistoricalDataAsync(asked, end, "5 D", "1 min", "TRADES", True, 2))
    rate = count / (time.perf_counter() - begin)
    ib.disconnect()
    return took, rate


def main() -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    name = sys.argv[1] if len(sys.argv) > 1 else "ib_insync"
    options = ["--port", "0", "--seed", "1", "--active-orders", "0", "--message-rate", "0"]
    simulator = subprocess.Popen([sys.executable, "-m", "ibkr_sim", *options], stdout=subprocess.PIPE, text=True)
    try:
        assert simulator.stdout is not None
        found = re.search(r":(\d+)", simulator.stdout.readline())
        assert found is not None
        with tempfile.TemporaryDirectory() as folder:
            measure(name, int(found[1]), Path(folder))
    finally:
        simulator.terminate()
        simulator.wait(10)


def measure(name: str, port: int, folder: Path) -> None:
    theirs, their_rate = asyncio.run(bare(name, port))
    broker = a_broker(name, port, folder)
    ours = []
    for number in range(1, ORDERS + 1):
        begin = time.perf_counter()
        broker.submit(an_order(number))
        ours.append(time.perf_counter() - begin)
    broker.close()
    begin = time.perf_counter()
    broker = a_broker(name, port, folder)
    found = sum(broker.lookup(UUID(int=number)) is not None for number in range(1, 101))
    reconciled = time.perf_counter() - begin
    broker.close()
    begin = time.perf_counter()
    wanted = Wanted(SYMBOLS, "1min", date(2024, 7, 8), date(2024, 7, 9), date(2024, 7, 10))
    rows = sum(1 for _ in backfill(Address("127.0.0.1", port, 3), {}, wanted, folder / "cache", library=name).rows())
    print(f"{name}, {ORDERS} orders, ms        bare {line(theirs)}   adapter {line(ours)}")
    print(f"connect and reconcile {found} of 100 orders: {reconciled:.3f} s")
    rate = rows / (time.perf_counter() - begin)
    print(f"bars a second: bare {their_rate:,.0f}   back-fill into the cache and replay {rate:,.0f}")


def line(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"p50 {1000 * statistics.median(ordered):.2f} p99 {1000 * ordered[int(0.99 * len(ordered))]:.2f}"


main()
