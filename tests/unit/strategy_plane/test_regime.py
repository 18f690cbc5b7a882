"""The filter looks forward only, the fit is the best of many, and the gate is slow to open."""

import warnings
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise, product

import numpy as np
import pytest

from strategy_plane.history import LookAheadError
from strategy_plane.optimizers.port import Limits
from strategy_plane.regime.features import features_of, market_features
from strategy_plane.regime.gate import GATES, Exposure, gated
from strategy_plane.regime.hidden_markov import HiddenMarkov, fit
from strategy_plane.regime.model import Regime, RegimeModel, RegimeRules

START = datetime(2024, 1, 1, tzinfo=UTC)
TRUE = HiddenMarkov(
    np.array([0.5, 0.3, 0.2]),
    np.array([[0.97, 0.02, 0.01], [0.02, 0.96, 0.02], [0.01, 0.04, 0.95]]),
    np.array([[-1.5, 0.5, -0.5], [0.0, 0.0, 0.0], [2.0, -1.5, 1.0]]),
    np.stack([np.eye(3) * 0.3, np.eye(3) * 0.4 + 0.1, np.eye(3) * 0.5]),
)


def drawn(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """States and observations of the true model."""
    rng = np.random.default_rng(seed)
    states = [0]
    for _ in range(count - 1):
        states.append(int(rng.choice(3, p=TRUE.transition[states[-1]])))
    observed = [rng.multivariate_normal(TRUE.means[state], TRUE.covariances[state]) for state in states]
    return np.array(states), np.array(observed)


def smoothed_last(model: HiddenMarkov, observations: np.ndarray) -> np.ndarray:
    """P(last state | all), by Bayes over every path; for short samples."""
    from scipy import stats

    density = np.array(
        [
            [stats.multivariate_normal.pdf(row, model.means[k], model.covariances[k]) for k in range(3)]
            for row in observations
        ]
    )
    total = np.zeros(3)
    for path in product(range(3), repeat=len(observations)):
        probability = model.start[path[0]] * density[0, path[0]]
        for moment in range(1, len(path)):
            probability *= model.transition[path[moment - 1], path[moment]] * density[moment, path[moment]]
        total[path[-1]] += probability
    return total / total.sum()


def test_the_filter_is_bayes_rule_over_every_path():
    _, observations = drawn(6)
    assert TRUE.filtered(observations)[0][-1] == pytest.approx(smoothed_last(TRUE, observations), rel=1e-10)


def test_filtered_is_what_a_smoother_says_of_the_last_day_of_the_sample_cut_there():
    hmm = pytest.importorskip("hmmlearn.hmm")
    oracle = hmm.GaussianHMM(3, covariance_type="full")
    oracle.startprob_, oracle.transmat_ = TRUE.start, TRUE.transition
    oracle.means_, oracle.covars_ = TRUE.means, TRUE.covariances
    oracle.n_features = 3
    _, observations = drawn(300)
    filtered, likelihood = TRUE.filtered(observations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package is in limited maintenance
        assert likelihood == pytest.approx(oracle.score(observations), rel=1e-12)
        for cut in (1, 2, 10, 150, 300):
            assert filtered[cut - 1] == pytest.approx(oracle.predict_proba(observations[:cut])[-1], abs=1e-12)
        whole = oracle.predict_proba(observations)
    assert (np.argmax(whole, axis=1) != np.argmax(filtered, axis=1)).sum() > 0  # and a smoother differs


def test_steps_give_what_the_whole_filter_gives():
    _, observations = drawn(200)
    whole = TRUE.filtered(observations)[0]
    probabilities = whole[0]
    for moment in range(1, 200):
        probabilities = TRUE.step(probabilities, observations[moment])
        assert probabilities == pytest.approx(whole[moment], abs=1e-12)


def test_the_fit_is_as_likely_as_that_of_another_package():
    hmm = pytest.importorskip("hmmlearn.hmm")
    _, observations = drawn(800)
    _, reached = fit(observations, np.random.default_rng(2), iterations=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        others = [
            hmm.GaussianHMM(3, covariance_type="full", n_iter=200, tol=1e-3, random_state=seed, covars_prior=0)
            .fit(observations)
            .score(observations)
            for seed in range(5)
        ]
    assert reached > max(others) - 0.5


def test_the_fit_finds_the_model_that_made_the_sample():
    states, observations = drawn(3000)
    model = fit(observations, np.random.default_rng(2))[0].ordered(0)
    assert model.means == pytest.approx(TRUE.means, abs=0.15)
    assert np.diag(model.transition) == pytest.approx(np.diag(TRUE.transition), abs=0.03)
    assert (np.argmax(model.filtered(observations)[0], axis=1) == states).mean() > 0.9


def test_more_restarts_are_never_less_likely_and_the_seed_decides():
    _, observations = drawn(300, seed=9)
    few = fit(observations, np.random.default_rng(4), starts=1)[1]
    many = fit(observations, np.random.default_rng(4), starts=12)
    again = fit(observations, np.random.default_rng(4), starts=12)
    assert many[1] >= few - 1e-9
    assert many[1] == again[1]
    assert (many[0].means == again[0].means).all()


@pytest.mark.parametrize("sample", [np.zeros((29, 3)), np.full((100, 3), np.nan)])
def test_a_sample_that_cannot_be_fitted_is_refused(sample: np.ndarray):
    with pytest.raises(ValueError, match="ten finite"):
        fit(sample, np.random.default_rng(1))


RULES = RegimeRules(first_fit=120, refit_every=60, fit_window=300, starts=4, certainty=0.6, confirmations=3)


def model() -> RegimeModel:
    return RegimeModel(RULES, partial(np.random.default_rng, 7))


def followed(observations: np.ndarray) -> list[tuple[Regime, list[float] | None]]:
    regimes, seen = model(), []
    for number, row in enumerate(observations):
        regime = regimes.update(START + timedelta(days=number), row)
        seen.append((regime, None if regimes.probabilities is None else regimes.probabilities.tolist()))
    return seen


def test_what_was_said_of_a_day_never_changes():
    _, observations = drawn(260)
    whole = followed(observations)
    for cut in (119, 121, 180, 200, 241):
        assert followed(observations[:cut]) == whole[:cut]
    other = observations.copy()
    other[200:] = other[200:][::-1] * 3.0
    assert followed(other)[:200] == whole[:200]


def smoothed(model: HiddenMarkov, observations: np.ndarray) -> np.ndarray:
    """P(state at t | all observations): what must not be used, (T, K)."""
    filtered = model.filtered(observations)[0]
    result = filtered.copy()
    for moment in range(len(filtered) - 2, -1, -1):
        expected = filtered[moment] @ model.transition
        result[moment] = filtered[moment] * (model.transition @ (result[moment + 1] / expected))
    return result


@pytest.mark.parametrize(
    ("judge", "leaks"), [(lambda *a: TRUE.filtered(*a)[0], False), (lambda *a: smoothed(TRUE, *a), True)]
)
def test_cutting_the_future_off_tells_a_filter_from_a_smoother(judge, leaks: bool):
    _, observations = drawn(120)
    whole = judge(observations)
    changed = [cut for cut in range(20, 120) if np.abs(judge(observations[:cut]) - whole[:cut]).max() > 1e-9]
    assert bool(changed) is leaks


def test_storm_is_the_state_of_high_volatility_and_calm_of_low():
    states, observations = drawn(500)
    seen = followed(observations)
    named = np.array([list(Regime).index(regime) for regime, _ in seen])
    assert (named[150:] == states[150:]).mean() > 0.75  # hysteresis is late on purpose
    assert {regime for regime, _ in seen[:121]} == {Regime.NORMAL}


def test_a_regime_changes_only_after_enough_confirmations():
    _, observations = drawn(500)
    regimes = followed(observations)
    for number in range(1, len(regimes)):
        if regimes[number][0] is not regimes[number - 1][0]:
            index = list(Regime).index(regimes[number][0])
            recent = [said[index] for _, said in regimes[number - 2 : number + 1] if said is not None]
            assert len(recent) == 3
            assert min(recent) >= RULES.certainty
    changes = sum(a[0] is not b[0] for a, b in pairwise(regimes))
    raw = [int(np.argmax(said)) for _, said in regimes if said is not None]
    assert changes <= sum(a != b for a, b in pairwise(raw))


def slow(count: int, seed: int = 3) -> np.ndarray:
    """Features that wander, without states: a likelihood with many maxima."""
    rng, rows = np.random.default_rng(seed), [np.zeros(3)]
    for _ in range(count - 1):
        rows.append(0.9 * rows[-1] + rng.normal(size=3))
    return np.array(rows)


def test_a_refit_on_nearly_the_same_window_keeps_the_regime():
    regimes = RegimeModel(
        RegimeRules(first_fit=120, refit_every=2, fit_window=200, starts=3), partial(np.random.default_rng, 7)
    )
    renamed = fits = 0
    for number, row in enumerate(slow(180)):
        fitted, before = regimes._fitted, regimes.probabilities
        regimes.update(START + timedelta(days=number), row)
        if fitted is None or before is None or regimes._fitted is fitted:
            continue
        old, new = (fit.step(before, START + timedelta(days=number), row) for fit in (fitted, regimes._fitted))
        fits, renamed = fits + 1, renamed + int(np.argmax(old) != np.argmax(new))
    assert fits == 29
    assert renamed <= 3


def test_states_known_before_are_kept_unless_others_are_more_likely():
    observations = slow(160)
    first, _ = fit(observations[:150], np.random.default_rng(1), starts=3)
    for seed in range(4):
        _, cold = fit(observations[5:], np.random.default_rng(seed), starts=2)
        kept, likelihood = fit(observations[5:], np.random.default_rng(seed), starts=2, before=first)
        assert likelihood >= cold - 1e-6
        assert likelihood == cold or np.abs(kept.means - first.means).max() < 1.0  # states are 2.5 and more apart


def test_a_model_in_other_units_judges_the_same_features_alike():
    _, observations = drawn(50)
    factors, shifts = np.array([2.0, 0.1, 3.0]), np.array([1.0, -4.0, 0.5])
    found = TRUE.in_units(factors, shifts).filtered(observations * factors + shifts)[0]
    assert found == pytest.approx(TRUE.filtered(observations)[0], abs=1e-12)


def test_a_fit_judges_no_day_it_has_seen():
    regimes = model()
    for number, row in enumerate(drawn(130)[1]):
        regimes.update(START + timedelta(days=number), row)
    fitted = regimes._fitted
    assert fitted is not None
    assert fitted.trained_until == START + timedelta(days=119)
    with pytest.raises(LookAheadError):
        fitted.step(np.ones(3) / 3, fitted.trained_until, np.zeros(3))
    with pytest.raises(LookAheadError):
        regimes.update(START, np.zeros(3))


def test_features_agree_with_pandas():
    import pandas as pd

    closes = 100 * np.exp(np.cumsum(np.random.default_rng(5).normal(0, 0.02, (253, 4)), axis=0))
    steps = pd.DataFrame(closes).pct_change().dropna()
    market = steps.mean(axis=1)
    level = np.concatenate([[1.0], (1 + market).cumprod()])
    correlation = steps.tail(63).corr().to_numpy()
    expected = [
        np.log(market.tail(21).std() * np.sqrt(252)),
        level[-1] / level.max() - 1,
        correlation[~np.eye(4, dtype=bool)].mean(),
    ]
    assert market_features(closes, 21, 63, 252.0) == pytest.approx(expected)


def test_features_need_whole_windows_and_movement(scene):
    scene.closes({"A": np.linspace(10, 12, 50), "B": np.linspace(10, 9, 50) + np.arange(50) % 2})
    view = scene.at(49).bars
    assert features_of(view, 5, 20, 60, 252.0) is None
    found = features_of(view, 5, 20, 40, 252.0)
    assert found is not None
    assert found.shape == (3,)
    scene.bar("A", 50, 12.0)
    kept = features_of(scene.at(50).bars, 5, 20, 40, 252.0)  # B keeps its close
    assert kept is not None
    assert kept[2] != 0.0
    for number in (51, 52, 53):
        scene.bar("A", number, 12.0 + number % 2)
    assert features_of(scene.at(53).bars, 5, 20, 40, 252.0)[2] == 0.0  # one symbol correlates with nothing


def test_a_few_missing_bars_hardly_change_the_features(scene):
    rng = np.random.default_rng(4)
    steps = rng.normal(0.0, 0.01, (300, 1)) + rng.normal(0.0, 0.01, (300, 5))
    paths, gaps = 100.0 * np.exp(np.cumsum(steps, axis=0)), rng.random((300, 5)) < 0.01
    whole = []
    for number, row in enumerate(paths.tolist()):
        for symbol, close, gap in zip("ABCDE", row, gaps[number], strict=True):
            if not gap:
                scene.bar(symbol, number, close)
        if number >= 252:
            whole.append(
                (
                    features_of(scene.at(number).bars, 21, 63, 252, 252.0),
                    market_features(paths[number - 252 : number + 1], 21, 63, 252.0),
                )
            )
    assert gaps[48:].any(axis=1).sum() > 5
    assert all(found is not None and np.abs(found - true).max() < 0.15 for found, true in whole)
    assert np.mean([np.abs(found - true) for found, true in whole]) < 0.03


def test_the_regime_is_lost_after_some_moments_without_features_and_found_with_the_next():
    regimes = model()
    regimes.miss()
    assert regimes.missed == 0  # nothing was ever known: the history is still short
    regimes.update(START, np.zeros(3))
    lost = []
    for _ in range(4):
        regimes.miss()
        lost.append((regimes.is_lost, regimes.is_just_lost))
    assert lost == [(False, False), (False, False), (True, True), (True, False)]
    regimes.update(START + timedelta(days=9), np.zeros(3))
    assert not regimes.is_lost


def test_the_gate_narrows_and_never_widens():
    assert dict(GATES) == {
        Regime.CALM: Exposure(2.5, 1.0),
        Regime.NORMAL: Exposure(2.0, 0.8),
        Regime.STORM: Exposure(1.0, 0.4),
    }
    limits = Limits(gross=1.5, net=0.5, box=0.3)
    assert gated(limits, GATES[Regime.CALM]) == limits
    assert gated(limits, GATES[Regime.STORM]) == Limits(gross=1.0, net=0.4, box=0.3)


@pytest.mark.parametrize(("umbrellas", "rain"), [([True], 0.818), ([True, True], 0.883)])
def test_the_filter_of_the_published_umbrella_world(umbrellas: list[bool], rain: float):
    """Russell and Norvig (2010), section 15.2: rain stays with 0.7, umbrellas are carried with 0.9 and 0.2.

    Between densities around 1 and -1 an observation of x has the odds exp(2 x): those of 0.9 to 0.2 and 0.1 to 0.8.
    """
    seen = np.array([[np.log(0.9 / 0.2) / 2.0 if each else np.log(0.1 / 0.8) / 2.0] for each in umbrellas])
    transition = np.array([[0.7, 0.3], [0.3, 0.7]])
    world = HiddenMarkov(np.full(2, 0.5), transition, np.array([[1.0], [-1.0]]), np.ones((2, 1, 1)))
    assert world.filtered(seen)[0][-1, 0] == pytest.approx(rain, abs=5e-4)
