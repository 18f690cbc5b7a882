"""How long a kill takes from the socket to the last cancel and the last closing order: python -m benchmarks.kill."""

import argparse
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from time import perf_counter
from uuid import UUID

from contracts.base import Message
from contracts.codec import encode
from contracts.control import KillAction, KillSwitchCommand
from contracts.market import BarEvent
from contracts.trading import OrderIntent, OrderType, Side, TimeInForce
from order_plane.brokers.port import Broker
from order_plane.brokers.sqlite_paper_store import SqlitePaperStore
from order_plane.command_channel import SOCKET, CommandChannel, ask
from order_plane.command_fields import kills_among
from order_plane.composition import build_stage, durable_journal, paper_broker
from order_plane.effects import CancelOrder, SubmitOrder
from order_plane.execution import Execution
from order_plane.facts import Fact
from order_plane.operator_commands import operator_commands
from order_plane.settings import OrderSettings

TARGET_SECONDS = 2.0
ORDERS = 50
NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
SYMBOLS = [f"S{number}" for number in range(ORDERS)]


class Timed:
    """A broker that notes when it last acknowledged a cancel and last took an order."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.cancelled = self.sent = 0.0

    def cancel(self, order: CancelOrder) -> Sequence[Fact]:
        facts = self._broker.cancel(order)
        self.cancelled = perf_counter()
        return facts

    def submit(self, order: SubmitOrder) -> Sequence[Fact]:
        facts = self._broker.submit(order)
        self.sent = perf_counter()
        return facts

    def __getattr__(self, name: str) -> object:
        return getattr(self._broker, name)


def tell(stage: Execution, *messages: Message) -> None:
    for message in messages:
        stage.handlers[type(message)](message)
    stage.settle()


def bars(minutes: int) -> list[BarEvent]:
    prices = dict.fromkeys(("open", "high", "low", "close"), 100.0)
    at = NOON + timedelta(minutes=minutes)
    return [BarEvent(symbol=symbol, timestamp=at, volume=1e6, **prices) for symbol in SYMBOLS]


def intents(first: int, minutes: int, **terms: object) -> list[OrderIntent]:
    given = {"direction": Side.BUY, "quantity": 10.0, "time_in_force": TimeInForce.GTC} | terms
    given["timestamp"] = NOON + timedelta(minutes=minutes)
    return [
        OrderIntent.model_validate({"intent_id": UUID(int=first + number), "symbol": symbol, **given})
        for number, symbol in enumerate(SYMBOLS)
    ]


def working(directory: Path) -> tuple[Execution, Timed]:
    """An order plane with a position in each symbol and an order that rests in each."""
    limits = {"duplicate_window": 0, "max_gross_exposure": 1e9}
    settings = OrderSettings(
        journal_path=directory / "journal.sqlite", limits=limits, throttle={"rate_per_second": 1e9, "burst": 1e9}
    )  # type: ignore[arg-type]
    broker = Timed(paper_broker(settings, SqlitePaperStore(directory / "venue.sqlite")))
    stage = build_stage(settings, durable_journal(settings), broker)  # type: ignore[arg-type]
    stage.recover()
    tell(stage, *bars(0), *intents(1, 0, order_type=OrderType.MARKET))
    tell(stage, *bars(1), *intents(1_000, 1, order_type=OrderType.LIMIT, limit_price=95.0))
    if len(stage.desk.open_orders) != ORDERS or len(stage.desk.positions) != ORDERS:
        raise RuntimeError("the drill did not begin with an order and a position in each symbol")
    return stage, broker


def seconds(directory: Path) -> tuple[float, float]:
    """From the moment somebody asks: to the last cancel acknowledged, and to the last closing order sent."""
    stage, broker = working(directory)
    channel = CommandChannel(directory / SOCKET, operator_commands(stage, lambda messages: None))
    stage.heed(lambda: kills_among(channel.waiting()))
    kill = KillSwitchCommand(
        command_id=UUID(int=9_999), timestamp=NOON, engage=True, operator="ann", reason="drill",
        action=KillAction.HALT_AND_FLATTEN,
    )  # fmt: skip
    answers: list[object] = []
    message = {"message": encode(kill).decode()}
    began = perf_counter()
    asker = Thread(target=lambda: answers.append(ask(directory / SOCKET, "kill", message, TARGET_SECONDS * 10)))
    asker.start()
    while asker.is_alive():
        channel.poll()
        asker.join(0.001)
    sides = {order.intent.direction for order in stage.desk.open_orders}
    if not answers or len(stage.desk.open_orders) != ORDERS or sides != {Side.SELL}:
        raise RuntimeError("the kill did not cancel and close everything")
    channel.close()
    stage.close()
    return broker.cancelled - began, broker.sent - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    taken = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as directory:
            taken.append(seconds(Path(directory)))
    worst = max(sent for _, sent in taken)
    verdict = "PASS" if worst <= TARGET_SECONDS else "FAIL"
    print(
        f"a kill of {ORDERS} working orders and {ORDERS} positions, journal, audit log and venue durable: last cancel"
        f" acknowledged after {max(cancelled for cancelled, _ in taken) * 1e3:.0f} ms, last closing order sent after"
        f" {worst * 1e3:.0f} ms (worst of {rounds}; target {TARGET_SECONDS:g} s): {verdict}"
    )
    return 0 if verdict == "PASS" else 1


if __name__ == "__main__":
    raise SystemExit(main())
