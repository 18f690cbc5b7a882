"""Measures of closes against scipy, pandas and published figures."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from strategy_plane.signals.price_measures import average_distance, relative_strength_index, reversal, trend_strength
from strategy_plane.signals.technical import Component, Technical

# the worked example of Wilder's index that stockcharts.com publishes (QQQQ, 14 days), to two decimals
PUBLISHED_CLOSES = [
    *(44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931),
    *(46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439, 46.2122, 46.2521),
    *(45.7137, 46.4515, 45.7835, 45.3548, 44.0288, 44.1783, 44.2181, 44.5672, 43.4205, 42.6628, 43.1314),
]
PUBLISHED_RSI = [
    *(70.53, 66.32, 66.55, 69.41, 66.36, 57.97, 62.93, 63.26, 56.06, 62.38),
    *(54.71, 50.42, 39.99, 41.46, 41.87, 45.46, 37.30, 33.08, 37.77),
]


@pytest.fixture
def closes() -> np.ndarray:
    return 100.0 * np.exp(np.cumsum(np.random.default_rng(3).normal(0.0003, 0.02, (300, 4)), axis=0))


def test_relative_strength_is_the_published_one():
    path = np.array(PUBLISHED_CLOSES)[:, None]
    found = [float(relative_strength_index(path[: end + 1])[0]) for end in range(14, len(path))]
    assert found == pytest.approx(PUBLISHED_RSI, abs=0.005)


def test_a_window_of_fifteen_lengths_forgets_the_seed(closes: np.ndarray):
    assert relative_strength_index(closes[-211:]) == pytest.approx(relative_strength_index(closes), abs=1e-4)


def test_relative_strength_at_its_limits():
    steps = np.arange(1.0, 21.0)[:, None] * np.array([[1.0, -1.0, 0.0]]) + 100.0
    assert relative_strength_index(steps).tolist() == [100.0, 0.0, 50.0]
    with pytest.raises(ValueError, match="length"):
        relative_strength_index(steps[:14])


def test_trend_is_the_t_value_of_a_regression(closes: np.ndarray):
    time = np.arange(len(closes))
    fits = [stats.linregress(time, np.log(closes[:, column])) for column in range(4)]
    assert trend_strength(closes) == pytest.approx([fit.slope / fit.stderr for fit in fits])


def test_trend_of_straight_lines():
    line = np.exp(np.arange(50.0)[:, None] * np.array([[0.01, -0.01, 0.0]]))
    assert trend_strength(line).tolist() == [1e6, -1e6, 0.0]


def test_reversal_and_distance_agree_with_pandas(closes: np.ndarray):
    frame = pd.DataFrame(closes)
    assert reversal(closes, 5) == pytest.approx(-frame.pct_change(5).iloc[-1].to_numpy())
    expected = frame.rolling(21).mean().iloc[-1] / frame.rolling(200).mean().iloc[-1] - 1
    assert average_distance(closes, 21, 200) == pytest.approx(expected.to_numpy())


def test_a_component_is_scored_alone_or_blended(scene, closes: np.ndarray):
    scene.closes(dict(zip("ABCD", closes.T, strict=True)))
    view = scene.at(299)
    for component in Component:
        alone = Technical(weights={component: 1.0})
        assert alone(view) == alone.component(component, view.bars)
        assert alone(view).keys() == set("ABCD")
    assert Technical().warm_up == 253
    assert Technical(weights={Component.MEAN_REVERSION: 1.0}).warm_up == 6
    dear = max("ABCD", key=lambda name: closes[-1, "ABCD".index(name)] / closes[-6, "ABCD".index(name)])
    fallen = Technical(weights={Component.MEAN_REVERSION: 1.0})(view)
    assert min(fallen, key=fallen.get) == dear


def test_symbols_with_many_gaps_in_the_window_are_not_measured(scene, closes: np.ndarray):
    for number in range(300):
        for place, symbol in enumerate("ABCD"):
            if not (symbol == "B" and 280 <= number < 287) and (symbol, number) != ("C", 290):
                scene.bar(symbol, number, float(closes[number, place]))
    scores = Technical(weights={Component.TREND: 1.0})(scene.at(299))
    assert scores.keys() == {"A", "C", "D"}
