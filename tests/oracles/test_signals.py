"""Scores from facts - earnings, estimates, short interest, implied volatility - against skfolio, TA-Lib and wickra."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from strategy_plane.signals.earnings import price_scaled_surprise, standardised_surprise
from strategy_plane.signals.positioning import days_to_cover, short_ratio
from strategy_plane.signals.price_measures import reversal
from strategy_plane.signals.sentiment import faded_sentiment, revisions
from strategy_plane.signals.standardise import against_past, blend, cross_section
from strategy_plane.signals.volatility_premium import MONTH, index_premium
from strategy_plane.tables import Fact

pytestmark = pytest.mark.filterwarnings("ignore")
START = datetime(2023, 1, 1, tzinfo=UTC)


def panel(oracle, **fields: np.ndarray):
    """What skfolio reads: fields of shape (moments, n)."""
    moments, assets = next(iter(fields.values())).shape
    names = np.array([f"A{place}" for place in range(assets)])
    return oracle("skfolio.containers").AssetPanel(fields, np.arange(moments), names)


@pytest.fixture
def quarters() -> np.ndarray:
    """Earnings per share of five companies over 20 quarters."""
    return 2.0 + np.cumsum(np.random.default_rng(2).normal(0.05, 0.1, (20, 5)), axis=0)


@pytest.mark.parametrize("past", [4, 8])
def test_a_surprise_is_the_momentum_of_ta_lib_over_its_deviation(oracle, quarters: np.ndarray, past: int):
    """Of the changes over a year, up to the quarter before; their deviation divides by the count."""
    talib = oracle("talib")
    for column in quarters.T:
        changes = talib.MOM(column, 4)
        spread = talib.STDDEV(changes[4:], past)[-2] * math.sqrt(past / (past - 1))
        assert standardised_surprise(column, past) == pytest.approx(changes[-1] / spread, rel=1e-6)


def test_a_surprise_over_price_is_the_change_to_scale_of_skfolio(oracle, quarters: np.ndarray):
    prices = np.random.default_rng(3).uniform(20.0, 90.0, quarters.shape)
    measure = oracle("skfolio.descriptor").EarningsChangeToPrice(lag=4)
    theirs = measure.fit_transform(panel(oracle, net_income_ttm=quarters, market_cap=prices))[-1]
    found = [price_scaled_surprise(column, price) for column, price in zip(quarters.T, prices[-1], strict=True)]
    assert found == pytest.approx(theirs.tolist())


def test_revisions_are_changes_to_scale_of_skfolio(oracle, quarters: np.ndarray):
    """Seven changes of the estimate, each over the price before it."""
    estimates, prices = quarters[-8:], np.random.default_rng(4).uniform(20.0, 90.0, (8, 5))
    before = np.vstack([prices[:1], prices[:-1]])
    measure = oracle("skfolio.descriptor").ChangeToScale(field="estimate", scale_field="price", lag=1)
    theirs = measure.fit_transform(panel(oracle, estimate=estimates, price=before))[1:].sum(axis=0)
    for column, expected in enumerate(theirs.tolist()):
        months = [
            fact(30 * number, estimate=estimates[number, column], price=prices[number, column]) for number in range(8)
        ]
        assert revisions(months) == pytest.approx(expected)


def fact(day: float, **values: float) -> Fact:
    at = START + timedelta(days=day)
    return Fact(at, at, values)


def test_shorts_are_measured_as_skfolio_does(oracle):
    """Their average volume fades; where it has always been the same there is only one average."""
    generator = np.random.default_rng(5)
    shorted, outstanding, volume = generator.uniform(1.0, 9.0, (3, 1, 5)).repeat(300, axis=1) * 1e6
    measures = oracle("skfolio.descriptor")
    covers = measures.DaysToCover(half_life=5.0).fit_transform(panel(oracle, short_interest=shorted, adj_volume=volume))
    shares = panel(oracle, short_interest=shorted, adj_shares_outstanding=outstanding)
    ratios = measures.ShortInterest().fit_transform(shares)
    rows = zip(shorted[-1], outstanding[-1], volume[-1], strict=True)
    for (sold, shares_, traded), cover, ratio in zip(rows, covers[-1], ratios[-1], strict=True):
        assert days_to_cover(sold, traded) == pytest.approx(cover)
        assert short_ratio(sold, shares_) == pytest.approx(ratio)


def test_reversal_is_that_of_skfolio(oracle):
    closes = 50.0 * np.exp(np.cumsum(np.random.default_rng(6).normal(0.0, 0.02, (30, 5)), axis=0))
    returns = np.vstack([np.zeros(5), closes[1:] / closes[:-1] - 1.0])
    theirs = oracle("skfolio.descriptor").Reversal(window=5).fit_transform(panel(oracle, returns=returns))[-1]
    assert np.log(1.0 - reversal(closes, 5)) == pytest.approx(-theirs)  # theirs is in log returns


def test_scores_are_winsorised_and_standardised_as_skfolio_does(oracle):
    """Theirs divides by the number less one."""
    raw = np.random.default_rng(7).standard_t(2, 40)
    steps = oracle("skfolio.preprocessing")
    cut = steps.CSWinsorizer(low=0.05, high=0.95).fit_transform(raw[None])
    theirs = steps.CSStandardScaler().fit_transform(cut)[0] * math.sqrt(40 / 39)
    found = cross_section({f"A{place}": value for place, value in enumerate(raw.tolist())}, limit=99.0)
    assert list(found.values()) == pytest.approx(theirs.tolist())


def test_a_series_is_held_against_its_winsorised_past_as_scipy_does(oracle):
    series = np.random.default_rng(8).normal(3.0, 2.0, 120)
    past = oracle("skfolio.preprocessing").CSWinsorizer(low=0.05, high=0.95).fit_transform(series[None, :-1])[0]
    expected = oracle("scipy.stats").zmap(series[-1], past, ddof=1)
    assert against_past(series) == pytest.approx(expected.item())


def test_blends_and_fading_news_are_weighted_means_of_statsmodels(oracle):
    mean = oracle("statsmodels.stats.weightstats").DescrStatsW
    parts = [(2.0, {"A": 1.0, "B": -0.5}), (0.5, {"A": -2.0}), (1.0, {"A": 0.5, "B": 0.25})]
    assert blend(parts)["A"] == pytest.approx(float(mean([1.0, -2.0, 0.5], [2.0, 0.5, 1.0]).mean))
    assert blend(parts)["B"] == pytest.approx(float(mean([-0.5, 0.25], [2.0, 1.0]).mean))
    generator = np.random.default_rng(9)
    days, scores, relevance = np.sort(generator.uniform(0, 20, 30)), generator.uniform(-1, 1, 30), generator.random(30)
    rows = zip(days, scores, relevance, strict=True)
    news = [fact(day, score=score, relevance=weight) for day, score, weight in rows]
    theirs = mean(scores, relevance * np.exp2((days - 25.0) / 4.0))
    assert faded_sentiment(news, START + timedelta(days=25), 4.0) == pytest.approx(float(theirs.mean))


def test_the_index_premium_is_over_the_variance_of_wickra(oracle):
    """Theirs is the root of the sum of 21 squares of log returns; implied variance is over twelve months."""
    generator = np.random.default_rng(10)
    levels, implied = 4000.0 * np.exp(np.cumsum(generator.normal(0.0, 0.01, 80))), generator.uniform(12.0, 40.0, 80)
    root = np.array(oracle("wickra").RealizedVolatility(MONTH).batch(levels.tolist()))[MONTH:]
    expected = implied[MONTH:] ** 2 / 12.0 - 1e4 * root**2
    assert index_premium(implied, levels).tolist() == pytest.approx(expected.tolist())
