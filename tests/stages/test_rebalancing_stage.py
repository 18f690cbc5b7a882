"""The rebalancing engine as a stage: recorded inputs replay to the same bytes, and a restart changes nothing."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import strategy_runs
from order_messages import reported
from strategy_runs import LateVenue, after_a_restart, decided, on_the_topics

from contracts.base import Message
from contracts.codec import decode
from contracts.control import PlanDecision, PlanProgress, RebalancePlan, Verdict
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus
from kernel.recorder import END, SAID, TOLD, replay
from strategy_plane.composition import build_stage
from strategy_plane.engines.settings import RebalancingSettings, VolatilityTargetSettings
from strategy_plane.settings import (
    LimitSettings,
    MomentumMeanVarianceSettings,
    MomentumSettings,
    StrategySettings,
)
from strategy_plane.strategies.port import Frequency

START = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOLS = ("A", "B", "C", "D")
INPUTS = (BarEvent, SliceEvent, ExecutionReport, PlanDecision)
PLAIN = StrategySettings(
    strategy=MomentumMeanVarianceSettings(
        signal=MomentumSettings(lookback=20, skip=3),
        limits=LimitSettings(gross=1.0, net=1.0, box=0.5, turnover=2.0),
        risk_window=25,
    ),
    rebalancing=RebalancingSettings(every=Frequency.WEEKLY, drift_band=0.05),
    cash_buffer=0.05,
    volatility_target=VolatilityTargetSettings(annual=0.2, window=20),
    publish_portfolio=True,
)
ASKED = PLAIN.model_copy(
    update={"rebalancing": RebalancingSettings(every=Frequency.WEEKLY, requires_approval=True, turnover_cap=0.6)}
)


@pytest.fixture
def market(daily_bars) -> list[Message]:
    steps = np.random.default_rng(5).normal(0.001, 0.02, (90, len(SYMBOLS)))
    return [*chain(*daily_bars(100.0 * np.exp(np.cumsum(steps, axis=0)), SYMBOLS, START))]


TOPICS = (OrderIntent, ExecutionReport, (RebalancePlan, PlanDecision, PlanProgress), BarEvent, SliceEvent)


def trade(intent: OrderIntent, count: int, moment: SliceEvent) -> Iterable[Message]:
    """Every third order expires half filled, the others fill."""
    status, share = (OrderStatus.EXPIRED, 0.5) if count % 3 == 0 else (OrderStatus.FILLED, 1.0)
    yield reported(intent, status, intent.quantity * share, 100.0, moment.timestamp)


def operator(plan: RebalancePlan) -> Iterable[Message]:
    """A person who approves most plans."""
    return decided(plan, Verdict.REFUSED if plan.timestamp.day % 5 == 0 else Verdict.APPROVED)


@pytest.fixture(params=["plain", "asked"])
def settings(request: pytest.FixtureRequest) -> StrategySettings:
    return {"plain": PLAIN, "asked": ASKED}[request.param]


def record(settings: StrategySettings, file: Path, market: list[Message]) -> list[Message]:
    who = [*LateVenue(trade).answers, (RebalancePlan, operator)]
    return strategy_runs.record(settings, file, market, INPUTS, who)


def test_a_recording_replays_to_the_same_bytes(settings: StrategySettings, tmp_path: Path, market: list[Message]):
    file = tmp_path / "strategy.log"
    said = record(settings, file, market)
    assert sum(isinstance(each, OrderIntent) for each in said) > 10
    assert sum(isinstance(each, RebalancePlan) for each in said) >= 8
    assert {each.state.value for each in said if isinstance(each, PlanProgress)} >= {"SELLING", "BUYING", "COMPLETED"}
    retold = replay(build_stage(settings), file)
    assert retold.identical, retold.mismatch


@pytest.mark.parametrize("share", [0.1, 0.3, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 0.99])
def test_a_restart_anywhere_leaves_the_rest_of_the_run_as_it_was(
    settings: StrategySettings, tmp_path: Path, market: list[Message], share: float
):
    file = tmp_path / "strategy.log"
    record(settings, file, market)
    retold = after_a_restart(settings, file, share, partial(on_the_topics, topics=TOPICS))
    assert retold.identical, retold.mismatch


@pytest.mark.parametrize("lost", ["nothing", "orders", "progress", "plan"])
def test_a_crash_in_the_middle_of_a_moment_sends_what_the_log_lacks_and_nothing_twice(
    settings: StrategySettings, tmp_path: Path, market: list[Message], lost: str
):
    """The batch of a moment is handled again, and of what it said only some had become durable."""
    file = tmp_path / "strategy.log"
    everything = record(settings, file, market)
    wished = {each.intent_id for each in everything if isinstance(each, OrderIntent)}
    kinds = {"nothing": (), "orders": (OrderIntent,), "progress": (PlanProgress,), "plan": (RebalancePlan,)}[lost]
    batches = file.read_bytes().split(END)
    busy = [place for place, batch in enumerate(batches) if b'"order_intent"' in batch]
    for place in busy[:12]:
        restarted = build_stage(settings)
        said = [decode(line[1:]) for line in batches[place].splitlines() if line[:1] == SAID]
        durable = [message for message in said if not isinstance(message, kinds)]
        for message in [*on_the_topics(b"".join(batches[:place]).splitlines(), TOPICS), *durable]:
            restarted.restore(message)
        told = [decode(line[1:]) for line in batches[place].splitlines() if line[:1] == TOLD]
        again = [each for message in told for each in restarted.handlers[type(message)](message)]
        sent = [each.intent_id for each in again if isinstance(each, OrderIntent)]
        before = [each.intent_id for each in durable if isinstance(each, OrderIntent)]
        assert set(sent) <= wished
        assert sorted(map(str, {*sent, *before})) == sorted(
            str(e.intent_id) for e in said if isinstance(e, OrderIntent)
        )
