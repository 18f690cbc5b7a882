"""What only a sentence of a docstring said: signs, clocks and floors that no other test would miss."""

from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import pytest

from strategy_plane.ensemble.weighting import Trust, signal_weights
from strategy_plane.regime.hidden_markov import HiddenMarkov
from strategy_plane.regime.model import FittedRegimes, Regime, RegimeModel, RegimeRules
from strategy_plane.signals.sentiment import faded_sentiment
from strategy_plane.signals.technical import Component, Technical
from strategy_plane.validation.deflated_sharpe import TrialStatistics
from strategy_plane.validation.settings import ValidationSettings
from strategy_plane.validation.study import judge

START = datetime(2024, 1, 1, 21, tzinfo=UTC)


def test_news_fades_since_it_became_known_and_not_since_what_it_is_about(scene, date):
    scene.fact("news_sentiment", "A", 5, 0, score=1.0)
    scene.fact("news_sentiment", "A", 9, 8, score=-1.0)
    news = scene.at(10).facts.rows("news_sentiment", "A", 9)
    old, new = 0.5 ** (5 / 5), 0.5 ** (1 / 5)
    assert faded_sentiment(news, date(10), 5.0) == pytest.approx((old - new) / (old + new))


@pytest.mark.parametrize(
    ("part", "riser"),
    [
        (Component.RELATIVE_STRENGTH, -1.0),
        (Component.MEAN_REVERSION, -1.0),
        (Component.TREND, 1.0),
        (Component.AVERAGE_DISTANCE, 1.0),
        (Component.CROSS_SECTIONAL_MOMENTUM, 1.0),
        (Component.TIME_SERIES_MOMENTUM, 1.0),
    ],
)
def test_each_component_is_for_or_against_what_has_risen(scene, part: Component, riser: float):
    wobble = 1.0 + 0.001 * np.sin(np.arange(60))
    scene.closes({"UP": np.linspace(100, 160, 60) * wobble, "DOWN": np.linspace(160, 100, 60) * wobble})
    technical = Technical(lookback=20, skip=2, trend_bars=20, rsi_length=3, short_bars=5, long_bars=20)
    scores = technical.component(part, scene.at(59).bars)
    assert np.sign(scores["UP"]) == riser
    assert np.sign(scores["DOWN"]) == -riser


def test_what_a_signal_shows_beside_the_others_is_floored_before_it_is_carried_back():
    alike = np.array([[1.0, 0.8], [0.8, 1.0]])
    ics = np.array([0.05, 0.0])
    values, vectors = np.linalg.eigh(alike)
    root = (vectors / np.sqrt(values)) @ vectors.T
    assert (root @ ics)[1] < 0.0
    expected = root @ np.array([(root @ ics)[0], 0.0])
    assert signal_weights(ics, alike, Trust(floor=0.0)) == pytest.approx(np.maximum(expected, 0.0))


def told(model: RegimeModel, rows: np.ndarray) -> None:
    for number, row in enumerate(rows):
        model.update(START + timedelta(days=number), row)


def test_a_fit_knows_where_its_sample_ended():
    rng = np.random.default_rng(4)
    calm, storm = rng.normal([-2.0, 0.0, 0.0], 0.3, (120, 3)), rng.normal([2.0, -1.0, 1.0], 0.3, (60, 3))
    between = rng.normal([0.0, -0.5, 0.5], 0.3, (60, 3))
    model = RegimeModel(RegimeRules(first_fit=240, fit_window=240), partial(np.random.default_rng, 7))
    told(model, np.vstack([calm, between, storm, [[0.9, -0.7, 0.8]]]))  # from storm an odd day is still a stormy one
    assert model.probabilities is not None
    assert model.probabilities[2] > 0.9


def judged(model: RegimeModel, leaders: str) -> list[str]:
    """The regime in force after each day on which a state is as good as certain."""
    found = []
    for letter in leaders:
        probabilities = np.full(3, 0.02)
        probabilities["CNS".index(letter)] = 0.96
        model._settle(probabilities)
        found.append(model.regime.value[0])
    return found


def test_confirmations_are_of_one_regime_in_a_row():
    model = RegimeModel(RegimeRules(confirmations=3), partial(np.random.default_rng, 7))
    assert model.regime is Regime.NORMAL
    assert "".join(judged(model, "CSCSCCSSS")) == "NNNNNNNNS"


def test_half_in_cash_does_not_lose_to_the_benchmark_for_that_alone():
    pytest.importorskip("arch")
    rng = np.random.default_rng(2)
    market = rng.normal(0.0, 0.01, 1500)
    market += 0.0004 - market.mean()
    skilled = 0.1 * (rng.normal(0.002, 0.01, 1500) + 0.3 * market)  # earns less than the market, and risks a tenth
    returns = np.column_stack([skilled, 0.1 * rng.normal(0.0, 0.01, 1500)])
    chosen = ValidationSettings(blocks=8, repetitions=200, train=250, test=50)
    spa = {each.name: each for each in judge(returns, market, TrialStatistics(2, 1e-4), chosen).criteria}["SPA"]
    assert skilled.mean() < market.mean()
    assert spa.passed


def test_a_filter_at_its_first_step_comes_from_what_was_before():
    sure = HiddenMarkov(np.full(3, 1 / 3), np.eye(3) * 0.97 + 0.01, np.zeros((3, 1)), np.ones((3, 1, 1)))
    fitted = FittedRegimes(sure, np.zeros(1), np.ones(1), START)
    stepped = fitted.step(np.array([0.0, 0.0, 1.0]), START + timedelta(days=1), np.zeros(1))
    assert stepped.tolist() == pytest.approx([0.01, 0.01, 0.98])
