"""The ensemble trading by plans: a recording replays to the same bytes, and a restart anywhere changes nothing."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from order_messages import filled
from strategy_runs import LateVenue, after_a_restart, decided, on_the_topics, record

from contracts.base import Message
from contracts.control import PlanDecision, PlanProgress, PlanState, RebalancePlan
from contracts.market import BarEvent, FactEvent, OFIEvent, SliceEvent
from contracts.trading import ExecutionCost, ExecutionReport, OrderIntent
from kernel.recorder import replay
from strategy_plane.composition import build_stage
from strategy_plane.settings import StrategySettings

START = datetime(2024, 1, 1, 21, tzinfo=UTC)
SYMBOLS = ("A", "B", "C", "D", "E")
INPUTS = (BarEvent, FactEvent, OFIEvent, SliceEvent, ExecutionReport, ExecutionCost, PlanDecision)
DAYS = 100
CHOSEN = {
    "name": "signal_ensemble",
    "signals": {
        "OFI": {"kind": "order_flow_imbalance", "window": 2},
        "SIF": {"kind": "sentiment", "news_half_life_days": 0.3},
        "TSX": {"kind": "technical", "lookback": 40, "skip": 3, "trend_bars": 20, "rsi_length": 3, "long_bars": 30},
    },
    "regime": {"first_fit": 60, "refit_every": 30, "fit_window": 60, "starts": 2, "drawdown_bars": 30}
    | {"correlation_bars": 20, "volatility_bars": 10},
    **{"horizon": 5, "score_every": 2, "risk_window": 30, "costs": {"trusted_after": 3, "window": 5}},
    "limits": {"gross": 1.0, "net": 1.0, "box": 0.5, "turnover": 2.0, "long_only": True},
}


@pytest.fixture(params=[False, True], ids=["at once", "on approval"], scope="module")
def settings(request: pytest.FixtureRequest) -> StrategySettings:
    rebalancing = {"every": "weekly", "drift_band": 0.1, "requires_approval": request.param}
    return StrategySettings.model_validate({"strategy": CHOSEN, "rebalancing": rebalancing})


@pytest.fixture(scope="module")
def market(daily_bars) -> list[Message]:
    rng = np.random.default_rng(4)
    prices = 100.0 * np.exp(np.cumsum(rng.normal(0.0005, 0.02, (DAYS, len(SYMBOLS))), axis=0))
    told: list[Message] = []
    for day in daily_bars(prices, SYMBOLS, START, volume=1e5):
        before = day[0].timestamp - timedelta(hours=1)
        for symbol in SYMBOLS:
            score, flow = float(rng.uniform(-1, 1)), float(rng.integers(-50, 50))
            news = {"symbol": symbol, "timestamp": before, "event_time": before, "values": {"score": score}}
            told.append(FactEvent(table="news_sentiment", **news))  # type: ignore[arg-type]
            told.append(
                OFIEvent(
                    symbol=symbol,
                    timestamp=before,
                    ofi_value=flow,
                    volume_imbalance=0.0,
                    bid_volume=100.0,
                    ask_volume=100.0,
                )
            )
        told += day
    return told


def trade(intent: OrderIntent, count: int, moment: SliceEvent) -> Iterable[Message]:
    """Every order fills, and something is learned of costs."""
    yield filled(intent, 100.0, moment.timestamp)
    yield ExecutionCost(
        symbol=intent.symbol,
        timestamp=moment.timestamp,
        slippage=0.0002,
        fixed=0.0002,
        impact=0.01 * (count % 7),
        impact_error=0.001,
        observations=count,
    )


@pytest.fixture(scope="module")
def recorded(
    settings: StrategySettings, tmp_path_factory: pytest.TempPathFactory, market: list[Message]
) -> tuple[Path, list[Message]]:
    """The recording of a whole run, and what was said in it."""
    file = tmp_path_factory.mktemp("recorded") / "strategy.log"
    return file, record(settings, file, market, INPUTS, [*LateVenue(trade).answers, (RebalancePlan, decided)])


def test_the_ensemble_trades_by_plans_and_replays_to_the_same_bytes(
    settings: StrategySettings, recorded: tuple[Path, list[Message]]
):
    file, said = recorded
    plans = [each for each in said if isinstance(each, RebalancePlan)]
    assert len(plans) > 6
    named = {each.plan_id for each in said if isinstance(each, OrderIntent)}
    assert named <= {plan.plan_id if plan.requires_approval else None for plan in plans}
    ended = [each.state for each in said if isinstance(each, PlanProgress)]
    assert ended.count(PlanState.COMPLETED) > 4
    retold = replay(build_stage(settings), file)
    assert retold.identical, retold.mismatch


@pytest.mark.parametrize("share", [0.2, 0.55, 0.8])
def test_a_restart_anywhere_leaves_the_rest_as_it_was(
    settings: StrategySettings, recorded: tuple[Path, list[Message]], share: float
):
    retold = after_a_restart(settings, recorded[0], share, compacted)
    assert retold.identical, retold.mismatch


def compacted(lines: list[bytes]) -> Iterable[Message]:
    """What stood on the topics when the process died; of costs the newest alone."""
    costs = {message.symbol: message for message in on_the_topics(lines, [ExecutionCost])}
    plans = (RebalancePlan, PlanDecision, PlanProgress)
    topics = (OrderIntent, ExecutionReport, plans, (FactEvent, OFIEvent, BarEvent, SliceEvent))
    return [*costs.values(), *on_the_topics(lines, topics)]
