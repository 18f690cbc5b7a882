"""Realised variance against known variance and textbook limits, and the premium over it."""

import math

import numpy as np
import pandas as pd
import pytest

from strategy_plane.history import Bars
from strategy_plane.signals.realised_variance import (
    Estimator,
    close_to_close,
    garman_klass,
    parkinson,
    realised_variance,
    rogers_satchell,
    yang_zhang,
)
from strategy_plane.signals.volatility_premium import MONTH, VolatilityPremium, betas, index_premium


def simulated(bars: int, steps: int, sigma: float, overnight: float = 0.0, drift: float = 0.0, seed: int = 4) -> Bars:
    """Bars of a random walk with known variance ``sigma²`` in the session and ``overnight²`` before it."""
    rng = np.random.default_rng(seed)
    level, rows = 0.0, []
    for _ in range(bars):
        level += overnight * rng.normal()
        path = level + np.concatenate([[0.0], np.cumsum(rng.normal(drift / steps, sigma / math.sqrt(steps), steps))])
        rows.append((path[0], path.max(), path.min(), path[-1]))
        level = path[-1]
    opened, high, low, close = np.exp(np.array(rows)).T
    return Bars((), opened, high, low, close, np.ones(bars))


@pytest.mark.parametrize("estimator", [each for each in Estimator if each is not Estimator.YANG_ZHANG])
def test_every_estimator_finds_the_variance_of_a_driftless_walk_without_gaps(estimator: Estimator):
    bars = simulated(2000, 1000, 0.02)
    assert realised_variance(bars, estimator) == pytest.approx(0.02**2, rel=0.06)


def test_yang_zhang_alone_sees_the_gap_and_no_drift():
    bars = simulated(1500, 3000, 0.02, overnight=0.01, drift=0.02)
    whole = 0.02**2 + 0.01**2
    assert realised_variance(bars, Estimator.YANG_ZHANG) == pytest.approx(whole, rel=0.06)
    assert realised_variance(bars, Estimator.ROGERS_SATCHELL) == pytest.approx(0.02**2, rel=0.08)
    assert realised_variance(bars, Estimator.PARKINSON) > 0.02**2 * 1.2  # drift widens the range


def test_estimators_by_hand():
    opened, high, low, close = (np.array([value, value]) for value in (100.0, 110.0, 95.0, 105.0))
    range_, body = math.log(110 / 95), math.log(105 / 100)
    assert parkinson(high, low) == pytest.approx(range_**2 / (4 * math.log(2)))
    assert garman_klass(opened, high, low, close) == pytest.approx(range_**2 / 2 - (2 * math.log(2) - 1) * body**2)
    up = math.log(110 / 105) * math.log(110 / 100)
    down = math.log(95 / 105) * math.log(95 / 100)
    assert rogers_satchell(opened, high, low, close) == pytest.approx(up + down)
    assert close_to_close(np.array([100.0, 110.0, 99.0])) == pytest.approx(
        (math.log(1.1) ** 2 + math.log(0.9) ** 2) / 2
    )


def test_yang_zhang_agrees_with_pandas():
    bars = simulated(22, 50, 0.02, overnight=0.01)
    frame = pd.DataFrame({"o": bars.open, "h": bars.high, "l": bars.low, "c": bars.close})
    n, frame_ = 21, frame.iloc[1:]
    over = np.log(frame.o / frame.c.shift(1)).iloc[1:].var()
    within = np.log(frame_.c / frame_.o).var()
    rs = (np.log(frame_.h / frame_.c) * np.log(frame_.h / frame_.o)).mean() + (
        np.log(frame_.l / frame_.c) * np.log(frame_.l / frame_.o)
    ).mean()
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    assert yang_zhang(bars.open, bars.high, bars.low, bars.close) == pytest.approx(over + k * within + (1 - k) * rs)


def test_too_few_bars_are_refused():
    with pytest.raises(ValueError, match="3 bars"):
        realised_variance(simulated(2, 5, 0.01), Estimator.PARKINSON)


def test_the_index_premium_is_that_of_pandas_and_in_percent_squared_a_month():
    rng = np.random.default_rng(8)
    levels = pd.Series(1000 * np.exp(np.cumsum(rng.normal(0, 0.01, 80))))
    implied = pd.Series(rng.uniform(12, 30, 80))
    expected = implied**2 / 12 - (np.log(levels).diff() ** 2).rolling(21).sum() * 1e4
    assert index_premium(implied.to_numpy(), levels.to_numpy()) == pytest.approx(expected.dropna().to_numpy())
    # a VIX of 20 against 1 % a day: 33.3 - 21
    flat = 1000 * np.exp(np.cumsum(np.resize([0.01, -0.01], MONTH + 1)))
    assert index_premium(np.full(MONTH + 1, 20.0), flat) == pytest.approx([400 / 12 - 21.0])


def test_betas_are_those_of_ordinary_least_squares():
    sm = pytest.importorskip("statsmodels.api")
    closes = 100 * np.exp(np.cumsum(np.random.default_rng(9).normal(0, 0.01, (120, 4)), axis=0))
    steps = closes[1:] / closes[:-1] - 1
    market = sm.add_constant(steps.mean(axis=1))
    expected = [sm.OLS(steps[:, column], market).fit().params[1] for column in range(4)]
    assert betas(closes) == pytest.approx(expected)
    assert betas(closes).mean() == pytest.approx(1.0)


@pytest.fixture
def names(scene):
    rng = np.random.default_rng(10)
    paths = {
        name: 50 * np.exp(np.cumsum(rng.normal(0, vol, 90))) for name, vol in (("A", 0.005), ("B", 0.02), ("C", 0.08))
    }
    scene.closes(paths)
    for name in paths:
        scene.fact("implied_volatility", name, 88.1, 88, implied_volatility=40.0)
    return scene


def test_the_same_implied_volatility_is_dearer_where_less_was_realised(names):
    signal = VolatilityPremium(index=None, estimator=Estimator.CLOSE_TO_CLOSE)
    scores = signal(names.at(89))
    assert scores["A"] > scores["B"] > scores["C"]
    assert signal.warm_up == 22


def test_an_old_implied_volatility_is_not_used(names):
    for symbol in "ABC":
        names.bar(symbol, 96, 50.0)
    assert VolatilityPremium(index=None)(names.at(96)) == {}


def test_a_high_index_premium_favours_high_betas(names):
    levels = 1000 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, 89)))
    for number, level in enumerate(levels.tolist()):
        implied = 35.0 if number == 88 else 20.0 + number % 3
        names.fact("implied_volatility", "INDEX", number + 0.05, number, implied_volatility=implied, level=level)
    view = names.at(89)
    tilted = VolatilityPremium(past=60, index_weight=1e6)(view)
    slopes = dict(zip("ABC", betas(view.bars.panel(61).closes).tolist(), strict=True))
    assert sorted(tilted, key=tilted.get) == sorted(slopes, key=slopes.get)
    assert min(tilted.values()) < 0.0 < max(tilted.values())
    names.bar("A", 90, 50.0)
    names.bar("C", 90, 50.0)
    for number, symbols in ((91, "ABC"), (92, "ABC")):
        for symbol in symbols:
            names.bar(symbol, number, 50.0 + number % 2)
    assert VolatilityPremium(past=60, index_weight=1e6)(names.at(92)).keys() == set("ABC")  # B lacks one bar
