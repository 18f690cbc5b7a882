"""Strategies without an optimizer are held to bounds, too, whatever scales their weights or counts their units."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from order_messages import filled
from pydantic import ValidationError

from contracts.base import Message
from contracts.control import RiskAlert
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport, OrderIntent, Side
from strategy_plane.composition import build_stage
from strategy_plane.settings import StrategySettings

START = datetime(2024, 1, 1, 21, tzinfo=UTC)
CASH = 1_000_000.0
RISING = {name: [100.0 + day * (place + 1) / 100.0 for day in range(60)] for place, name in enumerate("ABCD")}
MOMENTUM = {"name": "momentum", "signal": {"lookback": 10, "skip": 1}, "rebalance_every": 5}
DUAL = {"name": "dual_momentum", "markets": {"X": ["A", "B"], "Y": ["C", "D"]}, "lookback": 10}
LEVERED = {"annual": 5.0, "largest": 10.0, "window": 5}


def run(chosen: Mapping[str, Any], paths: Mapping[str, list[float]], **more: Any) -> tuple[list[Message], list[dict]]:
    """What is said, and what is held after each moment as fractions of equity; orders fill at the close they name."""
    stage = build_stage(StrategySettings.model_validate({"strategy": chosen, "initial_cash": CASH, **more}))
    said, held, units, cash = [], [], dict.fromkeys(paths, 0.0), CASH
    for day in range(len(next(iter(paths.values())))):
        at, closes = START + timedelta(days=day), {name: path[day] for name, path in paths.items()}
        for symbol, close in closes.items():
            prices = dict.fromkeys(("open", "high", "low", "close"), close)
            stage.handlers[BarEvent](BarEvent(symbol=symbol, timestamp=at, volume=1.0, bar_size="1d", **prices))
        found = stage.handlers[SliceEvent](SliceEvent(timestamp=at, bar_size="1d", symbols=tuple(sorted(paths))))
        said += found
        for intent in (each for each in found if isinstance(each, OrderIntent)):
            signed = intent.quantity if intent.direction is Side.BUY else -intent.quantity
            units[intent.symbol] += signed
            cash -= signed * closes[intent.symbol]
            stage.handlers[ExecutionReport](filled(intent, closes[intent.symbol]))
        equity = cash + math.fsum(units[name] * closes[name] for name in paths)
        held.append({name: units[name] * closes[name] / equity for name in paths})
    return said, held


def gross(held: list[dict[str, float]]) -> float:
    return max(sum(map(abs, weights.values())) for weights in held)


def alerts(said: list[Message]) -> dict[str, str]:
    return {each.code: each.detail for each in said if isinstance(each, RiskAlert)}


@pytest.mark.parametrize("plans", [None, {"every": "weekly", "within_cash": False}], ids=["by decision", "by plan"])
@pytest.mark.parametrize(
    ("chosen", "most"),
    [
        (MOMENTUM, 1.0),
        (MOMENTUM | {"losers": 1}, 2.0),
        (MOMENTUM | {"exposure": 0.5}, 1.0),
        (MOMENTUM | {"exposure": 0.5, "bounds": {"gross": 0.5}}, 0.5),
        (MOMENTUM | {"exposure": 0.5, "bounds": {"gross": 1.5}}, 1.5),
        (DUAL | {"cap": 0.3, "market_cap": 0.5}, 0.6),
        (DUAL | {"cap": 0.5, "market_cap": 0.5}, 1.0),
        (DUAL | {"cap": 0.5, "market_cap": 0.5, "bounds": {"gross": 0.8}}, 0.8),
    ],
)
def test_a_volatility_target_levers_no_strategy_beyond_its_bounds(
    chosen: dict[str, Any], most: float, plans: dict[str, Any] | None
):
    _, held = run(chosen, RISING, volatility_target=LEVERED, rebalancing=plans)
    assert most * 0.98 < gross(held) < most * 1.02


def test_caps_of_dual_momentum_hold_after_a_volatility_target():
    _, held = run(DUAL | {"cap": 0.3, "per_market": 2, "market_cap": 0.4}, RISING, volatility_target=LEVERED)
    assert max(max(weights.values()) for weights in held) < 0.3 * 1.02
    assert max(weights["A"] + weights["B"] for weights in held) < 0.4 * 1.02


def test_units_are_cut_to_what_the_bound_allows_and_that_is_said():
    cross = {"name": "ma_crossover", "fast": 2, "slow": 5, "units": 50_000}
    said, held = run(cross, {"A": RISING["A"]})
    assert gross(held) == pytest.approx(1.0, abs=0.001)
    assert alerts(said)["BOUND_HELD"].startswith("gross would be 5.")
    assert len([each for each in said if isinstance(each, OrderIntent)]) == 1  # and not once more for every price
    assert gross(run(cross | {"bounds": {"gross": 3.0}}, {"A": RISING["A"]})[1]) == pytest.approx(3.0, abs=0.1)


def test_units_within_the_bound_are_traded_as_ever():
    said, _ = run({"name": "ma_crossover", "fast": 2, "slow": 5, "units": 100}, {"A": RISING["A"]})
    assert [each.quantity for each in said if isinstance(each, OrderIntent)] == [100.0]
    assert alerts(said) == {}


def test_a_short_that_runs_away_is_cut():
    falling_then_up = [100.0 - day for day in range(10)] + [91.0 + 0.001 * day for day in range(10)]
    cross = {"name": "ma_crossover", "fast": 9, "slow": 10, "units": 50_000, "allow_short": True}
    _, held = run(cross, {"A": falling_then_up})
    assert min(weights["A"] for weights in held) == pytest.approx(-1.0, abs=0.01)


OWN = """
def levered(view):
    return {symbol: 3.0 for symbol in view.traded}

def short(view):
    return {"A": 0.5, "B": -0.5}

def strange(view):
    return {"A": 0.5, "TYPO": 0.5}

class Whole:
    warm_up, period = 1, 1
    def on_bar(self, bar): pass
    def decide(self, moment, portfolio):
        from strategy_plane.strategies.port import Targets
        return Targets({"A": 4.0})
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = f"bounded_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN)
    return lambda function, **more: {"name": "own", "factory": f"{name}:{function}", "bars": 1, **more}


@pytest.mark.parametrize("name", ["levered", "Whole"])
def test_an_own_strategy_is_held_to_gross_one_and_told(own, name: str):
    said, held = run(own(name), {"A": [100.0] * 3, "B": [100.0] * 3})
    assert gross(held) == pytest.approx(1.0, abs=0.001)
    assert "of at most 1.0000" in alerts(said)["BOUND_HELD"]
    assert gross(run(own(name, bounds={"gross": 4.0}), {"A": [100.0] * 3})[1]) > 2.9


def test_an_own_strategy_may_be_long_only(own):
    paths = {"A": [100.0] * 3, "B": [100.0] * 3}
    assert run(own("short"), paths)[1][-1] == {"A": 0.5, "B": -0.5}
    said, held = run(own("short", long_only=True), paths)
    assert held[-1] == {"A": 0.5, "B": 0.0}
    assert "long only" in alerts(said)["BOUND_HELD"]


def test_an_own_strategy_that_names_a_symbol_nobody_has_heard_of_is_told(own):
    said, held = run(own("strange"), {"A": [100.0] * 3})
    assert held[-1] == {"A": 0.5}
    strange = "weights of symbols that never had a bar: 'TYPO'"
    assert alerts(said) == {"OWN_STRATEGY": strange}
    both = alerts(run(own("strange", bounds={"gross": 0.4}), {"A": [100.0] * 3})[0])
    assert both == {
        "OWN_STRATEGY": f"{strange}; gross would be 1.0000 of at most 0.4000; net would be 1.0000 of at most 0.4000"
    }


@pytest.mark.parametrize(
    "wrong", [MOMENTUM | {"bounds": {"gross": 0.9}}, MOMENTUM | {"losers": 1, "bounds": {"gross": 1.0}}]
)
def test_a_bound_below_what_is_aimed_at_is_refused(wrong: dict[str, Any]):
    with pytest.raises(ValidationError, match="exposure asks for"):
        StrategySettings.model_validate({"strategy": wrong})
