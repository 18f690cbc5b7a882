"""The strategy plane as a stage: recorded inputs replay to the same bytes, and a restart changes nothing."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import strategy_runs
from order_messages import filled
from strategy_runs import after_a_restart, on_the_topics

from contracts.base import Message
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport, OrderIntent
from kernel.recorder import replay
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
    return strategy_runs.record(settings, file, market, INPUTS, [(OrderIntent, fill)])


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
    file = tmp_path / "strategy.log"
    record(settings, file, market)
    topics = (OrderIntent, ExecutionReport, BarEvent, SliceEvent)
    retold = after_a_restart(settings, file, share, partial(on_the_topics, topics=topics))
    assert retold.identical, retold.mismatch
    assert retold.messages > 0
