"""Views of one's own come from the configuration: blended as published, beside the signals' or instead of them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from contracts.base import Message
from contracts.control import RiskAlert
from contracts.trading import OrderIntent
from kernel.settings import ConfigurationError, load
from launcher.settings import load_settings
from strategy_plane.composition import build_stage
from strategy_plane.optimizers.composition import build_optimizer
from strategy_plane.optimizers.covariance import factor_form
from strategy_plane.optimizers.port import Allocation, AllocationStatus, FactorRisk, Limits
from strategy_plane.optimizers.settings import BlackLittermanSettings
from strategy_plane.settings import StrategySettings

START = datetime(2024, 1, 1, 21, tzinfo=UTC)
SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
FREE = Limits(gross=9.0, net=9.0, box=9.0, turnover=99.0)
ASSETS = ("US_BONDS", "INTL_BONDS", "US_LG", "US_LV", "US_SG", "US_SV", "INTL_DEV", "INTL_EM")
IDZOREK = """
name: black_litterman
risk_aversion: 3.07
tau: 0.025
market: {US_BONDS: 19.34, INTL_BONDS: 26.13, US_LG: 12.09, US_LV: 12.09, US_SG: 1.34, US_SV: 1.34, INTL_DEV: 24.18,
         INTL_EM: 3.49}
from_signals: false
views:
  developed: {weights: {INTL_DEV: 1}, expected: 0.0525, confidence: 0.25}
  bonds: {weights: {INTL_BONDS: 1, US_BONDS: -1}, expected: 0.0025, confidence: 0.5}
  growth: {weights: {US_LG: 0.9, US_SG: 0.1, US_LV: -0.9, US_SV: -0.1}, expected: 0.02, confidence: 0.65}
"""
"""Idzorek (2005): eight asset classes, three views, each with a confidence of its own; sizes in percent."""
COVARIANCE = np.array(
    [
        [0.001005, 0.001328, -0.000579, -0.000675, 0.000121, 0.000128, -0.000445, -0.000437],
        [0.001328, 0.007277, -0.001307, -0.000610, -0.002237, -0.000989, 0.001442, -0.001535],
        [-0.000579, -0.001307, 0.059852, 0.027588, 0.063497, 0.023036, 0.032967, 0.048039],
        [-0.000675, -0.000610, 0.027588, 0.029609, 0.026572, 0.021465, 0.020697, 0.029854],
        [0.000121, -0.002237, 0.063497, 0.026572, 0.102488, 0.042744, 0.039943, 0.065994],
        [0.000128, -0.000989, 0.023036, 0.021465, 0.042744, 0.032056, 0.019881, 0.032235],
        [-0.000445, 0.001442, 0.032967, 0.020697, 0.039943, 0.019881, 0.028355, 0.035064],
        [-0.000437, -0.001535, 0.048039, 0.029854, 0.065994, 0.032235, 0.035064, 0.079958],
    ]
)


def risk(names: tuple[str, ...] = ASSETS) -> FactorRisk:
    kept = [ASSETS.index(name) for name in names]
    found = factor_form(COVARIANCE[np.ix_(kept, kept)])
    return FactorRisk(found.loadings, found.specific, symbols=names)


def weigh(chosen: dict[str, Any], names: tuple[str, ...] = ASSETS, expected: float = 0.0) -> Allocation:
    optimizer = build_optimizer(BlackLittermanSettings.model_validate(chosen))
    count = len(names)
    return optimizer(np.full(count, expected), risk(names), np.zeros(count), FREE)


def with_confidences(*confidences: float) -> dict[str, Any]:
    chosen = yaml.safe_load(IDZOREK)
    for view, confidence in zip(chosen["views"].values(), confidences, strict=True):
        view["confidence"] = confidence
    return chosen


def test_the_published_weights_come_from_the_configuration():
    """Idzorek (2005), table 6, in percent: uncertainties as of He and Litterman, which are confidences of a half."""
    published = [29.88, 15.59, 9.35, 14.82, 1.04, 1.65, 27.81, 3.49]
    found = weigh(with_confidences(0.5, 0.5, 0.5))
    assert (found.status, found.diagnosis) == (AllocationStatus.OPTIMAL, "")
    assert (100 * found.weights).tolist() == pytest.approx(published, abs=0.06)


def test_each_view_has_its_own_confidence():
    """Idzorek's rule, view by view: its tilt is the share of the tilt that certainty would give."""
    market = np.array([19.34, 26.13, 12.09, 12.09, 1.34, 1.34, 24.18, 3.49]) / 99.99
    for name in ("developed", "bonds", "growth"):
        chosen = yaml.safe_load(IDZOREK)
        alone = {**chosen, "views": {name: chosen["views"][name]}}
        sure = {**chosen, "views": {name: chosen["views"][name] | {"confidence": 1.0}}}
        tilt, whole = weigh(alone).weights - market, weigh(sure).weights - market
        np.testing.assert_allclose(tilt, chosen["views"][name]["confidence"] * whole, atol=2e-4)
        assert np.abs(whole).max() > 0.01


def test_own_views_stand_beside_those_of_signals_or_instead_of_them():
    chosen = yaml.safe_load(IDZOREK)
    for expected in (0.0, 0.2):
        np.testing.assert_allclose(weigh(chosen).weights, weigh(chosen, expected=expected).weights, atol=1e-9)
    both = {**chosen, "from_signals": True, "confidence": 0.2}
    apart = np.abs(weigh(both).weights - weigh(both, expected=0.2).weights).max()
    assert apart > 0.05
    unlikely = {**both, "confidence": 1e-9}
    np.testing.assert_allclose(weigh(unlikely, expected=0.2).weights, weigh(chosen).weights, atol=1e-4)


def test_a_view_on_what_takes_no_part_is_left_out_and_said():
    chosen = yaml.safe_load(IDZOREK)
    present = tuple(name for name in ASSETS if name != "US_SG")
    found = weigh(chosen, present)
    assert found.status is AllocationStatus.OPTIMAL
    assert found.diagnosis == "views on symbols that take no part now: growth"
    del chosen["views"]["growth"]
    np.testing.assert_allclose(found.weights, weigh(chosen, present).weights, atol=1e-9)


def test_a_market_of_which_nothing_takes_part_keeps_the_current_weights():
    found = weigh({"market": {"ELSEWHERE": 3.0}})
    assert found.status is AllocationStatus.KEPT
    assert "size in the market" in found.diagnosis
    sized = weigh({"market": {"US_LG": 2.0, "US_LV": 6.0}, "confidence": 1e-9})
    assert sized.weights.tolist() == pytest.approx([0, 0, 0.25, 0.75, 0, 0, 0, 0], abs=1e-3)


def written(tmp_path: Path, optimizer: str, universe: str = "[AAA, BBB, CCC, DDD]") -> Path:
    file = tmp_path / "config.yaml"
    lines = [f"universe: {universe}", "strategy:", "  name: momentum_mean_variance", f"  optimizer: {optimizer}"]
    file.write_text("\n".join(lines), "utf-8")
    return file


VIEW = "weights: {AAA: 1}, expected: 0.05, confidence: 0.5"


@pytest.mark.parametrize(
    ("optimizer", "field", "said"),
    [
        ("views: {v: {weights: {AAX: 1}, expected: 0.05, confidence: 0.5}}", "views.v.weights", "did you mean AAA?"),
        ("views: {v: {weights: {Q: 1}, expected: 0.05, confidence: 0.5}}", "views.v.weights", "choose from AAA, BBB"),
        ("market: {AAA: 1, ZZZ: 2}", "optimizer.market", "ZZZ in strategy.strategy.optimizer.market"),
        (
            "views: {v: {weights: {AAA: 1, BBB: -0.7}, expected: 0, confidence: 0.5}}",
            "views.v.weights",
            "shorts to -0.7",
        ),
        ("views: {v: {weights: {AAA: 0.4}, expected: 0, confidence: 0.5}}", "views.v.weights", "sum to 1 in an absol"),
        ("views: {v: {weights: {}, expected: 0, confidence: 0.5}}", "views.v.weights", "sum to 1"),
        ("views: {v: {weights: {AAA: 1}, expected: 8, confidence: 0.5}}", "views.v.expected", "0.08 is 8 %"),
        ("views: {v: {weights: {AAA: 1}, expected: 0.05, confidence: 1.5}}", "views.v.confidence", "at most 1"),
        ("views: {v: {weights: {AAA: 1}, expected: 0.05, confidence: 0}}", "views.v.confidence", "above 0"),
        ("views: {v: {weights: {AAA: 1}, expected: 0.05}}", "views.v.confidence", "is required"),
        ("views: {v: {weights: {AAA: 1}, expects: 0.05, confidence: 1}}", "views.v.expects", "did you mean expected?"),
        ("from_signals: false", "optimizer", "name a view"),
        ("market: {AAA: 0}", "optimizer", "market"),
        (f"views: {{v: {{{VIEW}, weight: 1}}}}", "views.v.weight", "did you mean weights?"),
        ("confidence: 1, views: {v: {weights: {AAA: 1}, expected: 0.1, confidence: 1}}", "optimizer", "lower one"),
        (
            "views: {v: {weights: {AAA: 1, BBB: -1}, expected: 0.1, confidence: 1}, "
            "w: {weights: {BBB: 1, AAA: -1}, expected: 0.1, confidence: 1}}",
            "optimizer",
            "contradict",
        ),
    ],
)
def test_what_is_wrong_with_a_view_is_said_by_field_and_fix(tmp_path: Path, optimizer: str, field: str, said: str):
    file = written(tmp_path, f"{{name: black_litterman, {optimizer}}}")
    with pytest.raises(ConfigurationError) as refused:
        load(StrategySettings, file, {})
    text = str(refused.value)
    assert field in text
    assert said in text
    assert "black_litterman" not in text  # the path is the one that is written, without the name of the alternative


def test_symbols_are_held_against_the_data_when_the_universe_is_open():
    file = Path(__file__).parents[3] / "config" / "views.yaml"
    settings = load_settings(file, {})
    assert settings.strategy.strategy.optimizer.views.keys() == {"apple", "search_over_ibm"}  # type: ignore[union-attr]
    with pytest.raises(
        ConfigurationError, match=r"AAPL in strategy\.strategy\.optimizer\.views\.apple\.weights \(choose from FB, GOOG"
    ):
        load_settings(file, {"ALGOTRADE_STRATEGY__UNIVERSE": "[]", "ALGOTRADE_DATA__SYMBOLS": "[IBM, GOOG, MSFT, FB]"})


def orders(chosen: dict[str, Any], daily_bars: Any) -> list[Message]:
    closes = 100.0 * np.exp(np.cumsum(np.random.default_rng(3).normal(0.0005, 0.015, (45, 4)), axis=0))
    limits = {"gross": 1.0, "net": 1.0, "box": 0.9, "long_only": True}
    strategy = {"name": "momentum_mean_variance", "signal": {"lookback": 30, "skip": 3}, "risk_window": 40}
    settings = {"strategy": strategy | {"limits": limits, "optimizer": {"name": "black_litterman", **chosen}}}
    stage = build_stage(StrategySettings.model_validate(settings))
    days = daily_bars(closes, SYMBOLS, START)
    return [each for day in days for message in day for each in stage.handlers[type(message)](message)]


@pytest.mark.parametrize("liked", SYMBOLS)
def test_a_strategy_trades_what_its_owner_expects(daily_bars, liked: str):
    view = {"weights": {liked: 1.0}, "expected": 0.9, "confidence": 0.9}
    said = orders({"from_signals": False, "views": {"mine": view}}, daily_bars)
    bought = {each.symbol: each.quantity for each in said if isinstance(each, OrderIntent)}
    assert max(bought, key=lambda symbol: bought[symbol]) == liked
    assert not any(isinstance(each, RiskAlert) for each in said)


def test_a_strategy_says_which_views_it_could_not_take_into_account(daily_bars):
    view = {"weights": {"AAA": 1.0, "ABSENT": -1.0}, "expected": 0.1, "confidence": 0.9}
    said = orders({"views": {"mine": view}}, daily_bars)
    (alert,) = {(each.code, each.detail) for each in said if isinstance(each, RiskAlert)}
    assert alert == ("OPTIMIZER_LEFT_OUT", "views on symbols that take no part now: mine")
    assert any(isinstance(each, OrderIntent) for each in said)
