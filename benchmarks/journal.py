"""How long an intent takes to be durable and with the broker: python -m benchmarks.journal [--rows N]."""

import argparse
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from uuid import UUID

from contracts.market import BarEvent
from contracts.trading import OrderIntent, OrderStatus, OrderType, Side, TimeInForce
from order_plane.brokers.port import Broker
from order_plane.brokers.sqlite_paper_store import SqlitePaperStore
from order_plane.composition import build_stage, durable_journal, paper_broker
from order_plane.effects import SubmitOrder
from order_plane.execution import Execution
from order_plane.facts import Fact, FactKind
from order_plane.journals.port import Answer, RowState
from order_plane.lifecycle import History
from order_plane.reports import execution_report
from order_plane.settings import OrderSettings

START = datetime(2024, 1, 2, 15, tzinfo=UTC)
P99_TARGET_MS = 5.0
RATE_TARGET = 300.0


class Timed:
    """A broker that notes when each order reaches it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.reached: list[float] = []

    def submit(self, order: SubmitOrder) -> object:
        self.reached.append(perf_counter())
        return self._broker.submit(order)

    def __getattr__(self, name: str) -> object:
        return getattr(self._broker, name)


def an_intent(number: int) -> OrderIntent:
    """Each a second after the one before; those below 0 lie behind the benchmark."""
    return OrderIntent(
        intent_id=UUID(int=10**9 + number),
        symbol="AAPL",
        direction=Side.BUY if number % 2 else Side.SELL,
        quantity=1.0 + number % 7,
        order_type=OrderType.MARKET,
        timestamp=START + timedelta(seconds=number),
        time_in_force=TimeInForce.GTC,
    )


def a_bar(number: int) -> BarEvent:
    prices = {"open": 100.0, "high": 101.0, "low": 99.0, "close": 100.0}
    return BarEvent(symbol="AAPL", timestamp=START + timedelta(seconds=number), volume=1e6, **prices)


def fill(settings: OrderSettings, rows: int) -> None:
    """Put finished intents into a new journal."""
    journal = durable_journal(settings.model_copy(update={"audit": False}))
    for first in range(0, rows, 1_000):
        intents = [an_intent(first + number - rows) for number in range(min(1_000, rows - first))]
        journal.begin([SubmitOrder(intent, settings.account) for intent in intents], [], journal.appended)
        answers = [Answer(intent.intent_id, 1, RowState.ACKED, "o") for intent in intents]
        facts = [
            Fact(intent.intent_id, FactKind.FILL, "1", intent.timestamp, "o", intent.quantity, 100.0)
            for intent in intents
        ]
        done = History(1.0)
        reports = [execution_report(each, "o", 1, OrderStatus.CANCELED, done, each.timestamp) for each in intents]
        journal.conclude(answers, facts, reports, journal.appended)
    journal.close()


def fsync_ms(directory: Path, times: int = 200) -> float:
    """Median cost of making 4 KiB durable here."""
    taken = []
    with (directory / "probe").open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(b"x" * 4096)
            began = perf_counter()
            os.fdatasync(file.fileno())
            taken.append(perf_counter() - began)
    return sorted(taken)[times // 2] * 1e3


def settle(stage: Execution, broker: Timed, first: int, count: int) -> list[float]:
    """Seconds from each intent's arrival to its arrival at the broker, all in one batch."""
    broker.reached.clear()
    stage.handlers[BarEvent](a_bar(first))
    arrived = []
    for number in range(first, first + count):
        arrived.append(perf_counter())
        stage.handlers[OrderIntent](an_intent(number))
    stage.settle()
    stage.rest()
    assert len(broker.reached) == count, "the controls refused an order of the benchmark"
    return [reached - began for reached, began in zip(broker.reached, arrived, strict=True)]


def measure(directory: Path, rows: int, database: str | None) -> bool:
    settings = OrderSettings(
        journal_path=directory / "journal.sqlite",
        journal_database=database,
        reconciliation=None,  # the venue of the benchmark knows nothing of the orders held before
        limits={"duplicate_window": 0, "max_gross_exposure": 1e12, "max_symbol_notional": 1e12},
    )
    fill(settings, rows)
    broker = Timed(paper_broker(settings, SqlitePaperStore(directory / "venue.sqlite")))
    began = perf_counter()
    stage = build_stage(settings, durable_journal(settings), broker)
    stage.recover()
    opened = perf_counter() - began
    number, singles = 1, []
    for _ in range(400):
        singles += settle(stage, broker, number, 1)
        number += 1
    began = perf_counter()
    for _ in range(20):
        settle(stage, broker, number, 50)
        number += 50
    rate = 20 * 50 / (perf_counter() - began)
    stage.close()
    cuts = [cut * 1e3 for cut in quantiles(singles, n=100)]
    good = cuts[98] <= P99_TARGET_MS and rate >= RATE_TARGET
    print(
        f"{rows:>7} rows: start {opened:5.2f} s; one intent p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms"
        f" (target {P99_TARGET_MS}); batches of 50: {rate:,.0f}/s (target {RATE_TARGET:.0f}); fdatasync"
        f" {fsync_ms(directory):.2f} ms: {'PASS' if good else 'FAIL'}"
    )
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[0, 100_000], help="finished intents held before")
    parser.add_argument("--directory", type=Path, help="on the disk to be measured; default: a temporary one")
    parser.add_argument("--database", help="an empty PostgreSQL database instead of a file")
    options = parser.parse_args()
    verdicts = []
    for rows in options.rows:
        with tempfile.TemporaryDirectory(dir=options.directory) as directory:
            verdicts.append(measure(Path(directory), rows, options.database))
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    raise SystemExit(main())
