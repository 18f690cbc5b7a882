"""Ensemble, risk and validation against figures that others published; each test says where they were read."""

import math

import numpy as np
import pytest

from strategy_plane.ensemble.information import Outcome, information_coefficient, ranks, summary
from strategy_plane.ensemble.weighting import ScoreCorrelation, ScoreScale, Trust, combined, signal_weights
from strategy_plane.optimizers.covariance import ewma_covariance, ledoit_wolf_covariance, sample_covariance
from strategy_plane.optimizers.factor_risk import principal_factor_risk
from strategy_plane.optimizers.port import FactorRisk
from strategy_plane.sizing import ewma_volatility, volatility_scale
from strategy_plane.strategies.momentum_mean_variance import Conversion
from strategy_plane.validation.cross_validation import Separation, combinatorial_purged, purged_k_fold
from strategy_plane.validation.walk_forward import walk_forward


def test_ranks_and_their_correlation_of_the_example_of_wikipedia():
    """Spearman's coefficient, hours of television: the ranks, and -29/165."""
    quotients = [106, 86, 100, 101, 99, 103, 97, 113, 112, 110]
    hours = [7, 0, 27, 50, 28, 29, 20, 12, 6, 17]
    order = np.argsort(quotients)
    assert ranks(np.array(hours, float))[order].tolist() == [1, 6, 8, 7, 10, 9, 3, 5, 2, 4]
    first, second = (dict(zip("ABCDEFGHIJ", map(float, each), strict=True)) for each in (quotients, hours))
    assert information_coefficient(first, second) == pytest.approx(-0.175757575, abs=1e-9)


def test_the_t_value_of_students_sleepers():
    """Student (1908), as R's `t.test` of `sleep` prints it: a mean of 1.58 and t = 4.0621 of ten differences."""
    slept = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    found = summary([Outcome(each, 0.0, 0.0, 1.0) for each in slept], spacing=20, horizon=20, periods_per_year=240.0)
    assert found.mean == pytest.approx(1.58)
    assert found.statistic == pytest.approx(4.0621, abs=5e-5)


def test_the_size_of_three_numbers():
    """mathsisfun.com: the root mean square of 5, 7 and 11 is 8.062."""
    scale, scores = ScoreScale(["s"], half_life=1.0, limit=math.inf), {"A": 5.0, "B": 7.0, "C": -11.0}
    scale.add({"s": scores})
    assert 5.0 / scale.standard({"s": scores})["s"]["A"] == pytest.approx(8.062, abs=5e-4)


def test_the_cosine_of_two_sentences():
    """stackoverflow.com, cosine similarity of word counts: 9 over 3.464 times 3.162 is 0.822."""
    counts = {"a": (2, 1, 0, 2, 0, 1, 1, 1), "b": (2, 1, 1, 1, 1, 0, 1, 1)}
    found = ScoreCorrelation(["a", "b"], Trust(prior_weight=0.0), shrinkage=0.0)
    found.add({name: dict(zip("ABCDEFGH", map(float, row), strict=True)) for name, row in counts.items()})
    assert found.matrix()[0, 1] == pytest.approx(0.822, abs=1e-3)


def test_the_weights_of_rs_cars():
    """R's `mtcars`: weight and power correlate with miles per gallon by -0.8676594 and -0.7761684, with each other by
    0.6587479, and their standardised coefficients are -0.6295545 and -0.3614507: what a deviation more of each takes.
    """
    correlation = np.array([[1.0, 0.6587479], [0.6587479, 1.0]])
    weights = signal_weights(np.array([-0.8676594, -0.7761684]), correlation, Trust(floor=-10.0))
    assert weights == pytest.approx([-0.6295545, -0.3614507], abs=2e-7)
    named = dict(zip(("weight", "power"), weights.tolist(), strict=True))
    said = combined({"weight": {"HEAVY": 1.0}, "power": {"STRONG": 1.0}}, named)
    assert said == pytest.approx({"HEAVY": -0.6295545, "STRONG": -0.3614507}, abs=2e-7)


def test_expected_returns_of_grinold_and_kahn():
    """Grinold and Kahn (2000), chapter 14: an IC of 0.05 and a risk of 30 % make alphas of 1.5 % at a score of one."""
    risk = FactorRisk(np.zeros((2, 1)), np.full(2, 0.09))
    assert Conversion(0.05).expected(np.array([1.0, -2.0]), risk) == pytest.approx([0.015, -0.030])


def test_weighted_volatility_of_the_example_of_hull():
    """Hull, Options, Futures and Other Derivatives, as quoted on bionicturtle.com: with a lambda of 0.95, 1 % a day and
    a newest change of 0.5 % the variance becomes 0.00009625.
    """
    returns = np.append(np.full(600, 0.01), 0.005)
    found = ewma_volatility(returns, math.log(0.5) / math.log(0.95), periods_per_year=1.0)
    assert found**2 == pytest.approx(0.00009625, rel=1e-9)


def test_weighted_covariance_of_the_question_of_leetquiz():
    """leetquiz.com, question 35: with a lambda of 0.94, volatilities of 2 % and 3 %, a correlation of 0.4 and newest
    returns of 3 % and 4 % the variances become 0.00043 and 0.000942 and the covariance 0.0002976, which is a
    correlation of 0.4676.
    """
    keep = 0.94
    before = np.linalg.cholesky(np.array([[0.0004, 0.00024], [0.00024, 0.0009]]))
    pair = np.stack([before[:, 1] / math.sqrt(keep), before[:, 0]]) * math.sqrt(1.0 + keep)  # as the two in turn weigh
    returns = np.vstack([np.tile(pair, (400, 1)), [0.03, 0.04]])
    found = ewma_covariance(returns, 1.0, math.log(0.5) / math.log(keep))
    assert found == pytest.approx(np.array([[0.00043, 0.0002976], [0.0002976, 0.000942]]), rel=1e-9)
    assert found[0, 1] / math.sqrt(found[0, 0] * found[1, 1]) == pytest.approx(0.4676, abs=5e-5)


def test_covariance_of_the_manual_of_numpy():
    """`numpy.cov`: 11.71, -4.286 and 2.14413333."""
    found = sample_covariance(np.array([[-2.1, 3.0], [-1.0, 1.1], [4.3, 0.12]]), 1.0)
    assert found == pytest.approx(np.array([[11.71, -4.286], [-4.286, 2.14413333]]), abs=5e-9)


def test_shrunk_covariance_of_the_manual_of_scikit_learn():
    """`LedoitWolf`: fifty draws of seed 0 have 0.4406, 0.1616 and 0.8022."""
    draws = np.random.RandomState(0).multivariate_normal([0.0, 0.0], [[0.4, 0.2], [0.2, 0.8]], size=50)
    found, _ = ledoit_wolf_covariance(draws, 1.0)
    assert found == pytest.approx(np.array([[0.4406, 0.1616], [0.1616, 0.8022]]), abs=1e-4)


def test_principal_components_of_rs_arrests():
    """`prcomp(USArrests, scale = TRUE)`: eigenvalues 2.4802416, 0.9897652, 0.3565632 and 0.1734301, and what the first
    three are made of; the fourth is specific, and of what the others leave nearly nothing of it is made 5 %.
    """
    correlation = np.identity(4)
    correlation[np.triu_indices(4, 1)] = [0.8018733, 0.06957262, 0.5635788, 0.2588717, 0.6652412, 0.4113412]
    correlation = np.maximum(correlation, correlation.T)
    draws = np.random.default_rng(0).normal(size=(50, 4))
    apart = np.linalg.qr(draws - draws.mean(axis=0))[0] * 7.0
    found = principal_factor_risk(apart @ np.linalg.cholesky(correlation).T, 1.0)
    components = np.array([[0.5358995, 0.4181809, 0.3412327], [0.5831836, 0.1879856, 0.2681484]])
    published = components * np.sqrt([2.4802416, 0.9897652, 0.3565632])
    assert np.abs(found.loadings[:2, ::-1]) == pytest.approx(published, abs=1e-6)
    specific = [0.1734301 * 0.64922780**2, 0.1734301 * 0.74340748**2, 0.05, 0.05]
    assert found.specific == pytest.approx(np.array(specific), abs=1e-6)


def test_exposure_of_the_academy_of_pfolio():
    """Target volatility: 10 % wanted and 20 % realised make half, and 5 % realised twice, of the capital."""
    assert volatility_scale(0.10, 0.20) == pytest.approx(0.5)
    assert volatility_scale(0.10, 0.05, largest=2.0) == pytest.approx(2.0)


def trained(splits) -> list[tuple[list[int], list[int]]]:
    return [(split.train.tolist(), split.test.tolist()) for split in splits]


def test_folds_of_the_manuals_of_scikit_learn_and_skfolio():
    """`KFold` of four in two; and `CombinatorialPurgedCV` of twelve in three, two of them tested, purged by one."""
    assert trained(purged_k_fold(4, 2, Separation(0))) == [([2, 3], [0, 1]), ([0, 1], [2, 3])]
    purged = combinatorial_purged(12, 3, 2, Separation(1))
    assert [split.train.tolist() for split in purged] == [[9, 10, 11], [5, 6], [0, 1, 2]]


def test_windows_of_the_manual_of_skfolio():
    """`WalkForward` of six observations, one tested after two."""
    published = [([0, 1], [2]), ([1, 2], [3]), ([2, 3], [4]), ([3, 4], [5])]
    assert trained(walk_forward(6, 2, 1, Separation(0))) == published
