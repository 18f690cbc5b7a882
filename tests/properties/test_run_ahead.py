"""A run whose stages are let run ahead is the run in which every message is delivered by itself."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.artifacts import content_digests
from backtest.engine import run
from backtest.run_record import RunRecord
from contracts.base import Message
from contracts.codec import encode
from contracts.market import BarEvent, SliceEvent, TickEvent, TickType
from contracts.trading import OrderType, TimeInForce
from kernel.memory_bus import MemoryBus
from order_plane.composition import build_simulation
from order_plane.settings import Mode, OrderSettings
from strategy_plane.composition import build_stage
from strategy_plane.settings import MovingAverageCrossSettings, StrategySettings

START = datetime(2024, 1, 2, tzinfo=UTC)
SYMBOLS = ("A", "B")
closes = st.sampled_from([10.0, 10.5, 11.0, 9.5, None])
markets = st.lists(st.tuples(closes, closes, st.booleans()), min_size=1, max_size=60)


def bar(symbol: str, at: datetime, close: float) -> BarEvent:
    low, high = min(close, 10.0), max(close, 10.0)
    return BarEvent(symbol=symbol, timestamp=at, open=10.0, high=high, low=low, close=close, volume=50.0)


def market(rows) -> list[Message]:
    """Minutes of bars that may be missing, ticks between them, and their slices."""
    messages: list[Message] = []
    for minute, (*row, ticks) in enumerate(rows):
        at = START + timedelta(minutes=minute)
        found = [(symbol, close) for symbol, close in zip(SYMBOLS, row, strict=True) if close is not None]
        if ticks:
            messages.append(TickEvent(symbol="A", timestamp=at, price=10.0, size=1.0, tick_type=TickType.TRADE))
        messages += [bar(symbol, at, close) for symbol, close in found]
        messages.append(SliceEvent(timestamp=at, bar_size="1min", symbols=tuple(symbol for symbol, _ in found)))
    return messages


class Witness:
    """Writes down every message it hears, kind by kind."""

    def __init__(self) -> None:
        self.heard: dict[type[Message], list[bytes]] = {}
        kinds = (BarEvent, SliceEvent, *build_simulation(ORDER).handlers, *build_stage(strategy()).handlers)
        self.handlers = dict.fromkeys(kinds, self._hear)

    def note(self, messages, begin, end) -> None:
        for message in messages[begin:end]:
            self._hear(message)

    def _hear(self, message: Message) -> tuple[()]:
        self.heard.setdefault(type(message), []).append(encode(message))
        return ()


ORDER = OrderSettings(mode=Mode.SIMULATION, calendar="24/7", volume_cap=0.5)


def strategy(order_type=OrderType.MARKET, time_in_force=TimeInForce.DAY) -> StrategySettings:
    return StrategySettings(
        strategy=MovingAverageCrossSettings(fast=1, slow=2, units=40.0),
        bar_size="1min",
        order_type=order_type,
        time_in_force=time_in_force,
        limit_offset_bps=400.0,
    )


def digests(batches, chosen: StrategySettings):
    record, witness = RunRecord(10_000.0), Witness()
    run(batches, (build_simulation(ORDER), build_stage(chosen)), (record, witness))
    return content_digests(record), witness.heard


@settings(deadline=None, max_examples=60)
@given(
    markets,
    st.lists(st.integers(1, 40), min_size=1),
    st.sampled_from([OrderType.MARKET, OrderType.LIMIT]),
    st.sampled_from([TimeInForce.DAY, TimeInForce.GTC]),
)
def test_however_the_market_is_cut_the_run_is_the_same(rows, sizes, order_type, time_in_force):
    messages = market(rows)
    cut, place = [], 0
    while place < len(messages):
        size = sizes[len(cut) % len(sizes)]
        cut.append(messages[place : place + size])
        place += size
    chosen = strategy(order_type, time_in_force)

    one_by_one = digests([[message] for message in messages], chosen)

    assert digests(cut, chosen) == one_by_one


@settings(deadline=None, max_examples=30)
@given(markets)
def test_running_ahead_is_publishing_and_draining_each_message(rows):
    messages, chosen = market(rows), strategy()
    bus, witness = MemoryBus(), Witness()
    bus.attach(build_simulation(ORDER))
    bus.attach(build_stage(chosen))
    for kind, handler in witness.handlers.items():
        bus.subscribe(kind, handler)
    for message in messages:
        bus.publish(message)
        bus.drain()

    assert digests([messages], chosen)[1] == witness.heard


class Strider:
    """Never speaks, and writes down how far it was let run."""

    dormant = False

    def __init__(self, strides: list[tuple[int, int]]) -> None:
        self.handlers = {BarEvent: lambda message: ()}
        self._strides = strides

    def settle(self):
        return ()

    def restore(self, message): ...

    def sweep(self, messages, begin, end):
        self._strides.append((begin, end))
        return end, ()


@pytest.mark.parametrize("hindered", [False, True])
def test_a_subscriber_that_cannot_run_ahead_keeps_everybody_in_step(hindered):
    bus, strides = MemoryBus(), []
    bus.attach(Strider(strides))
    if hindered:
        bus.subscribe(BarEvent, lambda message: ())
    bus.feed([message for message in market([(10.0, None, False)] * 3) if isinstance(message, BarEvent)])

    assert strides == ([] if hindered else [(0, 3)])
