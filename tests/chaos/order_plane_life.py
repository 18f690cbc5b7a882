"""One life of an order plane over a fixed script of batches, with files for the topic offsets and the outputs.

It runs in a process of its own (lives.py), may be killed anywhere and is started again on the same directory.
"""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contracts.codec import encode
from contracts.market import BarEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderType, Side, TimeInForce
from domain.ids import intent_id
from kernel.crash_points import crash_point
from order_plane.brokers.sqlite_paper_store import SqlitePaperStore
from order_plane.composition import build_stage, durable_journal, paper_broker
from order_plane.settings import OrderSettings

START = datetime(2024, 1, 2, 15, tzinfo=UTC)
SYMBOLS = ("AAPL", "MSFT", "IBM")


def a_bar(symbol, step):
    price = 100.0 + (step * (7 + len(symbol))) % 11
    return BarEvent(
        symbol=symbol,
        timestamp=START + timedelta(minutes=step),
        open=price,
        high=price + 2,
        low=price - 2,
        close=price + 1,
        volume=100.0,
    )


def an_intent(symbol, step, kind):
    """The wishes differ by step, so that market, limit, stop, partial, refused and expiring orders all occur."""
    at = START + timedelta(minutes=step)
    price = 100.0 + (step * (7 + len(symbol))) % 11
    terms = {
        0: {"quantity": 5.0, "order_type": OrderType.MARKET},
        1: {"quantity": 25.0, "order_type": OrderType.MARKET},
        2: {"quantity": 5.0, "order_type": OrderType.LIMIT, "limit_price": price - 4.0},
        3: {"quantity": 5.0, "order_type": OrderType.STOP, "stop_price": price + 5.0},
        4: {"quantity": 500.0, "order_type": OrderType.MARKET},
        5: {"quantity": 15.0, "order_type": OrderType.MARKET, "time_in_force": TimeInForce.IOC},
        6: {
            "quantity": 5.0,
            "order_type": OrderType.LIMIT,
            "limit_price": 50.0,
            "time_in_force": TimeInForce.GTD,
            "valid_until": at + timedelta(minutes=2),
        },
    }[kind]
    side = Side.BUY if (step + len(symbol)) % 2 else Side.SELL
    name = intent_id("chaos", symbol, at)
    fields = {"time_in_force": TimeInForce.GTC, **terms}
    return OrderIntent(intent_id=name, symbol=symbol, direction=side, timestamp=at, strategy_id="chaos", **fields)


def script():
    """Batches as a bus would deliver them: the bars of a moment, then the wishes they led to."""
    for step in range(14):
        batch = [a_bar(symbol, step) for symbol in SYMBOLS]
        if step < 10:
            batch += [an_intent(symbol, step, (step + number) % 7) for number, symbol in enumerate(SYMBOLS)]
        yield batch


def publish(directory, messages):
    with (directory / "said.jsonl").open("ab") as file:
        for message in messages:
            if isinstance(message, ExecutionReport):
                file.write(encode(message) + b"\n")
        file.flush()
        os.fsync(file.fileno())


class Overlapping:
    """The paper venue as one that has an order as soon as it has left, and answers when it is asked to."""

    def __init__(self, venue):
        self._venue = venue

    def __getattr__(self, name):
        return getattr(self._venue, name)

    def dispatch(self, order):
        said = self._venue.submit(order)
        return lambda: said


def main(directory, database=None, overlapping=False):
    settings = OrderSettings(
        journal_path=directory / "journal.sqlite",
        journal_database=database,
        journal_wait=timedelta(seconds=60),
        paper_store_path=directory / "venue.sqlite",
        limits={"max_order_value": 20_000.0},
        volume_cap=0.1,
        unfilled={"after": timedelta(minutes=3), "unfilled": "market", "partly": "market"},
    )
    committed = directory / "committed"
    if overlapping:
        venue = Overlapping(paper_broker(settings, SqlitePaperStore(settings.paper_store_path)))
        stage = build_stage(settings, durable_journal(settings), venue)
    else:
        stage = build_stage(settings)
    done = int(committed.read_text()) if committed.exists() else 0
    publish(directory, stage.recover())
    for number, batch in enumerate(script()):
        if number < done:
            for message in batch:
                stage.restore(message)
            continue
        said = [output for message in batch for output in stage.handlers[type(message)](message)]
        said += stage.settle()
        publish(directory, said)
        crash_point("after_report")
        crash_point("before_commit")
        progress = directory / "committed.new"
        progress.write_text(str(number + 1))
        progress.replace(committed)
    stage.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
