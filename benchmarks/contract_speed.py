"""How fast contracts are read and written, beside pydantic without them, in one run.

Run ``python -m benchmarks.contract_speed``; the exit code is 1 when a ratio falls below its target.
"""

import gc
import json
import sys
from collections.abc import Callable
from datetime import datetime
from statistics import median
from time import perf_counter
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from contracts.codec import decode, encode
from contracts.topics import TOPIC_OF
from contracts.trading import OrderStatus, OrderType, Side, TimeInForce

READ_TARGET = 0.6
WRITE_TARGET = 1.0
TURNS = 301
CALLS = 200
INTENT = "3f2504e0-4f89-5d1a-9a0c-0305e82c3301"
MOMENT = "2024-01-02T21:00:00Z"


class BareBar(BaseModel):
    """The fields of a bar without their rules."""

    event_type: Literal["bar_event"] = "bar_event"
    symbol: str
    timestamp: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    bar_size: str = "1min"


class BareTick(BaseModel):
    """The fields of a tick without their rules."""

    event_type: Literal["tick_event"] = "tick_event"
    symbol: str
    timestamp: datetime
    price: float
    size: float
    tick_type: Literal["TRADE", "BID", "ASK", "LAST"]


class BareFlow(BaseModel):
    """The fields of an order-flow event without their rules."""

    event_type: Literal["ofi_event"] = "ofi_event"
    symbol: str
    timestamp: datetime
    ofi_value: float
    volume_imbalance: float
    bid_volume: float
    ask_volume: float


class BareIntent(BaseModel):
    """The fields of an intent without their rules."""

    event_type: Literal["order_intent"] = "order_intent"
    intent_id: UUID
    symbol: str
    direction: Side
    quantity: float
    order_type: OrderType
    limit_price: float | None = None
    stop_price: float | None = None
    timestamp: datetime
    strategy_id: str = "default"
    time_in_force: TimeInForce = TimeInForce.DAY
    valid_until: datetime | None = None
    plan_id: UUID | None = None


class BareReport(BaseModel):
    """The fields of a report without their rules."""

    event_type: Literal["execution_report"] = "execution_report"
    intent_id: UUID
    order_id: str
    symbol: str
    status: OrderStatus
    filled_quantity: float
    avg_fill_price: float | None = None
    timestamp: datetime
    reject_reason: str | None = None
    report_id: UUID | None = None
    sequence: int = 1
    direction: Side | None = None
    last_quantity: float = 0.0
    last_price: float | None = None
    commission: float = 0.0
    strategy_id: str = "default"


MESSAGES: tuple[tuple[type[BaseModel], dict[str, Any]], ...] = (
    (
        BareBar,
        {"symbol": "AAPL", "open": 187.15, "high": 188.44, "low": 183.885, "close": 185.64, "volume": 82488674.0},
    ),
    (BareTick, {"symbol": "AAPL", "price": 187.15, "size": 100.0, "tick_type": "TRADE"}),
    (
        BareFlow,
        {"symbol": "AAPL", "ofi_value": -120.5, "volume_imbalance": -0.25, "bid_volume": 300.0, "ask_volume": 500.0},
    ),
    (
        BareIntent,
        {"intent_id": INTENT, "symbol": "AAPL", "direction": "BUY", "quantity": 100.0, "order_type": "MARKET"},
    ),
    (
        BareReport,
        {
            "intent_id": INTENT,
            "order_id": "paper-1",
            "symbol": "AAPL",
            "status": "FILLED",
            "filled_quantity": 100.0,
            "avg_fill_price": 187.15,
            "report_id": INTENT,
            "sequence": 2,
            "direction": "BUY",
            "last_quantity": 100.0,
            "last_price": 187.15,
            "commission": 1.0,
        },
    ),
)


Turn = dict[str, Callable[[], object]]


def turns(functions: Turn) -> dict[str, list[float]]:
    """Microseconds per call in each turn; the functions take short turns, so a slow moment hits them alike."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(TURNS):
        for name, function in functions.items():
            started = perf_counter()
            for _ in range(CALLS):
                function()
            times[name].append((perf_counter() - started) / CALLS * 1e6)
    return times


def speed(bare: list[float], contract: list[float]) -> float:
    """Median ratio of speeds over the turns."""
    return median(theirs / ours for theirs, ours in zip(bare, contract, strict=True))


def measure(bare: type[BaseModel], fields: dict[str, Any]) -> dict[str, list[float]]:
    """Times of reading and writing one message, with its contract and bare."""
    event_type = bare.model_fields["event_type"].default
    message = decode(json.dumps({"event_type": event_type, "timestamp": MOMENT, **fields}).encode())
    raw = encode(message)
    accepts = TOPIC_OF[type(message)].messages
    plain = bare.model_validate_json(raw)
    return turns(
        {
            "bare read": lambda: bare.model_validate_json(raw),
            "read": lambda: decode(raw, accepts),
            "bare write": lambda: plain.model_dump_json(),  # noqa: PLW0108 - every function pays for one lambda
            "write": lambda: encode(message),
        }
    )


def main() -> int:
    """Print a table of medians and verdicts; 1 when any ratio misses its target."""
    print(f"{'microseconds':<18}{'bare read':>10}{'read':>8}{'speed':>7}{'bare write':>12}{'write':>8}{'speed':>7}")
    passed = True
    gc.disable()
    for bare, fields in MESSAGES:
        found = measure(bare, fields)
        reading, writing = speed(found["bare read"], found["read"]), speed(found["bare write"], found["write"])
        good = reading >= READ_TARGET and writing >= WRITE_TARGET
        passed &= good
        typical = {name: median(times) for name, times in found.items()}
        print(
            f"{bare.model_fields['event_type'].default:<18}"
            f"{typical['bare read']:>10.2f}{typical['read']:>8.2f}{reading:>7.2f}"
            f"{typical['bare write']:>12.2f}{typical['write']:>8.2f}{writing:>7.2f}  {'PASS' if good else 'FAIL'}"
        )
    print(f"targets: read {READ_TARGET} of bare model_validate_json, write {WRITE_TARGET} of bare model_dump_json")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
