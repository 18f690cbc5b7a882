"""Measure the CPU that all controls together cost one intent, with every optional limit set.

python -m benchmarks.controls
"""

from datetime import UTC, datetime, timedelta
from time import process_time
from uuid import UUID

from contracts.market import BarEvent, SliceEvent
from contracts.trading import OrderIntent, OrderType, Side
from order_plane.composition import build_simulation
from order_plane.execution import Execution
from order_plane.settings import Mode, OrderSettings

TARGET_US = 50.0
NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
SYMBOLS = [f"S{number}" for number in range(20)]
USUAL = {"duplicate_window": 0, "max_order_value": 1e12, "max_symbol_notional": 1e12, "max_gross_exposure": 1e12}
OPTIONAL = ("net_exposure", "strategy_notional", "position", "concentration", "leverage", "daily_loss")
BY_THE_PAST = {"max_volume_share": 1e12, "volume_days": 1, "period_collar": 0.1, "collar_period": 3600}
FAST = {"max_strategy_rate": 1e9, "strategy_burst": 1e9}
EVERY = (
    {f"max_{name}": 1e12 for name in (*OPTIONAL, "orders_per_execution")}
    | {"restricted": ["X"], "short_selling": False, "located": {"X": 1.0}}
    | (USUAL | BY_THE_PAST | FAST)
)


def an_intent(number: int) -> OrderIntent:
    symbol = SYMBOLS[number % len(SYMBOLS)]
    side = Side.BUY if number // len(SYMBOLS) % 2 == 0 else Side.SELL
    terms = {"symbol": symbol, "direction": side, "quantity": 1.0, "order_type": OrderType.MARKET}
    return OrderIntent(intent_id=UUID(int=number + 1), timestamp=NOON, **terms)


def invested(limits: dict[str, object], *, guarded: bool) -> Execution:
    """An order plane that holds a unit of each symbol."""
    throttle = {"rate_per_second": 1e9, "burst": 1e9}
    given = {"mode": Mode.SIMULATION, "limits": limits, "throttle": throttle, "guards": [{}] if guarded else []}
    stage = build_simulation(OrderSettings.model_validate(given))
    for at in (NOON - timedelta(days=1), NOON.replace(hour=16), NOON):
        for symbol in SYMBOLS:
            prices = dict.fromkeys(("open", "high", "low", "close"), 100.0)
            stage.handlers[BarEvent](BarEvent(symbol=symbol, timestamp=at, volume=1e6, **prices))
        for number, _ in enumerate(SYMBOLS) if at < NOON and at.day == NOON.day else ():
            stage.handlers[OrderIntent](an_intent(number).model_copy(update={"timestamp": at}))
        stage.settle()
    if guarded:
        stage.handlers[SliceEvent](SliceEvent(timestamp=NOON, bar_size="1min", symbols=tuple(SYMBOLS)))
        stage.settle()
    return stage


def microseconds(limits: dict[str, object], *, guarded: bool) -> float:
    """CPU of judging one intent, with 20 positions held; the median of five rounds."""
    stage = invested(limits, guarded=guarded)
    rounds, judge = [], stage.desk._judge
    intents = [an_intent(number) for number in range(100, 1_100)]
    for _ in range(5):
        began = process_time()
        for intent in intents:
            if (refusal := judge.refusal(intent, frozenset())) is not None:
                raise RuntimeError(f"the controls refused an order of the benchmark: {refusal}")
        rounds.append((process_time() - began) / len(intents) * 1e6)
    return sorted(rounds)[2]


def main() -> int:
    usual, every = microseconds(USUAL, guarded=False), microseconds(EVERY, guarded=True)
    verdict = "PASS" if every <= TARGET_US else "FAIL"
    print(
        f"controls per intent: {usual:.1f} us with the usual limits, {every:.1f} us with every limit and 20 positions"
        f" ({every / usual:.1f} times; target {TARGET_US:.0f} us): {verdict}"
    )
    return 0 if verdict == "PASS" else 1


if __name__ == "__main__":
    raise SystemExit(main())
