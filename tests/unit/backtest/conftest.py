"""A small market with orders and fills, drawn from a seed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from backtest.artifacts import Provenance
from backtest.run_record import RunRecord
from contracts.base import Message
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus, OrderType, Side
from domain.ids import intent_id, report_id

START = datetime(2020, 1, 1, 21, tzinfo=UTC)
CASH = 100_000.0


def bar(symbol: str, at: datetime, close: float, bar_size: str = "1d") -> BarEvent:
    return BarEvent(
        symbol=symbol,
        timestamp=at,
        open=close,
        high=close * 1.01,
        low=close * 0.99,
        close=close,
        volume=1_000.0,
        bar_size=bar_size,
    )


def moment(at: datetime, *symbols: str) -> SliceEvent:
    return SliceEvent(timestamp=at, bar_size="1d", symbols=symbols)


def intent(symbol: str, at: datetime, side: Side, quantity: float, strategy: str = "s", **fields) -> OrderIntent:
    return OrderIntent(
        **(
            {
                "intent_id": intent_id(strategy, symbol, at),
                "symbol": symbol,
                "direction": side,
                "quantity": quantity,
                "order_type": OrderType.MARKET,
                "timestamp": at,
                "strategy_id": strategy,
            }
            | fields
        )
    )


def report(order: OrderIntent, at: datetime, sequence: int, status: OrderStatus, **fields) -> ExecutionReport:
    return ExecutionReport(
        **(
            {
                "intent_id": order.intent_id,
                "order_id": "paper-1",
                "symbol": order.symbol,
                "status": status,
                "filled_quantity": 0.0,
                "timestamp": at,
                "report_id": report_id(order.intent_id, sequence),
                "sequence": sequence,
                "direction": order.direction,
                "strategy_id": order.strategy_id,
            }
            | fields
        )
    )


def fill(order: OrderIntent, at: datetime, sequence: int, price: float, commission: float = 0.0) -> ExecutionReport:
    return report(
        order,
        at,
        sequence,
        OrderStatus.FILLED,
        filled_quantity=order.quantity,
        avg_fill_price=price,
        last_quantity=order.quantity,
        last_price=price,
        commission=commission,
    )


@dataclass
class Market:
    """Messages in the order a backtest would produce them."""

    seed: int = 7
    days: int = 90
    symbols: tuple[str, ...] = ("AAA", "BBB", "CCC")
    messages: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        price = dict.fromkeys(self.symbols, 100.0)
        working: list[OrderIntent] = []
        for day in range(self.days):
            at = START + timedelta(days=day)
            for symbol in self.symbols:
                price[symbol] *= float(np.exp(rng.normal(0.0004, 0.012)))
                self.messages.append(bar(symbol, at, price[symbol]))
            for order in working:
                self.messages += self._execute(order, at, price[order.symbol], rng)
            self.messages.append(moment(at, *self.symbols))
            working = [
                intent(symbol, at, Side.BUY if rng.random() < 0.5 else Side.SELL, float(rng.integers(1, 90)))
                for symbol in self.symbols
                if rng.random() < 0.4
            ]
            self.messages += working

    def _execute(self, order: OrderIntent, at: datetime, price: float, rng: np.random.Generator) -> list[Message]:
        acknowledged = report(order, at, 1, OrderStatus.ACKNOWLEDGED)
        if rng.random() < 0.15:
            return [report(order, at, 1, OrderStatus.REJECTED, reject_reason="MAX_ORDER_VALUE: too large")]
        if rng.random() < 0.5 or order.quantity < 2:
            return [acknowledged, fill(order, at, 2, price, 1.0)]
        half, other = float(order.quantity // 2), price * 1.001
        part = report(
            order,
            at,
            2,
            OrderStatus.PARTIAL_FILL,
            filled_quantity=half,
            avg_fill_price=price,
            last_quantity=half,
            last_price=price,
            commission=1.0,
        )
        rest = order.quantity - half
        whole = report(
            order,
            at,
            3,
            OrderStatus.FILLED,
            filled_quantity=order.quantity,
            avg_fill_price=(half * price + rest * other) / order.quantity,
            last_quantity=rest,
            last_price=other,
            commission=2.0,
        )
        return [acknowledged, part, whole]


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.fixture
def provenance() -> Provenance:
    return Provenance("run-1", config_hash="c" * 64, data_hash="d" * 64, git_sha="a" * 40, package_version="0.1.0")


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., RunRecord]:
    """A run record that has observed the given messages and streams its bars to a file of its own."""
    made: list[RunRecord] = []

    def make(messages, cash: float = CASH, **options) -> RunRecord:
        record = RunRecord(cash, bars_to=tmp_path / f"bars-{len(made)}.parquet", **options)
        made.append(record)
        for message in messages:
            record.observe(message)
        return record

    return make


@pytest.fixture
def scenario():
    """The builders of single messages, for a test that tells its own story."""

    class Scenario:
        start = START
        bar, moment, intent, report, fill = map(staticmethod, (bar, moment, intent, report, fill))

    return Scenario
