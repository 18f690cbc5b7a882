"""Risk-based weights and blended views against published tables, definitions and independent programs."""

import random
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial.distance import pdist, squareform

from strategy_plane.optimizers.black_litterman import (
    BlackLitterman,
    View,
    equilibrium_returns,
    posterior,
    uncertainty_of,
)
from strategy_plane.optimizers.composition import build_optimizer
from strategy_plane.optimizers.covariance import factor_form
from strategy_plane.optimizers.hierarchical_risk_parity import _quasi_diagonal, hierarchical_risk_parity
from strategy_plane.optimizers.mean_variance import MeanVariance, slack_of
from strategy_plane.optimizers.minimum_variance import MinimumVariance
from strategy_plane.optimizers.port import AllocationStatus, FactorRisk, Limits
from strategy_plane.optimizers.risk_based import RiskBased, RuleFailed, equal_weight, inverse_volatility
from strategy_plane.optimizers.risk_parity import risk_parity
from strategy_plane.optimizers.settings import BlackLittermanSettings, MeanVarianceSettings, RiskBasedSettings

OPEN = Limits(gross=1.0, net=1.0, box=1.0, turnover=10.0, long_only=True)


def market(assets: int = 10, seed: int = 0) -> FactorRisk:
    generator = np.random.default_rng(seed)
    return FactorRisk(generator.normal(0.1, 0.15, (assets, 3)), generator.uniform(0.01, 0.1, assets))


def test_the_published_hierarchical_weights():
    """Lopez de Prado (2016), Building diversified portfolios, exhibit of ten assets, weights in percent."""
    np.random.seed(12345)
    random.seed(12345)
    own = np.random.normal(0, 1, size=(10_000, 5))
    copied = [int(random.random() * 5) for _ in range(5)]  # as randint drew in the paper's Python 2
    copies = own[:, copied] + np.random.normal(0, 0.25, size=(10_000, 5))
    risk = factor_form(np.cov(np.append(own, copies, axis=1), rowvar=False))
    published = [7.00, 7.59, 10.84, 19.03, 9.72, 10.19, 6.62, 9.10, 7.12, 12.79]
    assert (100 * hierarchical_risk_parity(risk)).tolist() == pytest.approx(published, abs=0.006)


def test_two_unrelated_assets_are_weighted_by_inverse_variance():
    risk = FactorRisk(np.zeros((2, 1)), np.array([0.04, 0.01]))
    assert hierarchical_risk_parity(risk).tolist() == pytest.approx([0.2, 0.8])
    assert hierarchical_risk_parity(FactorRisk(np.zeros((1, 1)), np.ones(1))).tolist() == [1.0]


@pytest.mark.parametrize("seed", range(20))
def test_the_tree_is_that_of_nearest_neighbours(seed: int):
    """The last of single linkage's joints is the longest edge of the minimum spanning tree (Gower and Ross 1969)."""
    correlation = np.corrcoef(np.random.default_rng(seed).normal(size=(8, 12)))
    apart = squareform(pdist(np.sqrt((1.0 - correlation) / 2.0)))
    tree = minimum_spanning_tree(apart).toarray()
    tree[np.unravel_index(tree.argmax(), tree.shape)] = 0.0
    _, parts = connected_components(tree, directed=False)
    in_order = parts[_quasi_diagonal(correlation)]
    assert np.count_nonzero(np.diff(in_order)) == 1


VOLATILITIES = np.array([0.160, 0.203, 0.248, 0.271, 0.210, 0.200, 0.187])
CORRELATIONS = [
    [0.488, 0.478, 0.515, 0.439, 0.512, 0.491],
    [0.664, 0.655, 0.310, 0.608, 0.779],
    [0.861, 0.355, 0.783, 0.668],
    [0.354, 0.777, 0.653],
    [0.405, 0.306],
    [0.652],
]
CAPITAL = np.array([0.016, 0.022, 0.052, 0.055, 0.116, 0.124, 0.615])
"""He and Litterman (1999): Australia, Canada, France, Germany, Japan, United Kingdom, United States."""


def countries() -> np.ndarray:
    correlation = np.identity(7)
    for row, values in enumerate(CORRELATIONS):
        correlation[row, row + 1 :] = correlation[row + 1 :, row] = values
    return correlation * np.outer(VOLATILITIES, VOLATILITIES)


def test_the_published_black_litterman_tables():
    """He and Litterman (1999), tables 2, 4 and 5, in percent; weights use the posterior covariance."""
    covariance = countries()
    implied = equilibrium_returns(2.5, covariance, CAPITAL)
    assert (100 * implied).tolist() == pytest.approx([3.9, 6.9, 8.4, 9.0, 4.3, 6.8, 7.6], abs=0.06)
    germany = np.array([0.0, 0.0, -0.295, 1.0, 0.0, -0.705, 0.0])
    canada = np.array([0.0, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0])
    views = [
        View(pick, value, uncertainty_of(0.5, pick, covariance)) for pick, value in ((germany, 0.05), (canada, 0.03))
    ]
    one = posterior(implied, covariance, views[:1])
    assert (100 * one.expected).tolist() == pytest.approx([4.3, 7.6, 9.3, 11.0, 4.5, 7.0, 8.1], abs=0.06)
    weights = np.linalg.solve(2.5 * one.covariance, one.expected)
    assert (100 * weights).tolist() == pytest.approx([1.5, 2.1, -4.0, 35.4, 11.0, -9.5, 58.6], abs=0.11)
    both = posterior(implied, covariance, views)
    assert (100 * both.expected).tolist() == pytest.approx([4.4, 8.7, 9.5, 11.2, 4.6, 7.0, 7.5], abs=0.06)
    weights = np.linalg.solve(2.5 * both.covariance, both.expected)
    assert (100 * weights).tolist() == pytest.approx([1.5, 41.9, -3.4, 33.6, 11.0, -8.2, 18.8], abs=0.11)


IDZOREK = np.array(
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
HELD = np.array([0.1934, 0.2613, 0.1209, 0.1209, 0.0134, 0.0134, 0.2418, 0.0349])
IMPLIED = np.array([0.0008, 0.0067, 0.0641, 0.0408, 0.0743, 0.0370, 0.0480, 0.0660])
PICKS = np.array([[0, 0, 0, 0, 0, 0, 1, 0], [-1, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0.9, -0.9, 0.1, -0.1, 0, 0]], float)


def test_the_published_tables_of_idzorek():
    """Idzorek (2005), table 6, in percent; weights use the prior covariance."""
    aversion = float(IMPLIED @ HELD / (HELD @ IDZOREK @ HELD))
    assert aversion == pytest.approx(3.07, abs=0.01)
    implied = equilibrium_returns(aversion, IDZOREK, HELD)
    assert implied.tolist() == pytest.approx(IMPLIED.tolist(), abs=1.1e-4)
    views = [
        View(pick, value, uncertainty_of(0.5, pick, IDZOREK, 0.025))
        for pick, value in zip(PICKS, (0.0525, 0.0025, 0.02), strict=True)
    ]
    blended = posterior(implied, IDZOREK, views, 0.025)
    published = [0.07, 0.50, 6.50, 4.32, 7.59, 3.94, 4.93, 6.84]
    assert (100 * blended.expected).tolist() == pytest.approx(published, abs=0.011)
    weights = 100 * np.linalg.solve(aversion * IDZOREK, blended.expected)
    assert weights.tolist() == pytest.approx([29.88, 15.59, 9.35, 14.82, 1.04, 1.65, 27.81, 3.49], abs=0.015)


@pytest.mark.parametrize("confidence", [0.25, 0.5, 0.65, 1.0])
def test_a_view_moves_weights_the_share_of_the_way_that_confidence_says(confidence: float):
    """Idzorek's own definition: the tilt of a view is its confidence times the tilt of a certain one."""
    prior = 2.5 * IDZOREK @ HELD

    def tilt(share: float) -> np.ndarray:
        view = View(PICKS[2], 0.03, uncertainty_of(share, PICKS[2], IDZOREK))
        return np.linalg.solve(2.5 * IDZOREK, posterior(prior, IDZOREK, [view]).expected) - HELD

    np.testing.assert_allclose(tilt(confidence), confidence * tilt(1.0), atol=1e-12)


def test_a_certain_view_is_met_and_no_view_changes_nothing():
    prior = 2.5 * IDZOREK @ HELD
    sure = posterior(prior, IDZOREK, [View(PICKS[1], 0.01, 0.0)])
    assert PICKS[1] @ sure.expected == pytest.approx(0.01)
    assert PICKS[1] @ (sure.covariance - IDZOREK) @ PICKS[1] == pytest.approx(0.0, abs=1e-15)
    np.testing.assert_array_equal(posterior(prior, IDZOREK, []).expected, prior)


def test_confidence_decides_between_the_market_and_the_views():
    risk = market(5)
    risk = FactorRisk(risk.loadings, risk.specific)
    free = Limits(gross=50.0, net=50.0, box=50.0, turnover=100.0)
    views = np.full(5, 0.1)

    def weights(confidence: float) -> np.ndarray:
        blend = BlackLitterman(MeanVariance(2.5), equal_weight, 2.5, confidence)
        return blend(views, risk, np.zeros(5), free).weights

    np.testing.assert_allclose(weights(1e-9), np.full(5, 0.2), atol=3e-6)
    np.testing.assert_allclose(weights(1.0), np.linalg.solve(2.5 * risk.covariance, views), atol=3e-6)


def test_black_litterman_keeps_what_it_cannot_improve():
    risk, current = market(5), np.full(5, 0.1)
    allocation = BlackLitterman(MeanVariance(2.5), equal_weight, 2.5, 0.5)(np.full(5, np.nan), risk, current, OPEN)
    assert allocation.status is AllocationStatus.KEPT
    assert allocation.weights is current
    with pytest.raises(ValueError, match="confidence"):
        BlackLitterman(MeanVariance(2.5), equal_weight, 2.5, 0.0)
    with pytest.raises(ValueError, match="confidence"):
        uncertainty_of(1.5, PICKS[0], IDZOREK)
    with pytest.raises(ValueError, match="tau"):
        posterior(IMPLIED, IDZOREK, [View(PICKS[0], 0.1, -1.0)])


@pytest.mark.parametrize("assets", [1, 2, 7, 60])
def test_risk_parity_equalises_contributions(assets: int):
    risk = market(assets, seed=assets)
    weights = risk_parity(risk)
    contributions = weights * (risk.covariance @ weights)
    assert weights.sum() == pytest.approx(1.0)
    assert weights.min() > 0.0
    np.testing.assert_allclose(contributions / contributions.sum(), 1.0 / assets, rtol=1e-8)


def test_the_published_equal_contributions_and_least_variance():
    """Maillard, Roncalli and Teiletche (2010), numerical illustrations: four assets, weights in percent."""
    volatilities = np.array([0.1, 0.2, 0.3, 0.4])
    correlations = np.array([[1.0, 0.8, 0, 0], [0.8, 1.0, 0, 0], [0, 0, 1.0, -0.5], [0, 0, -0.5, 1.0]])
    risk = factor_form(correlations * np.outer(volatilities, volatilities))
    assert (100 * risk_parity(risk)).tolist() == pytest.approx([38.4, 19.2, 24.3, 18.2], abs=0.05)
    least = MinimumVariance()(np.zeros(4), risk, np.zeros(4), OPEN).weights
    assert (100 * least).tolist() == pytest.approx([74.5, 0.0, 15.2, 10.3], abs=0.05)


def test_without_correlation_risk_parity_is_inverse_volatility():
    risk = FactorRisk(np.zeros((4, 1)), np.array([0.01, 0.04, 0.09, 0.16]))
    np.testing.assert_allclose(risk_parity(risk), inverse_volatility(risk))
    np.testing.assert_allclose(inverse_volatility(risk), np.array([12, 6, 4, 3]) / 25)


def test_minimum_variance_has_the_closed_form():
    risk = market(6)
    free = Limits(gross=40.0, net=1.0, box=40.0, turnover=100.0)
    inverse = np.linalg.solve(risk.covariance, np.ones(6))
    allocation = MinimumVariance()(np.full(6, np.nan), risk, np.zeros(6), free)
    np.testing.assert_allclose(allocation.weights, inverse / inverse.sum(), atol=3e-6)


def test_minimum_variance_goes_from_cash_as_far_as_turnover_allows():
    risk, limits = market(5), replace(OPEN, box=0.4, turnover=0.5)
    held = np.zeros(5)
    for invested in (0.5, 1.0):  # the second step ends fully invested, below what turnover would allow
        found = MinimumVariance()(held, risk, held, limits)
        assert (found.status, found.weights.sum()) == (AllocationStatus.OPTIMAL, pytest.approx(invested, abs=1e-4))
        held = found.weights
    rng = np.random.default_rng(1)
    first = MinimumVariance()(np.zeros(5), risk, np.zeros(5), limits).weights
    others = 0.5 * rng.dirichlet(np.ones(5), 200)
    assert risk.variance(first) <= min(risk.variance(each) for each in others if each.max() <= 0.4) + 1e-6


def test_minimum_variance_invests_no_more_than_a_volatility_limit_lets_it():
    risk = market(5)
    free = MinimumVariance()(np.zeros(5), risk, np.zeros(5), OPEN).weights
    limit = 0.6 * float(np.sqrt(risk.variance(free)))
    found = MinimumVariance()(np.zeros(5), risk, np.zeros(5), replace(OPEN, volatility=limit))
    assert found.status is AllocationStatus.OPTIMAL
    assert found.weights == pytest.approx(0.6 * free, abs=2e-3)  # the calmest mix, scaled: more of any mix is wilder


def test_no_fully_invested_weights_are_calmer_than_minimum_variance():
    risk, generator = market(8), np.random.default_rng(0)
    limits = replace(OPEN, box=0.3)
    found = MinimumVariance()(np.zeros(8), risk, np.zeros(8), limits).weights
    assert found.sum() == pytest.approx(1.0, abs=slack_of(8))
    for weights in generator.dirichlet(np.ones(8), 2000):
        if weights.max() <= 0.3:
            assert risk.variance(weights) >= risk.variance(found) - 1e-6


@pytest.mark.parametrize("rule", [equal_weight, inverse_volatility, risk_parity, hierarchical_risk_parity])
def test_a_rule_within_open_limits_is_taken_as_it_is(rule):
    risk = market(7)
    allocation = RiskBased(rule)(np.zeros(7), risk, np.zeros(7), OPEN)
    np.testing.assert_allclose(allocation.weights, rule(risk), atol=1e-9)
    half = RiskBased(rule)(np.zeros(7), risk, np.zeros(7), replace(OPEN, outside_gross=0.4, outside_net=0.4))
    np.testing.assert_allclose(half.weights, 0.6 * rule(risk), atol=1e-9)


def test_a_rule_that_breaks_limits_moves_to_the_nearest_weights_that_keep_them():
    risk = FactorRisk(np.zeros((4, 1)), np.array([0.0025, 0.04, 0.04, 0.04]))
    limits = replace(OPEN, box=0.3, turnover=0.5)
    wanted, current = inverse_volatility(risk), np.zeros(4)
    allocation = RiskBased(inverse_volatility)(np.zeros(4), risk, current, limits)
    assert allocation.status is AllocationStatus.OPTIMAL
    assert limits.breaches(allocation.weights, current, slack_of(4)) == []
    for other in np.random.default_rng(0).uniform(0.0, 0.3, (3000, 4)):
        if not limits.breaches(other, current, 0.0):
            assert np.sum((other - wanted) ** 2) >= np.sum((allocation.weights - wanted) ** 2) - 1e-5


def test_a_volatility_limit_calms_a_rule():
    risk = market(7)
    allocation = RiskBased(equal_weight)(np.zeros(7), risk, np.zeros(7), replace(OPEN, volatility=0.05))
    assert np.sqrt(risk.variance(allocation.weights)) == pytest.approx(0.05)


def test_a_rule_that_fails_keeps_the_current_weights():
    def fails(risk: FactorRisk) -> np.ndarray:
        raise RuleFailed("no weights today")

    current = np.full(7, 0.1)
    allocation = RiskBased(fails)(np.zeros(7), market(7), current, OPEN)
    assert (allocation.status, allocation.diagnosis) == (AllocationStatus.KEPT, "no weights today")
    assert allocation.weights is current


@pytest.mark.parametrize(
    "chosen",
    [
        MeanVarianceSettings(),
        BlackLittermanSettings(market="inverse_volatility"),
        *(RiskBasedSettings(name=name) for name in ("equal_weight", "risk_parity", "minimum_variance")),
        RiskBasedSettings(name="hierarchical_risk_parity"),
        RiskBasedSettings(),
    ],
    ids=lambda chosen: chosen.name,
)
def test_every_named_optimizer_answers_the_same_port(chosen):
    risk = market(6)
    optimizer = build_optimizer(chosen)
    limits = replace(OPEN, box=0.4)
    allocation = optimizer(np.full(6, 0.08), risk, np.zeros(6), limits)
    assert allocation.status is AllocationStatus.OPTIMAL
    assert limits.breaches(allocation.weights, np.zeros(6), slack_of(6)) == []
    again = build_optimizer(chosen)(np.full(6, 0.08), risk, np.zeros(6), limits)
    assert again.weights.tobytes() == allocation.weights.tobytes()
    broken = optimizer(np.full(6, 0.08), FactorRisk(risk.loadings * np.nan, risk.specific), np.full(6, 0.1), limits)
    assert broken.status is AllocationStatus.KEPT


def test_a_rule_whose_nearest_weights_are_too_volatile_keeps_the_current_ones():
    risk, current = market(4), np.zeros(4)
    limits = replace(OPEN, volatility=0.05, net_floor=0.9, box=0.5)
    allocation = RiskBased(equal_weight)(np.zeros(4), risk, current, limits)
    assert allocation.status is AllocationStatus.KEPT
    assert "volatility" in allocation.diagnosis
    crossed = RiskBased(equal_weight)(np.zeros(4), risk, current, replace(OPEN, turnover=0.5, net_floor=0.9))
    assert "turnover" in crossed.diagnosis


def test_a_covariance_too_close_to_singular_is_said_to_be():
    opposite = FactorRisk(np.array([[1.0], [-1.0], [1.0]]), np.full(3, 1e-14))
    with pytest.raises(RuleFailed, match="did not converge"):
        risk_parity(opposite)
    kept = RiskBased(risk_parity)(np.zeros(3), opposite, np.zeros(3), OPEN)
    assert (kept.status, kept.weights.tolist()) == (AllocationStatus.KEPT, [0.0, 0.0, 0.0])
