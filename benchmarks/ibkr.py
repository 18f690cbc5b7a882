"""Interactive Brokers against the simulator, beside the bare library in the same run.

Rounds of the library and of the adapter alternate, so that both have the same share of a busy machine. Order round
trips, fills of one order in two thousand pieces, bars into the cache, and a lost connection with 100 orders and 50
positions behind it.

python -m benchmarks.ibkr [ib_insync|ib_async]
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections import deque
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType
from uuid import UUID

import structlog

from benchmarks.simulator import Gateway, simulator
from contracts.trading import OrderIntent, OrderType, Side, TimeInForce
from data_plane.connectors.ibkr import LiveSource, SourceTerms
from data_plane.connectors.ibkr_terms import LiveTerms
from ibkr_client.library import load_library
from ibkr_client.lifeline import Address
from ibkr_client.loop_thread import LoopThread
from order_plane.brokers.ibkr import IbkrBroker, IbkrTerms
from order_plane.brokers.ibkr_ids import OrderIds
from order_plane.brokers.ibkr_tracked import Tracked
from order_plane.effects import SubmitOrder
from order_plane.facts import Fact, FactKind

ROUNDS, ORDERS, PIECES = 5, 60, 2_000
SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT", "SPY")
MANY = tuple(f"S{number:02}" for number in range(50))
PAST = MANY[:25]
HISTORY_START, HISTORY_END = date(2024, 7, 8), "20240713-00:00:00"
SATURDAY = "20240713 12:00:00"


def an_order(number: int, symbol: str = "AAPL", quantity: float = 1.0, limit: float | None = 1.0) -> SubmitOrder:
    intent = OrderIntent(
        intent_id=UUID(int=number),
        symbol=symbol,
        direction=Side.BUY,
        quantity=quantity,
        order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        limit_price=limit,
        timestamp=datetime(2024, 7, 10, 13, 30, tzinfo=UTC),
        time_in_force=TimeInForce.DAY,
    )
    return SubmitOrder(intent, "DU1234567")


def a_broker(name: str, gateway: Gateway, folder: Path) -> IbkrBroker:
    address = Address("127.0.0.1", gateway.port, 1, first_wait=0.01, rate=10_000, reserve=0)
    terms = IbkrTerms(address, "DU1234567", folder / "ids", paper_ports=frozenset({gateway.port}))
    return IbkrBroker(terms, {}, name)


async def bare_orders(library: ModuleType, gateway: Gateway, kind: str = "LMT", quantity: float = 1.0) -> list[float]:
    """Seconds from placing to Submitted for each order, or from fill to fill of one order."""
    ib = library.IB()
    await ib.connectAsync("127.0.0.1", gateway.port, clientId=2)
    ib.client.MaxRequests = 0
    contract = library.Stock("AAPL", "SMART", "USD")
    await ib.qualifyContractsAsync(contract)
    took: list[float] = []
    if kind == "MKT":
        done = asyncio.Event()
        trade = ib.placeOrder(contract, library.MarketOrder("BUY", quantity))
        trade.fillEvent += lambda trade, fill: took.append(time.perf_counter())
        trade.filledEvent += lambda trade: done.set()
        await asyncio.wait_for(done.wait(), 300)
    else:
        for _ in range(ORDERS):
            begin, done = time.perf_counter(), asyncio.Event()
            trade = ib.placeOrder(contract, library.LimitOrder("BUY", 1, 1.0))
            trade.statusEvent += lambda trade, done=done: (
                done.set() if trade.orderStatus.status == "Submitted" else None
            )
            await done.wait()
            took.append(time.perf_counter() - begin)
    ib.disconnect()
    return took


async def bare_bars(library: ModuleType, gateway: Gateway, at_once: int) -> tuple[int, float]:
    """Bars and seconds for a window of five days of each symbol, as many requests open as said."""
    ib, room = library.IB(), asyncio.Semaphore(at_once)
    await ib.connectAsync("127.0.0.1", gateway.port, clientId=2)
    ib.client.MaxRequests = 0

    async def window(symbol: str) -> int:
        async with room:
            asked = library.Stock(symbol, "SMART", "USD")
            return len(await ib.reqHistoricalDataAsync(asked, HISTORY_END, "5 D", "1 min", "TRADES", True, 2))

    begin = time.perf_counter()
    count = sum(await asyncio.gather(*map(window, PAST)))
    took = time.perf_counter() - begin
    ib.disconnect()
    return count, took


def our_bars(name: str, gateway: Gateway, folder: Path) -> tuple[int, float]:
    terms = SourceTerms(LiveTerms(PAST, "1min"), folder / f"cache-{time.monotonic_ns()}")
    address = Address("127.0.0.1", gateway.port, 3, rate=10_000, reserve=0)
    with closing(LiveSource(address, terms, name)) as source:
        begin = time.perf_counter()
        for _ in source.backfill(HISTORY_START):
            pass
        took = time.perf_counter() - begin
        return sum(1 for _ in source.past(HISTORY_START).rows()), took


def round_trips(name: str, library: ModuleType, gateway: Gateway, folder: Path) -> None:
    theirs: list[float] = []
    ours: list[float] = []
    broker = a_broker(name, gateway, folder)
    for turn in range(ROUNDS):
        theirs += asyncio.run(bare_orders(library, gateway))
        for number in range(ORDERS):
            order = an_order(1 + turn * ORDERS + number)
            begin = time.perf_counter()
            broker.submit(order)
            ours.append(time.perf_counter() - begin)
    broker.close()
    kept = durable_ids(folder)
    bare, adapter = statistics.median(theirs), statistics.median(ours)
    ratio = verdict(adapter / bare, most=1.2)
    print(f"place to Submitted, ms: bare {line(theirs)}, adapter {line(ours)}, p50 ratio {ratio}")
    idle = statistics.median(idle_calls())
    print(
        f"  of it, on their own: a call that does nothing {1000 * idle:.2f}, the file of order ids {line(kept)}",
        flush=True,
    )


def idle_calls() -> list[float]:
    """Seconds for the loop to be run by a caller who has nothing done, which the bare library has no need of."""
    loop, took = LoopThread("bench"), []
    for _ in range(ROUNDS * ORDERS):
        begin = time.perf_counter()
        loop.call(asyncio.sleep(0), 1.0)
        took.append(time.perf_counter() - begin)
        time.sleep(0.0005)
    loop.close()
    return took


def durable_ids(folder: Path) -> list[float]:
    """Seconds to take an order id and to write down what was sent, which the bare library does not do."""
    took = []
    with closing(OrderIds(folder / "ids-alone", "DU1234567", 1)) as ids:
        for number in range(ROUNDS * ORDERS):
            intent = an_order(number).intent
            begin = time.perf_counter()
            order_id = ids.take(intent.intent_id, 1)
            ids.keep(Tracked(intent.intent_id, 1, order_id, "AAPL", 1.0, 1.0, intent.timestamp, lapses=True))
            took.append(time.perf_counter() - begin)
    return took


def pieces(name: str, library: ModuleType, gateway: Gateway, folder: Path) -> None:
    """How much slower the last quarter of an order's fills comes than the first."""
    gateway.fault(do="shred", quantity=1, times=1 + ROUNDS)
    bare = asyncio.run(bare_orders(library, gateway, "MKT", PIECES))
    with closing(a_broker(name, gateway, folder)) as broker:
        ours = [our_pieces(broker, 9_000 + turn) for turn in range(ROUNDS)]
    grown = f"bare {growth(bare):.2f}, adapter {verdict(statistics.median(map(growth, ours)), most=1.5)}"
    print(f"{PIECES} fills of one order, last quarter / first: {grown}")
    took = statistics.median(each[-1] - each[0] for each in ours)
    print(f"  and all of them, s: bare {bare[-1] - bare[0]:.2f}, adapter {took:.2f}", flush=True)


class Stamped(deque[Fact]):
    """News of which each says when it came: who empties them sees only what came together."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[float] = []

    def append(self, fact: Fact) -> None:
        if fact.kind is FactKind.FILL:
            self.moments.append(time.perf_counter())
        super().append(fact)


def our_pieces(broker: IbkrBroker, number: int) -> list[float]:
    """When each fill was known."""
    news = broker._venue.news = Stamped()
    deadline = time.monotonic() + 300
    broker.submit(an_order(number, quantity=PIECES, limit=None))
    while len(news.moments) < PIECES and time.monotonic() < deadline:
        broker.drain()
        time.sleep(0.0005)
    return news.moments


def growth(moments: list[float]) -> float:
    quarter = len(moments) // 4
    return (moments[-1] - moments[-quarter]) / max(moments[quarter - 1] - moments[0], 1e-9)


def bars(name: str, library: ModuleType, folder: Path) -> None:
    one, some, ours = [], [], []
    with simulator(*(word for symbol in PAST for word in ("--symbol", symbol)), "--start", SATURDAY) as gateway:
        for _ in range(ROUNDS):
            for rates, at_once in ((one, 1), (some, 4)):
                count, took = asyncio.run(bare_bars(library, gateway, at_once))
                rates.append(count / took)
            count, took = our_bars(name, gateway, folder)
            ours.append(count / took)
    bare, four, adapter = map(statistics.median, (one, some, ours))
    print(f"bars a second, connecting not counted: bare {bare:,.0f}, with four requests open {four:,.0f};", end=" ")
    print(
        f"into the cache {adapter:,.0f}, ratio {verdict(adapter / bare, least=0.8)}, {adapter / four:.2f}", flush=True
    )


def reconnect(name: str, folder: Path) -> None:
    names = [word for symbol in MANY for word in ("--symbol", symbol)]
    with simulator(*names) as gateway, closing(a_broker(name, gateway, folder)) as broker:
        for number, symbol in enumerate(MANY, start=1):
            broker.submit(an_order(10_000 + number, symbol, limit=None))
        for number in range(100):
            broker.submit(an_order(20_000 + number, MANY[number % len(MANY)]))
        deadline = time.monotonic() + 60
        while len(broker.snapshot().positions) < len(MANY) and time.monotonic() < deadline:
            time.sleep(0.1)
        took = []
        for _ in range(ROUNDS):
            known = broker.connects
            begin = time.perf_counter()
            gateway.fault(do="drop_link")
            while broker.connects == known or not broker.ready:
                time.sleep(0.002)
            seen = broker.snapshot()
            took.append(time.perf_counter() - begin)
            assert (len(seen.open_orders), len(seen.positions)) == (100, 50)
        worst = verdict(max(took), most=1.0)
        print(f"cut to reconciled, 100 orders and 50 positions, s: {line(took, 1)}, worst {worst}", flush=True)


def verdict(value: float, most: float | None = None, least: float | None = None) -> str:
    """``value`` and whether it meets its target."""
    target = f"<= {most:g}" if most is not None else f">= {least:g}"
    met = value <= most if most is not None else value >= (least or 0)
    return f"{value:.2f} ({'PASS' if met else 'FAIL'}, {target})"


def line(seconds: list[float], unit: int = 1000) -> str:
    ordered = sorted(seconds)
    return f"p50 {unit * statistics.median(ordered):.2f} p99 {unit * ordered[int(0.99 * len(ordered))]:.2f}"


def main() -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    name = sys.argv[1] if len(sys.argv) > 1 else "ib_insync"
    asyncio.set_event_loop(asyncio.new_event_loop())
    library = load_library(name)
    print(name)
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        with simulator() as gateway:
            round_trips(name, library, gateway, folder)
        bars(name, library, folder)
        reconnect(name, folder)
        with simulator() as gateway:
            pieces(name, library, gateway, folder)


if __name__ == "__main__":
    main()
