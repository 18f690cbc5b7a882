"""Signals against figures that others published; each test says where they were read."""

import math

import numpy as np
import pytest

from strategy_plane.history import Bars
from strategy_plane.signals.order_flow import OrderFlow, order_flow_imbalance, queue_imbalance
from strategy_plane.signals.positioning import short_ratio
from strategy_plane.signals.price_measures import average_distance, reversal, trend_strength
from strategy_plane.signals.realised_variance import Estimator, close_to_close, realised_variance
from strategy_plane.signals.sentiment import faded_sentiment
from strategy_plane.signals.standardise import against_past, blend, cross_section
from strategy_plane.signals.technical import Momentum, MovingAveragePair
from strategy_plane.signals.volatility_premium import betas

DOW = [
    *(11045.27, 11167.32, 11008.61, 11151.83, 10926.77, 10868.12, 10520.32, 10380.43, 10785.14, 10748.26),
    *(10896.91, 10782.95, 10620.16, 10625.83, 10510.95, 10444.37, 10068.01, 10193.39, 10066.57, 10043.75),
]
RATE_OF_CHANGE = [-3.85, -4.85, -4.52, -6.34, -7.86, -6.21, -4.31, -3.24]
"""stockcharts.com, Rate of Change over 12 days in percent, as the tests of ta4j and other programs quote it."""
INTEL = [
    *(22.2734, 22.1940, 22.0847, 22.1741, 22.1840, 22.1344, 22.2337, 22.4323, 22.2436, 22.2933),
    *(22.1542, 22.3926, 22.3816, 22.6109, 23.3558, 24.0519, 23.7530, 23.8324, 23.9516, 23.6338),
    *(23.8225, 23.8722, 23.6537, 23.1870, 23.0976, 23.3260, 22.6805, 23.0976, 22.4025, 22.1725),
]
AVERAGE = [
    *(22.22, 22.21, 22.23, 22.26, 22.31, 22.42, 22.61, 22.77, 22.91, 23.08),
    *(23.21, 23.38, 23.53, 23.65, 23.71, 23.69, 23.61, 23.51, 23.43, 23.28, 23.13),
]
"""stockcharts.com, the simple average of 10 days from the tenth on, as `sc-sma-10.csv` of PyAlgoTrade quotes it."""
WOMEN = [115.0, 117, 120, 123, 126, 129, 132, 135, 139, 142, 146, 150, 154, 159, 164]
"""R's `women`: weights at heights of 58 to 72 inches, each an inch after the one before."""


def test_rates_of_change_are_those_of_stockcharts(scene):
    closes = np.array(DOW)[:, None]
    found = [-100.0 * float(reversal(closes[:end], 12)[0]) for end in range(13, 21)]
    assert found == pytest.approx(RATE_OF_CHANGE, abs=0.005)
    scene.closes({"DOW": np.array(DOW), "STILL": np.full(20, 50.0), "TENTH": 100.0 * 1.1 ** (np.arange(20) / 12)})
    for day, published in zip(range(12, 20), RATE_OF_CHANGE, strict=True):
        scores = Momentum(12, 0)(scene.at(day).bars)  # a cross-section keeps ratios of differences
        ratio = (scores["DOW"] - scores["STILL"]) / (scores["TENTH"] - scores["STILL"])
        assert 10.0 * ratio == pytest.approx(published, abs=0.005)


def test_averages_are_those_of_stockcharts():
    closes, pair = np.array(INTEL)[:, None], MovingAveragePair(1, 10)
    above = [pair.push(close) for close in INTEL][9:]
    for end, published in zip(range(10, 31), AVERAGE, strict=True):
        found = float(average_distance(closes[:end], 1, 10)[0])
        assert INTEL[end - 1] / (1.0 + found) == pytest.approx(published, abs=0.0051)
        if abs(INTEL[end - 1] - published) > 0.005:  # else the rounding hides which is larger
            assert above[end - 10] is (INTEL[end - 1] > published)


def test_the_line_through_rs_women():
    """`summary(lm(weight ~ height))` prints a slope of 3.45000 and an error of 0.09114."""
    assert trend_strength(np.exp(np.array(WOMEN) / 100.0)[:, None])[0] == pytest.approx(3.45 / 0.09114, rel=1e-4)
    market, symbol = np.arange(58.0, 73.0) / 1000.0, np.array(WOMEN) / 1000.0
    steps = np.column_stack([symbol, 2.0 * market - symbol])  # whose mean is the height
    closes = np.vstack([np.ones(2), np.cumprod(1.0 + steps, axis=0)])
    assert betas(closes)[0] == pytest.approx(3.45)


def test_variance_of_the_question_of_pzacademy():
    """pzacademy.com, question 50785: the squared log returns of five months sum to 0.03711."""
    closes = np.array([35.0, 38.0, 41.0, 37.0, 33.0, 32.0])
    assert 5.0 * close_to_close(closes) == pytest.approx(0.03711, abs=5e-6)
    bars = Bars((), closes, closes, closes, closes, np.ones(6))
    assert 5.0 * realised_variance(bars, Estimator.CLOSE_TO_CLOSE) == pytest.approx(0.03711, abs=5e-6)


@pytest.mark.parametrize(("bid", "ask", "published"), [(3.0, 1.0, 0.5), (10_000.0, 10_100.0, -100.0 / 20_100.0)])
def test_the_queue_of_the_manuals_of_wickra_and_digifi(scene, bid: float, ask: float, published: float):
    """`OrderBookImbalanceTop1` and `volume_imbalance`; scored between even queues, which are 0, and a bid alone, 1."""
    for symbol, sizes in (("A", (bid, ask)), ("EVEN", (1.0, 1.0)), ("BID", (1.0, 0.0))):
        scene.flow(symbol, 0.5, 0.0, *sizes)
        scene.bar(symbol, 1, 10.0)
    expected = cross_section({"A": published, "EVEN": 0.0, "BID": 1.0})
    assert OrderFlow(queue_imbalance, window=1)(scene.at(1)) == pytest.approx(expected)


def test_the_flow_of_the_manual_of_wickra_over_the_depth_it_ends_with(scene):
    """`OrderFlowImbalance`: a flow of 6, after which 6 are bid and 4 asked; beside none and a book twice as deep."""
    for symbol, flow, depth in (("A", 6.0, 1.0), ("NONE", 0.0, 1.0), ("DEEP", 4.0, 2.0)):
        scene.flow(symbol, 0.5, flow, 6.0 * depth, 4.0 * depth)
        scene.bar(symbol, 1, 10.0)
    expected = cross_section({"A": 6.0 / 5.0, "NONE": 0.0, "DEEP": 4.0 / 10.0})
    assert OrderFlow(order_flow_imbalance, window=1)(scene.at(1)) == pytest.approx(expected)


def test_news_that_fade_as_in_the_manual_of_pandas(scene, date):
    """`ewm` with times and a half-life of four days; scores are a quarter of its numbers, to stay below one."""
    published = {1: 0.0, 3: 0.585786, 10: 1.523889, 17: 3.233686}  # days of January 2020
    for day, value in zip(published, (0.0, 1.0, 2.0, 4.0), strict=True):
        scene.fact("news_sentiment", "A", day, day, score=value / 4.0)
        later = day + 0.5  # which fades all alike
        news = scene.at(later).facts.rows("news_sentiment", "A", 9)
        assert 4.0 * faded_sentiment(news, date(later), 4.0) == pytest.approx(published[day], abs=5e-7)


def test_standard_scores_of_the_examples_of_wikipedia():
    """Of 2, 4, 4, 4, 5, 5, 7 and 9 the deviation is 2, about a mean of 5; of 4, 7, 13 and 16 the variance of a sample
    is 30, about 10.
    """
    raw = dict(zip("ABCDEFGH", (2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0), strict=True))
    assert list(cross_section(raw, tail=0.0).values()) == [-1.5, -0.5, -0.5, -0.5, 0.0, 0.0, 1.0, 2.0]
    found = against_past(np.array([4.0, 7.0, 13.0, 16.0, 19.0]), tail=0.0)
    assert found == pytest.approx(9.0 / math.sqrt(30.0))


def test_the_mean_of_two_classes():
    """internetdict.com, weighted averages: 20 students with 80 points and 30 with 90 have 86; here of a hundred."""
    assert blend([(20.0, {"A": 0.80}), (30.0, {"A": 0.90})]) == pytest.approx({"A": 0.86})


def test_the_shorted_share_of_a_glossary():
    """QuantInsti, short interest: 5 million of 120 million shares are 4.2 %."""
    assert short_ratio(5e6, 120e6) == pytest.approx(0.042, abs=5e-4)
