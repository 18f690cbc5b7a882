"""A configuration chooses optimizer, estimate of risk and costs, and the strategies trade by them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from contracts.base import Message
from contracts.control import RiskAlert
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionCost, OrderIntent
from kernel.ports import Stage
from strategy_plane.composition import build_stage
from strategy_plane.history import History
from strategy_plane.optimizers.composition import build_risk_model
from strategy_plane.optimizers.cost_book import CostBook
from strategy_plane.optimizers.covariance import ewma_covariance, ledoit_wolf_covariance, sample_covariance
from strategy_plane.optimizers.port import GroupLimit, Limits
from strategy_plane.optimizers.settings import (
    EwmaRiskSettings,
    FactorRiskSettings,
    LedoitWolfRiskSettings,
    SampleRiskSettings,
)
from strategy_plane.settings import StrategySettings
from strategy_plane.strategies.candidates import SymbolGroup, limits_beside

START = datetime(2024, 1, 1, 21, tzinfo=UTC)
SYMBOLS = ("A", "B", "C", "D")
VOLATILITIES = np.array([0.01, 0.015, 0.02, 0.03])
NAMES = (
    *("mean_variance", "black_litterman", "minimum_variance", "inverse_volatility"),
    *("equal_weight", "risk_parity", "hierarchical_risk_parity"),
)


def market(days: int, volume: float = 1e6) -> list[list[Message]]:
    steps = np.random.default_rng(3).normal(0.0005, VOLATILITIES, (days, len(SYMBOLS)))
    told: list[list[Message]] = []
    for number, row in enumerate((100.0 * np.exp(np.cumsum(steps, axis=0))).tolist()):
        moment = START + timedelta(days=number)
        bars: list[Message] = [
            BarEvent(symbol=symbol, timestamp=moment, open=p, high=p, low=p, close=p, volume=volume, bar_size="1d")
            for symbol, p in zip(SYMBOLS, row, strict=True)
        ]
        told.append([*bars, SliceEvent(timestamp=moment, bar_size="1d", symbols=SYMBOLS)])
    return told


def stage(name: str = "momentum_mean_variance", **chosen: Any) -> Stage:
    shared = {"risk_window": 40, "limits": {"gross": 1.0, "net": 1.0, "box": 0.6, "long_only": True}, **chosen}
    if name == "signal_ensemble":
        short = {"lookback": 40, "skip": 3, "trend_bars": 20, "rsi_length": 3, "long_bars": 30}
        shared |= {"signals": {"TSX": {"kind": "technical", **short}}, "limits": shared["limits"] | {"turnover": 2.0}}
    else:
        shared |= {"signal": {"lookback": 30, "skip": 3}}
    return build_stage(StrategySettings.model_validate({"strategy": {"name": name, **shared}, "lot": 0.001}))


def said(told: Stage, messages: Iterable[Iterable[Message]]) -> list[Message]:
    return [each for day in messages for message in day for each in told.handlers[type(message)](message)]


def weights(messages: list[Message]) -> dict[str, float]:
    """Weights that the orders of the first decision lead to."""
    intents = [each for each in messages if isinstance(each, OrderIntent)]
    first = [each for each in intents if each.timestamp == intents[0].timestamp]
    closes = {
        bar.symbol: bar.close
        for day in market(60)
        for bar in day
        if isinstance(bar, BarEvent) and first and bar.timestamp == first[0].timestamp
    }
    signs = {"BUY": 1.0, "SELL": -1.0}
    return {each.symbol: signs[each.direction] * each.quantity * closes[each.symbol] / 1e6 for each in first}


@pytest.mark.parametrize("strategy", ["momentum_mean_variance", "signal_ensemble"])
@pytest.mark.parametrize("optimizer", NAMES)
def test_every_optimizer_trades_in_every_strategy_that_optimises(strategy: str, optimizer: str):
    found = said(stage(strategy, optimizer={"name": optimizer}), market(60))
    assert not any(isinstance(each, RiskAlert) for each in found)
    held = weights(found)
    assert 0.0 < sum(held.values()) <= 1.0 + 1e-6
    assert min(held.values()) >= 0.0
    assert max(held.values()) <= 0.6 + 1e-6


def test_each_optimizer_has_its_own_weights():
    found = {name: weights(said(stage(optimizer={"name": name}), market(41))) for name in NAMES}
    rows = {tuple(round(held.get(symbol, 0.0), 4) for symbol in SYMBOLS) for held in found.values()}
    assert len(rows) == len(NAMES)
    assert list(found["equal_weight"].values()) == pytest.approx([0.25] * 4, abs=1e-6)
    calm = found["inverse_volatility"]
    assert calm["A"] > calm["B"] > calm["C"] > calm["D"]


def test_risk_is_estimated_as_chosen():
    returns = np.random.default_rng(1).normal(0.0, 0.01, (80, 5))
    wanted = {
        SampleRiskSettings(): sample_covariance(returns, 252.0),
        EwmaRiskSettings(half_life=9.0): ewma_covariance(returns, 252.0, 9.0),
        LedoitWolfRiskSettings(): ledoit_wolf_covariance(returns, 252.0)[0],
    }
    for chosen, covariance in wanted.items():
        risk = build_risk_model(chosen)(returns, 252.0)
        np.testing.assert_allclose(risk.covariance, covariance, rtol=1e-8, atol=1e-10)
        assert risk.repair == ""
    np.testing.assert_allclose(
        build_risk_model(FactorRiskSettings())(returns, 252.0).variances, np.diag(wanted[SampleRiskSettings()])
    )


def test_a_repaired_covariance_is_said_beside_the_orders():
    few = build_risk_model(SampleRiskSettings())(np.random.default_rng(1).normal(0.0, 0.01, (4, 8)), 252.0)
    assert few.repair.startswith("5 eigenvalues raised")
    told = stage(risk={"name": "sample"}, risk_window=3, signal={"lookback": 30, "skip": 3})
    found = said(told, market(31))
    assert {each.code for each in found if isinstance(each, RiskAlert)} == {"COVARIANCE_REPAIRED"}
    assert any(isinstance(each, OrderIntent) for each in found)


def cost(symbol: str, at: int, impact: float, observations: int = 50, error: float | None = 0.001) -> ExecutionCost:
    return ExecutionCost(
        symbol=symbol,
        timestamp=START + timedelta(days=at),
        slippage=0.004,
        fixed=0.001,
        impact=impact,
        impact_error=error,
        observations=observations,
    )


def test_learned_costs_replace_assumed_ones_when_they_are_known_well_enough():
    history = History(5, whole_bars=True)
    for day in market(5, volume=1000.0):
        for bar in day[:-1]:
            assert isinstance(bar, BarEvent)
            history.append(bar)
    view = history.as_of(START + timedelta(days=4))
    book = CostBook(0.0002, 0.1, trusted_after=30, window=5, per_year=12.0)
    for each in (cost("B", 1, 0.5), cost("B", 0, 9.0), cost("C", 1, 0.5, observations=29), cost("D", 1, 0.5, 50, 0.6)):
        book.learn(each)
    costs = book.of(SYMBOLS, view, 1e6, [1.0] * len(SYMBOLS))
    np.testing.assert_allclose(costs.linear, [0.0002, 0.001, 0.0002, 0.004])
    traded = np.array([(view.bars(symbol, 5).close * 1000.0).mean() for symbol in SYMBOLS])
    np.testing.assert_allclose(costs.quadratic, np.array([0.1, 0.5, 0.1, 0.1]) * 1e6 / traded)
    assert costs.per_year == 12.0


def test_a_learner_that_began_anew_counts_when_it_knows_enough():
    history = History(1, whole_bars=True)
    for bar in market(1, volume=1000.0)[0][:-1]:
        assert isinstance(bar, BarEvent)
        history.append(bar)
    view = history.as_of(START)
    book = CostBook(0.0002, 0.1, trusted_after=30, window=1, per_year=12.0)
    slopes = []
    for at, (impact, observations) in enumerate([(0.5, 90), (7.0, 1), (7.0, 29), (0.3, 30), (0.2, 31)]):
        book.learn(cost("A", at, impact, observations))
        slopes.append(float(book.of(("A",), view, view.closes("A", 1)[0] * 1000.0, [1.0]).quadratic[0]))
    assert slopes == pytest.approx([0.5, 0.5, 0.5, 0.3, 0.2])


def test_what_is_learned_to_be_dear_is_traded_less():
    cheap = weights(said(stage(costs={}), market(41)))
    largest = max(cheap, key=lambda symbol: cheap[symbol])
    learned = [[cost(largest, 0, 40.0)]]
    dear = weights(said(stage(costs={}), [*learned, *market(41)]))
    assert dear.get(largest, 0.0) < 0.5 * cheap[largest]
    assert said(stage(), market(41)) != said(stage(costs={"fixed_bps": 900, "impact": 9}), market(41))


def test_a_restart_remembers_what_was_learned():
    told = [[cost("A", 0, 40.0)], *market(41)]
    restarted = stage(costs={})
    for day in told[:30]:
        for message in day:
            restarted.restore(message)
    assert said(restarted, told[30:]) == said(stage(costs={}), told)


def test_without_a_section_costs_are_not_listened_to():
    assert ExecutionCost not in stage().handlers
    assert ExecutionCost not in stage("signal_ensemble").handlers
    assert ExecutionCost in stage(costs={}).handlers
    assert ExecutionCost in stage("signal_ensemble", costs={}).handlers


@pytest.mark.parametrize("strategy", ["momentum_mean_variance", "signal_ensemble"])
def test_limits_of_groups_net_and_volatility_come_from_the_configuration(strategy: str):
    open_to_all = {"gross": 1.0, "net": 1.0, "box": 0.6, "turnover": 2.0, "long_only": True}
    calm = {"name": "equal_weight"}
    free = weights(said(stage(strategy, limits=open_to_all, optimizer=calm), market(60)))
    assert free["A"] + free["B"] > 0.3
    grouped = open_to_all | {"groups": {"TECH": {"symbols": ["A", "B", "ELSEWHERE"], "high": 0.2}}}
    held = weights(said(stage(strategy, limits=grouped, optimizer=calm), market(60)))
    assert held["A"] + held["B"] <= 0.2 + 1e-5
    quiet = weights(said(stage(strategy, limits=open_to_all | {"volatility": 0.05}, optimizer=calm), market(60)))
    assert 0.0 < sum(quiet.values()) < 0.6 * sum(free.values())
    floor = open_to_all | {"net_floor": 0.7}
    assert sum(weights(said(stage(strategy, limits=floor), market(60))).values()) >= 0.7 - 1e-5


def test_what_is_held_of_a_group_elsewhere_uses_up_its_bounds():
    class Holding:
        symbols = ("A", "X", "Y")

        def weight(self, symbol: str) -> float:
            return {"A": 0.1, "X": 0.25, "Y": -0.1}.get(symbol, 0.0)

    group = SymbolGroup("G", ("B", "X", "Y"), low=-0.2, high=0.5, gross=0.6)
    (found,) = limits_beside(Limits(), ("A", "B"), Holding(), (group,)).groups  # type: ignore[arg-type]
    assert found == GroupLimit("G", (1,), pytest.approx(-0.35), pytest.approx(0.35), pytest.approx(0.25))
    assert limits_beside(Limits(), ("A",), Holding(), (group,)).groups == ()  # type: ignore[arg-type]
