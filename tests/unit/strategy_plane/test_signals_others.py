"""Positioning and sentiment by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from strategy_plane.signals.positioning import Positioning, days_to_cover, short_ratio
from strategy_plane.signals.sentiment import Sentiment, faded_sentiment, revisions
from strategy_plane.signals.standardise import blend, cross_section


@pytest.fixture
def shorted(scene):
    for symbol, shares, volume, before, now in (
        ("A", 10.0, 5.0, 0.5, 0.6),
        ("B", 20.0, 40.0, 0.5, 0.5),
        ("C", 30.0, 10.0, 0.5, 0.4),
    ):
        report = {"shares_short": shares, "shares_outstanding": 1000.0, "average_daily_volume": volume}
        scene.fact("ownership", symbol, 1, -90, institutional_share=before)
        scene.fact("ownership", symbol, 60, 0, institutional_share=now)
        scene.fact("short_interest", symbol, 70, 65, **report)
        scene.bar(symbol, 80, 10.0)
    return scene


def test_ratios_by_hand():
    assert short_ratio(30.0, 1000.0) == 0.03
    assert days_to_cover(30.0, 10.0) == 3.0
    assert math.isnan(short_ratio(1.0, 0.0))
    assert math.isnan(days_to_cover(1.0, 0.0))


def test_little_shorted_quickly_covered_and_bought_scores_high(shorted):
    parts = {
        "ratio_weight": {"A": -0.01, "B": -0.02, "C": -0.03},
        "cover_weight": {"A": -2.0, "B": -0.5, "C": -3.0},
        "ownership_weight": {"A": 0.1, "B": 0.0, "C": -0.1},
    }
    nothing = dict.fromkeys(parts, 0.0)
    for name, raw in parts.items():
        assert Positioning(**(nothing | {name: 1.0}))(shorted.at(80)) == pytest.approx(cross_section(raw))
    together = blend([(1.0, cross_section(raw)) for raw in parts.values()])
    assert Positioning()(shorted.at(80)) == pytest.approx(together)


def test_old_reports_are_left_out(shorted):
    for symbol in "ABC":
        shorted.bar(symbol, 200, 10.0)
    assert Positioning()(shorted.at(200)) == {}


@pytest.mark.parametrize("gap", [30, 190, 730])
def test_a_change_since_another_quarter_than_the_last_is_left_out(scene, gap: int):
    for symbol, now, apart in (("A", 0.6, 91), ("B", 0.4, 91), ("C", 0.9, gap)):
        scene.fact("ownership", symbol, 45 - apart, -apart, institutional_share=0.5)
        scene.fact("ownership", symbol, 45, 0, institutional_share=now)
        scene.bar(symbol, 50, 10.0)
    bought = Positioning(ratio_weight=0.0, cover_weight=0.0)
    assert bought(scene.at(50)) == pytest.approx(cross_section({"A": 0.1, "B": -0.1}))


def test_news_fade_and_weigh(scene, date):
    scene.fact("news_sentiment", "A", 0, 0, score=1.0)
    scene.fact("news_sentiment", "A", 5, 5, score=-1.0, relevance=0.5)
    news = scene.at(10).facts.rows("news_sentiment", "A", 9)
    # weights a quarter and a half of a half
    assert faded_sentiment(news, date(10), 5.0) == pytest.approx((0.25 - 0.25) / 0.5)
    assert faded_sentiment(news[:1], date(10), 5.0) == pytest.approx(1.0)
    assert math.isnan(faded_sentiment((), date(10), 5.0))


def test_revisions_by_hand(scene):
    for month, (estimate, price) in enumerate([(2.0, 40.0), (2.2, 50.0), (2.1, 50.0)]):
        scene.fact("analyst_estimates", "A", month * 30, month * 30, estimate=estimate, price=price)
    months = scene.at(100).facts.rows("analyst_estimates", "A", 9)
    assert revisions(months) == pytest.approx(0.2 / 40 - 0.1 / 50)
    assert math.isnan(revisions(months[:1]))


def test_revisions_are_not_added_over_months_that_are_missing(scene):
    for symbol, months in (("A", range(9)), ("B", [0, 1, 2, 3, 4, 5, 6, 22]), ("C", [0, 1, 2, 3, 4, 5, 6, 6.2])):
        for month in months:
            scene.fact("analyst_estimates", symbol, 720 + month, month * 30, estimate=3.0 + month, price=60.0)
    rows = {symbol: scene.at(800).facts.rows("analyst_estimates", symbol, 8) for symbol in "ABC"}
    assert revisions(rows["A"]) == pytest.approx(7 / 60)
    assert math.isnan(revisions(rows["B"]))
    assert math.isnan(revisions(rows["C"]))


def test_sentiment_takes_news_and_revisions(scene):
    for symbol, score, step in (("A", 0.9, 0.1), ("B", 0.1, 0.0), ("C", -0.5, -0.2)):
        for month in range(8):
            scene.fact("analyst_estimates", symbol, month * 30, month * 30, estimate=3.0 + month * step, price=60.0)
        scene.fact("news_sentiment", symbol, 225, 225, score=score)
        scene.bar(symbol, 230, 10.0)
        scene.bar(symbol, 300, 10.0)
    scores = Sentiment()(scene.at(230))
    expected = blend(
        [
            (1.0, cross_section({"A": 0.9, "B": 0.1, "C": -0.5})),
            (1.0, cross_section({"A": 0.7 / 60, "B": 0.0, "C": -1.4 / 60})),
        ]
    )
    assert scores == pytest.approx(expected)
    assert Sentiment()(scene.at(300)) == {}


def test_news_fade_as_in_pandas(scene, date):
    rng = np.random.default_rng(5)
    days, scores = np.sort(rng.uniform(0.0, 20.0, 30)), rng.uniform(-1.0, 1.0, 30)
    for day, score in zip(days.tolist(), scores.tolist(), strict=True):
        scene.fact("news_sentiment", "A", day, day, score=score)
    known = pd.DatetimeIndex([date(day) for day in days.tolist()])
    expected = pd.Series(scores).ewm(halflife="4D", times=known).mean().iloc[-1]
    assert faded_sentiment(scene.at(25).facts.rows("news_sentiment", "A", 99), date(25), 4.0) == pytest.approx(expected)


def test_revisions_and_ownership_are_those_of_pandas(scene):
    rng = np.random.default_rng(6)
    table = pd.DataFrame({"estimate": rng.uniform(1.0, 3.0, 8), "price": rng.uniform(20.0, 60.0, 8)})
    for month, row in table.iterrows():
        scene.fact("analyst_estimates", "A", month * 30, month * 30, **row)
        quarter = 210 + (month - 7) * 91
        scene.fact("ownership", "A", quarter, quarter, institutional_share=row["estimate"] / 3.0)
        scene.fact("ownership", "B", quarter, quarter, institutional_share=0.5)
    for symbol in "AB":
        scene.bar(symbol, 220, 10.0)
    months = scene.at(220).facts.rows("analyst_estimates", "A", 8)
    assert revisions(months) == pytest.approx((table["estimate"].diff() / table["price"].shift()).sum())
    bought = Positioning(ratio_weight=0.0, cover_weight=0.0)
    moved = table["estimate"].diff().iloc[-1] / 3.0
    assert bought(scene.at(220)) == pytest.approx(cross_section({"A": moved, "B": 0.0}))


def test_days_to_cover_are_those_that_finra_publishes():
    """FINRA, equity short interest of GQQQ at the settlement of 29 May 2026: 12,194 shares, 6,783 a day, 1.8 days."""
    assert days_to_cover(12_194, 6_783) == pytest.approx(1.8, abs=0.005)
