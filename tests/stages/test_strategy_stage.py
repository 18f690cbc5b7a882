"""The strategy plane as a stage: recorded inputs replay to the same bytes, and a restart changes nothing."""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from order_messages import filled

from contracts.base import Message
from contracts.codec import decode
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport, OrderIntent
from kernel.memory_bus import MemoryBus
from kernel.pump import Pump
from kernel.recorder import END, SAID, TOLD, Recorder, replay
from strategy_plane.composition import build_stage
from strategy_plane.settings import (
    LimitSettings,
    MomentumMeanVarianceSettings,
    MomentumSettings,
    MovingAverageCrossSettings,
    StrategySettings,
)

START = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOLS = ("A", "B", "C", "D", "KRWUSD")
MOMENTUM = StrategySettings(
    strategy=MomentumMeanVarianceSettings(
        signal=MomentumSettings(lookback=20, skip=3),
        limits=LimitSettings(gross=1.0, net=1.0, box=0.5, turnover=0.6),
        risk_window=25,
        rebalance_every=4,
    ),
    publish_portfolio=True,
)
ABROAD = MOMENTUM.model_copy(update={"currencies": {"A": "KRW", "B": "KRW"}, "cash_buffer": 0.1})
CROSS = StrategySettings(strategy=MovingAverageCrossSettings(fast=3, slow=8))
INPUTS = (BarEvent, SliceEvent, ExecutionReport)


@pytest.fixture
def market(daily_bars) -> list[Message]:
    steps = np.random.default_rng(5).normal(0.001, 0.02, (60, len(SYMBOLS)))
    return [*chain(*daily_bars(100.0 * np.exp(np.cumsum(steps, axis=0)), SYMBOLS, START))]


def fill(intent: OrderIntent) -> Iterable[Message]:
    """An order plane that fills everything at once."""
    yield filled(intent, 100.0)


@pytest.fixture(params=["momentum", "abroad", "cross"])
def settings(request: pytest.FixtureRequest) -> StrategySettings:
    return {"momentum": MOMENTUM, "abroad": ABROAD, "cross": CROSS}[request.param]


def record(settings: StrategySettings, file: Path, market: list[Message]) -> list[Message]:
    """Run the stage on a bus, one batch per published message, and write down what it was told and said."""
    bus, said = MemoryBus(), []
    bus.subscribe(OrderIntent, lambda intent: said.append(intent) or fill(intent))
    with file.open("wb") as log:
        pump = Pump(build_stage(settings), bus.connect(INPUTS), [Recorder(log)])
        for message in market:
            bus.publish(message)
            while pump.step(0.0):
                pass
    return said


def test_a_recording_replays_to_the_same_bytes(settings: StrategySettings, tmp_path: Path, market: list[Message]):
    file = tmp_path / "strategy.log"
    assert len(record(settings, file, market)) > 10
    retold = replay(build_stage(settings), file)
    assert retold.identical, retold.mismatch
    assert retold.messages > 300


def test_a_recording_catches_a_changed_strategy(tmp_path: Path, market: list[Message]):
    file = tmp_path / "strategy.log"
    record(CROSS, file, market)
    changed = CROSS.model_copy(update={"strategy": MovingAverageCrossSettings(fast=4, slow=8)})
    assert not replay(build_stage(changed), file).identical


def test_two_runs_write_the_same_bytes(settings: StrategySettings, tmp_path: Path, market: list[Message]):
    record(settings, tmp_path / "1", market)
    record(settings, tmp_path / "2", market)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


@pytest.mark.parametrize("share", [0.1, 0.45, 0.7, 0.99])
def test_a_restart_anywhere_leaves_the_rest_of_the_run_as_it_was(
    settings: StrategySettings, tmp_path: Path, market: list[Message], share: float
):
    file, rest = tmp_path / "strategy.log", tmp_path / "rest.log"
    record(settings, file, market)
    batches = file.read_bytes().split(END)
    cut = int(len(batches) * share)
    rest.write_bytes(END.join(batches[cut:]))
    restarted = build_stage(settings)
    for message in on_the_topics(b"".join(batches[:cut]).splitlines()):
        restarted.restore(message)
    retold = replay(restarted, rest)
    assert retold.identical, retold.mismatch
    assert retold.messages > 0


def on_the_topics(lines: list[bytes]) -> Iterable[Message]:
    """What stood on the topics when the process died, one topic after the other."""
    messages = [decode(line[1:]) for line in lines if line[:1] in (TOLD, SAID)]
    for kind in (OrderIntent, ExecutionReport, BarEvent, SliceEvent):
        yield from (message for message in messages if isinstance(message, kind))
