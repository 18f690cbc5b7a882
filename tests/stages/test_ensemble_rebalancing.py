"""The ensemble trading by plans: a recording replays to the same bytes, and a restart anywhere changes nothing."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from order_messages import filled

from contracts.base import Message
from contracts.codec import decode
from contracts.control import PlanDecision, PlanProgress, PlanState, RebalancePlan, Verdict
from contracts.market import BarEvent, FactEvent, OFIEvent, SliceEvent
from contracts.trading import ExecutionCost, ExecutionReport, OrderIntent
from kernel.memory_bus import MemoryBus
from kernel.pump import Pump
from kernel.recorder import END, SAID, TOLD, Recorder, replay
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


class OrderPlane:
    """Fills every order a day later, and says what it has learned of costs."""

    def __init__(self) -> None:
        self.waiting: list[OrderIntent] = []
        self.count = 0

    def on_intent(self, intent: OrderIntent) -> Iterable[Message]:
        self.waiting.append(intent)
        return ()

    def on_slice(self, moment: SliceEvent) -> Iterable[Message]:
        ready = [intent for intent in self.waiting if intent.timestamp < moment.timestamp]
        self.waiting = [intent for intent in self.waiting if intent not in ready]
        for intent in ready:
            self.count += 1
            yield filled(intent, 100.0, moment.timestamp)
            yield ExecutionCost(
                symbol=intent.symbol,
                timestamp=moment.timestamp,
                slippage=0.0002,
                fixed=0.0002,
                impact=0.01 * (self.count % 7),
                impact_error=0.001,
                observations=self.count,
            )


def operator(plan: RebalancePlan) -> Iterable[Message]:
    if plan.requires_approval:
        yield PlanDecision(
            plan_id=plan.plan_id,
            strategy_id=plan.strategy_id,
            timestamp=plan.timestamp + timedelta(hours=1),
            verdict=Verdict.APPROVED,
            operator="j.doe",
            reason="looked at",
            content_hash=plan.content_hash,
        )


def record(settings: StrategySettings, file: Path, market: list[Message]) -> list[Message]:
    bus, venue, said = MemoryBus(), OrderPlane(), []
    for kind in (OrderIntent, RebalancePlan, PlanProgress):
        bus.subscribe(kind, lambda message: said.append(message) or ())
    bus.subscribe(OrderIntent, venue.on_intent)
    bus.subscribe(SliceEvent, venue.on_slice)
    bus.subscribe(RebalancePlan, operator)
    with file.open("wb") as log:
        pump = Pump(build_stage(settings), bus.connect(INPUTS), [Recorder(log)])
        for message in market:
            bus.publish(message)
            while pump.step(0.0):
                pass
    return said


@pytest.fixture(scope="module")
def recorded(
    settings: StrategySettings, tmp_path_factory: pytest.TempPathFactory, market: list[Message]
) -> tuple[Path, list[Message]]:
    """The recording of a whole run, and what was said in it."""
    file = tmp_path_factory.mktemp("recorded") / "strategy.log"
    return file, record(settings, file, market)


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
    settings: StrategySettings, recorded: tuple[Path, list[Message]], tmp_path: Path, share: float
):
    rest = tmp_path / "rest.log"
    batches = recorded[0].read_bytes().split(END)
    cut = int(len(batches) * share)
    rest.write_bytes(END.join(batches[cut:]))
    restarted = build_stage(settings)
    for message in on_the_topics(b"".join(batches[:cut]).splitlines()):
        restarted.restore(message)
    retold = replay(restarted, rest)
    assert retold.identical, retold.mismatch


def on_the_topics(lines: list[bytes]) -> Iterable[Message]:
    """What stood on the topics when the process died, one after the other; costs are compacted to the newest."""
    messages = [decode(line[1:]) for line in lines if line[:1] in (TOLD, SAID)]
    costs = {message.symbol: message for message in messages if isinstance(message, ExecutionCost)}
    yield from costs.values()
    plans = (RebalancePlan, PlanDecision, PlanProgress)
    for kinds in (OrderIntent, ExecutionReport, plans, (FactEvent, OFIEvent, BarEvent, SliceEvent)):
        yield from (message for message in messages if isinstance(message, kinds))
