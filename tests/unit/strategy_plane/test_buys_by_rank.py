"""Every strategy names the best first, so that cash which pays for one of two buys the better one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.base import Message
from contracts.control import RebalancePlan
from contracts.market import BarEvent, SliceEvent
from strategy_plane.composition import build_stage
from strategy_plane.settings import StrategySettings

START = datetime(2024, 1, 1, 21, tzinfo=UTC)
GAINS = {"AVERAGE": 0.001, "LOSER": -0.002, "ZBEST": 0.004}
"""Gain a day of each symbol; the alphabet would buy AVERAGE first, and cash does not pay for both."""
SCORE = {"lookback": 20, "skip": 0}
TOO_MUCH = {"gross": 1.3, "net": 1.3, "box": 0.65}
STRATEGIES: dict[str, dict[str, Any]] = {
    "momentum": {"name": "momentum", "signal": SCORE, "winners": 2, "exposure": 1.3},
    "dual_momentum": {
        "name": "dual_momentum",
        "markets": {"A": ("AVERAGE",), "Z": ("ZBEST", "LOSER")},
        "lookback": 20,
        "cap": 0.65,
        "market_cap": 1.3,
    },
    "momentum_mean_variance": {
        "name": "momentum_mean_variance",
        "signal": SCORE,
        "risk_window": 20,
        "limits": TOO_MUCH,
        "optimizer": {"name": "equal_weight"},
    },
    "own": {"name": "own", "factory": "ranking_rule:rule", "bars": 21},
}


@pytest.fixture(autouse=True)
def own_rule(tmp_path, monkeypatch):
    (tmp_path / "ranking_rule.py").write_text("def rule(view):\n    return {'ZBEST': 0.65, 'AVERAGE': 0.65}\n")
    monkeypatch.syspath_prepend(tmp_path)


def day(number: int) -> list[Message]:
    moment = START + timedelta(days=number)
    closes = {symbol: 400.0 * (1.0 + gain * number) for symbol, gain in GAINS.items()}
    bars = [
        BarEvent(symbol=symbol, timestamp=moment, open=c, high=c, low=c, close=c, volume=1e6, bar_size="1d")
        for symbol, c in closes.items()
    ]
    return [*bars, SliceEvent(timestamp=moment, bar_size="1d", symbols=tuple(sorted(GAINS)))]


@pytest.mark.parametrize("name", STRATEGIES)
def test_cash_for_one_of_two_buys_the_better(name: str):
    chosen = {"strategy": STRATEGIES[name], "rebalancing": {"every": "daily"}, "initial_cash": 10_000.0}
    stage = build_stage(StrategySettings.model_validate(chosen))
    told = (message for number in range(70) for message in day(number))
    said = (answer for message in told for answer in stage.handlers[type(message)](message))
    plan = next(each for each in said if isinstance(each, RebalancePlan) and len(each.target_weights) > 1)
    weights = plan.target_weights
    assert next(iter(weights)) == "ZBEST"
    assert weights["AVERAGE"] > 0.3
    bought = {trade.symbol: trade.quantity * trade.reference_price / plan.equity for trade in plan.trades}
    assert bought["ZBEST"] == pytest.approx(weights["ZBEST"], abs=0.05)
    if sum(weights.values()) > 1.0:
        last = [symbol for symbol, weight in weights.items() if weight][-1]
        assert bought.get(last, 0.0) < weights[last] - 0.2
