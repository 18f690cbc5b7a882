"""A regime that allows less does not wait for a person: the plan that waits gives way to one with the cut."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from order_messages import filled

from contracts.base import Message
from contracts.codec import decode
from contracts.control import PlanDecision, PlanProgress, PlanState, RebalancePlan, RiskAlert, Verdict
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport, OrderIntent
from kernel.memory_bus import MemoryBus
from kernel.pump import Pump
from kernel.recorder import END, SAID, TOLD, Recorder, replay
from order_plane.approved_plans import ApprovedPlans
from strategy_plane.composition import build_stage
from strategy_plane.regime.gate import Exposure
from strategy_plane.regime.model import Regime
from strategy_plane.settings import StrategySettings

START = datetime(2024, 1, 1, 21, tzinfo=UTC)
SYMBOLS = ("A", "B", "C", "D", "E")
INPUTS = (BarEvent, SliceEvent, ExecutionReport, PlanDecision)
DAYS = 150
PATIENCE = timedelta(days=4)
"""How long the person takes to look at a plan."""
GATES = {Regime.CALM: Exposure(1.2, 0.6), Regime.NORMAL: Exposure(1.6, 0.8), Regime.STORM: Exposure(0.4, 0.2)}
SETTINGS = StrategySettings.model_validate(
    {
        "strategy": {
            "name": "signal_ensemble",
            "signals": {
                "TSX": {"kind": "technical", "lookback": 30, "skip": 3, "trend_bars": 20, "rsi_length": 3}
                | {"short_bars": 5, "long_bars": 25}
            },
            "regime": {"first_fit": 60, "refit_every": 30, "fit_window": 60, "starts": 2, "drawdown_bars": 20}
            | {"correlation_bars": 10, "volatility_bars": 5, "confirmations": 2}
            | {"exposures": {name.value: {"gross": each.gross, "net": each.net} for name, each in GATES.items()}},
            **{"horizon": 5, "score_every": 2, "risk_window": 25},
            "limits": {"gross": 2.5, "net": 1.0, "box": 0.8, "turnover": 2.0, "long_only": False},
            "optimizer": {"name": "mean_variance", "risk_aversion": 0.05},
        },
        "lot": 0.001,
        "rebalancing": {"every": "weekly", "requires_approval": True, "within_cash": False, "valid_for": "P9D"},
    }
)


@pytest.fixture(scope="module")
def market(daily_bars) -> list[list[Message]]:
    """Quiet weeks and wild ones."""
    wild = np.where((np.arange(DAYS) // 15) % 2 == 1, 0.04, 0.008)[:, None]
    steps = np.random.default_rng(8).normal(0.0, 1.0, (DAYS, len(SYMBOLS))) * wild
    return daily_bars(100.0 * np.exp(np.cumsum(steps, axis=0)), SYMBOLS, START)


def approval(plan: RebalancePlan) -> PlanDecision:
    return PlanDecision(
        plan_id=plan.plan_id,
        strategy_id=plan.strategy_id,
        timestamp=plan.timestamp + PATIENCE,
        verdict=Verdict.APPROVED,
        operator="j.doe",
        reason="looked at",
        content_hash=plan.content_hash,
    )


class Life:
    """A run in which a person approves every plan late and every order fills on the next day."""

    def __init__(self, file: Path, market: list[list[Message]]) -> None:
        self.said: list[Message] = []
        self.uncut: list[datetime] = []
        bus, stage = MemoryBus(), build_stage(SETTINGS)
        self.engine = stage._stage  # type: ignore[attr-defined]
        for kind in (OrderIntent, RebalancePlan, PlanProgress, RiskAlert):
            bus.subscribe(kind, lambda message: self.said.append(message) or ())
        with file.open("wb") as log:
            pump = Pump(stage, bus.connect(INPUTS), [Recorder(log)])
            for day in market:
                for message in [*self.answers(day[-1].timestamp), *day]:
                    bus.publish(message)
                    while pump.step(0.0):
                        pass
                self.check(day[-1].timestamp)

    def answers(self, now: datetime) -> list[Message]:
        day = timedelta(days=1)
        fills = [
            filled(each, 100.0, now)
            for each in self.said
            if isinstance(each, OrderIntent) and each.timestamp == now - day
        ]
        plans = [each for each in self.said if isinstance(each, RebalancePlan)]
        return [*fills, *(approval(plan) for plan in plans if plan.timestamp == now - PATIENCE)]

    def check(self, now: datetime) -> None:
        """Note a moment at which more is held or aimed at than the regime allows, and no plan says otherwise."""
        engine, record = self.engine, self.engine._record
        if record is None:
            return
        waits = not record.has_ended
        held = [engine.book.weight(symbol) for symbol in engine.book.symbols]
        weights = list(record.plan.target_weights.values()) if waits else held
        gate = GATES[engine._strategy.brain.regime]
        if sum(map(abs, weights)) > gate.gross * 1.05 + 1e-3 or abs(sum(weights)) > gate.net * 1.05 + 1e-3:
            self.uncut.append(now)


@pytest.fixture(scope="module")
def recorded(market, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Life]:
    file = tmp_path_factory.mktemp("recorded") / "strategy.log"
    return file, Life(file, market)


def test_from_the_moment_a_regime_is_in_force_a_plan_with_the_cut_waits_or_all_is_within(recorded):
    _, life = recorded
    assert life.uncut == []
    ended = [each for each in life.said if isinstance(each, PlanProgress) and each.state is PlanState.SUPERSEDED]
    withdrawn = [each for each in ended if any("bounds allow" in str(trade.reason) for trade in each.trades)]
    assert len(withdrawn) >= 2
    alerts = [each for each in life.said if isinstance(each, RiskAlert) and each.code == "PLAN_WITHDRAWN"]
    assert [each.timestamp for each in alerts] == [each.timestamp for each in withdrawn]
    plans = {each.timestamp: each for each in life.said if isinstance(each, RebalancePlan)}
    for each in withdrawn:
        assert plans[each.timestamp].requires_approval


def test_what_is_withdrawn_orders_nothing_and_every_order_has_its_approved_plan(recorded):
    _, life = recorded
    ended = [each for each in life.said if isinstance(each, PlanProgress) and each.state is PlanState.SUPERSEDED]
    orders = [each for each in life.said if isinstance(each, OrderIntent)]
    assert orders
    for each in ended:
        assert not [order for order in orders if order.plan_id == each.plan_id and order.timestamp >= each.timestamp]
    approved = ApprovedPlans()
    for plan in (each for each in life.said if isinstance(each, RebalancePlan)):
        approved.proposed(plan)
        approved.decided(approval(plan))
    for order in orders:
        plan = approved._plans[order.plan_id]  # type: ignore[index]
        assert (order.symbol, order.direction) in {(trade.symbol, trade.direction) for trade in plan.trades}


def test_a_recording_replays_to_the_same_bytes(recorded):
    retold = replay(build_stage(SETTINGS), recorded[0])
    assert retold.identical, retold.mismatch


def test_a_restart_about_a_withdrawal_changes_nothing(recorded, tmp_path: Path):
    batches = recorded[0].read_bytes().split(END)
    busy = [place for place, batch in enumerate(batches) if b"PLAN_WITHDRAWN" in batch]
    for cut in [cut for place in busy[:2] for cut in (place - 1, place, place + 1, place + 9)]:
        rest = tmp_path / "rest.log"
        rest.write_bytes(END.join(batches[cut:]))
        restarted = build_stage(SETTINGS)
        for message in on_the_topics(b"".join(batches[:cut]).splitlines()):
            restarted.restore(message)
        retold = replay(restarted, rest)
        assert retold.identical, (cut, retold.mismatch)


@pytest.mark.parametrize("lost", [(), (RebalancePlan,), (RebalancePlan, PlanProgress)])
def test_a_crash_in_the_middle_of_a_withdrawal_ends_in_the_same_plan(recorded, lost: tuple[type[Message], ...]):
    batches = recorded[0].read_bytes().split(END)
    for place in [place for place, batch in enumerate(batches) if b"PLAN_WITHDRAWN" in batch][:3]:
        told, said = ([decode(line[1:]) for line in batches[place].splitlines() if line[:1] == k] for k in (TOLD, SAID))
        restarted = build_stage(SETTINGS)
        durable = [message for message in said if not isinstance(message, lost)]
        for message in [*on_the_topics(b"".join(batches[:place]).splitlines()), *durable]:
            restarted.restore(message)
        again = [each for message in told for each in restarted.handlers[type(message)](message)]
        (wanted,) = [each for each in said if isinstance(each, RebalancePlan)]
        made = [each for each in again if isinstance(each, RebalancePlan)]
        assert [each.plan_id for each in made] == ([wanted.plan_id] if lost else [])
        assert [each.trades for each in made] == ([wanted.trades] if lost else [])


def on_the_topics(lines: list[bytes]) -> Iterable[Message]:
    """What stood on the topics when the process died, one topic after the other."""
    messages = [decode(line[1:]) for line in lines if line[:1] in (TOLD, SAID)]
    for kinds in (OrderIntent, ExecutionReport, (RebalancePlan, PlanDecision, PlanProgress), BarEvent, SliceEvent):
        yield from (message for message in messages if isinstance(message, kinds))
