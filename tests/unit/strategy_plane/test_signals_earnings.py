"""Surprises by hand, by pandas, and from the moment they were known."""

import math
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from strategy_plane.signals.earnings import (
    EarningsSurprise,
    SurpriseScale,
    price_scaled_surprise,
    standardised_surprise,
)

QUARTER = 365.25 / 4


def announce(scene, symbol: str, eps: list[float], last_known: float = 0.0, scale: float = 1.0) -> None:
    count = len(eps)
    for number, value in enumerate(eps):
        before = (count - 1 - number) * QUARTER
        scene.fact(
            "earnings",
            symbol,
            last_known - before,
            last_known - before - 30,
            eps=value,
            revenue=value * scale,
            price=50.0,
        )


@pytest.fixture
def quarters() -> np.ndarray:
    return np.cumsum(np.random.default_rng(2).normal(0.05, 0.1, 20)) + 2.0


def test_surprise_agrees_with_pandas(quarters: np.ndarray):
    change = pd.Series(quarters).diff(4)
    expected = (change / change.shift(1).rolling(8).std()).iloc[-1]
    assert standardised_surprise(quarters) == pytest.approx(expected, rel=1e-10)


def test_surprise_by_hand():
    # differences of the eight quarters before: 1, 2, 1, 2 ... (sample deviation sqrt(8 * .25 / 7)), now 4
    eps = np.array([0, 0, 0, 0, 1, 2, 1, 2, 2, 4, 2, 4, 6.0])
    assert standardised_surprise(eps) == pytest.approx(4.0 / math.sqrt(8 * 0.25 / 7))


def test_surprise_needs_all_its_quarters_and_some_change(quarters: np.ndarray):
    assert math.isnan(standardised_surprise(quarters[:12]))
    assert math.isnan(standardised_surprise(np.arange(20.0)))


def test_surprise_over_price_by_hand():
    assert price_scaled_surprise(np.array([1.0, 1.1, 1.2, 1.3, 1.5]), 25.0) == pytest.approx(0.02)
    assert math.isnan(price_scaled_surprise(np.arange(5.0), 0.0))


def test_an_announcement_after_the_close_counts_at_the_next_session(scene, quarters: np.ndarray):
    for symbol, shift in (("A", 0.0), ("B", 0.3), ("C", -0.2)):
        announce(scene, symbol, [*quarters[:-1], quarters[-1] + shift], last_known=0.02)
        scene.bar(symbol, 0, 10.0)
        scene.bar(symbol, 1, 10.0)
    signal = EarningsSurprise()
    before = {symbol: scene.at(0).facts.rows("earnings", symbol, 99)[-1].values["eps"] for symbol in "ABC"}
    assert set(before.values()) == {quarters[-2]}
    scores = signal(scene.at(1))
    assert scores["B"] > scores["A"] > scores["C"]


def test_scores_fade_by_half_and_end_with_the_hold(scene, quarters: np.ndarray):
    for symbol, shift in (("A", 0.0), ("B", 0.3)):
        announce(scene, symbol, [*quarters[:-1], quarters[-1] + shift])
        for at in (1, 61, 200):
            scene.bar(symbol, at, 10.0)
    signal = EarningsSurprise(half_life=60.0, days_per_moment=1.0, hold=timedelta(days=90))
    first, later = signal(scene.at(1)), signal(scene.at(61))
    assert later["B"] / first["B"] == pytest.approx(0.5)
    assert signal(scene.at(200)) == {}


def test_a_restatement_brings_new_values_but_is_no_new_announcement(scene, quarters: np.ndarray):
    last = {"A": quarters[-1], "B": quarters[-1] + 0.3}
    for symbol, value in last.items():
        announce(scene, symbol, [*quarters[:-1], value])
    for day in (117, 119, 121):
        for symbol in last:
            scene.bar(symbol, day, 10.0)
        if day == 117:
            scene.fact("earnings", "A", 118, -30, eps=last["B"] + 0.4, revenue=last["B"] + 0.4, price=50.0)
    signal = EarningsSurprise(half_life=60.0, days_per_moment=1.0, hold=timedelta(days=120))
    before, after = signal(scene.at(117)), signal(scene.at(119))
    assert before["B"] > 0.0 > after["B"]
    assert after["A"] == pytest.approx(before["B"] * 0.5 ** (2 / 60))
    assert signal(scene.at(121)) == {}


def test_a_missing_quarter_is_not_taken_for_the_year_before(scene, quarters: np.ndarray):
    for symbol in "AB":
        announce(scene, symbol, list(quarters[:10]), last_known=-4 * QUARTER)
        announce(scene, symbol, list(quarters[10:13]), last_known=0.0)
        scene.bar(symbol, 1, 10.0)
    assert EarningsSurprise()(scene.at(1)) == {}


def test_the_other_scale_needs_a_price_and_five_quarters(scene):
    for symbol, last in (("A", 1.0), ("B", 2.0)):
        announce(scene, symbol, [1.0] * 4 + [last])
        scene.bar(symbol, 1, 10.0)
    scores = EarningsSurprise(scale=SurpriseScale.PRICE)(scene.at(1))
    assert scores["B"] > 0.0 > scores["A"]
