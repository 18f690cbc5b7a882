"""Formulas of which nobody published a worked example, held against what must be true of them exactly."""

import math

import numpy as np
import pytest
from scipy import stats

from strategy_plane.ensemble.information import Outcome, long_short
from strategy_plane.ensemble.weighting import Trust, shrunk_ic
from strategy_plane.optimizers.covariance import factor_form, repaired
from strategy_plane.optimizers.port import FactorRisk
from strategy_plane.optimizers.risk_based import equal_weight, inverse_volatility
from strategy_plane.optimizers.risk_parity import risk_parity
from strategy_plane.regime.features import market_features
from strategy_plane.regime.gate import Exposure, curbed
from strategy_plane.regime.hidden_markov import MIN_VARIANCE, fit
from strategy_plane.signals.earnings import price_scaled_surprise, standardised_surprise
from strategy_plane.signals.sentiment import revisions
from strategy_plane.signals.volatility_premium import MONTH, index_premium


def test_a_surprise_without_news_follows_students_law():
    """Changes of a seasonal random walk are normal and know nothing of each other, so that the newest over the
    deviation of the eight before, about their mean, is Student's t of seven degrees.
    """
    changes = np.random.default_rng(8).normal(0.0, 0.3, (4000, 9))
    walks = np.hstack([np.full((4000, 4), 2.0), np.zeros((4000, 9))])
    for quarter in range(4, 13):
        walks[:, quarter] = walks[:, quarter - 4] + changes[:, quarter - 4]
    found = [standardised_surprise(walk) for walk in walks]
    assert stats.kstest(found, stats.t(7).cdf).pvalue > 0.05
    assert stats.kstest(found, stats.t(6).cdf).pvalue < stats.kstest(found, stats.t(7).cdf).pvalue
    assert stats.kstest(found, stats.norm.cdf).pvalue < 0.01


def test_a_surprise_over_price_is_the_change_of_the_earnings_yield_at_one_price():
    quarters, price = np.array([0.40, 0.42, 0.45, 0.47, 0.55]), 30.0
    assert price_scaled_surprise(quarters, price) == pytest.approx(quarters[4] / price - quarters[0] / price)


@pytest.mark.parametrize("annual", [0.1, 0.2, 0.45])
def test_who_insures_what_happens_has_no_premium(annual: float):
    """A VIX of 100 times the annual volatility that daily moves of one size have is the variance that is realised in 21
    of 252 days, so that nothing is left over.
    """
    signs = np.random.default_rng(2).choice([-1.0, 1.0], 60)
    levels = 4000.0 * np.exp(np.cumsum(signs * annual / math.sqrt(252.0)))
    found = index_premium(np.full(60, 100.0 * annual), levels)
    assert found.tolist() == pytest.approx([0.0] * (60 - MONTH), abs=1e-9)


def test_at_one_price_revisions_add_up_to_the_change_from_first_to_last(scene):
    estimates = [2.0, 2.1, 1.9, 1.9, 2.4, 2.2, 2.3]
    for month, estimate in enumerate(estimates):
        scene.fact("analyst_estimates", "A", month * 30, month * 30, estimate=estimate, price=40.0)
    months = scene.at(200).facts.rows("analyst_estimates", "A", 9)
    assert revisions(months) == pytest.approx((2.3 - 2.0) / 40.0)


def test_who_is_long_what_gained_earns_the_spread_of_the_returns():
    """Lo and MacKinlay (1990): weights by the returns themselves earn their variance, here over what is held."""
    returns = dict(zip("ABCDE", (0.04, -0.01, 0.02, 0.00, -0.03), strict=True))
    apart = np.array(list(returns.values())) - np.mean(list(returns.values()))
    earned = sum(weight * returns[symbol] for symbol, weight in long_short(returns).items())
    assert earned == pytest.approx(float(apart @ apart) / float(np.abs(apart).sum()))


@pytest.mark.parametrize("count", [1, 7, 40])
def test_shrinking_is_the_mean_with_as_many_imagined_outcomes(count: int):
    """Of a normal mean with a normal prior: the prior counts for ``prior_weight`` outcomes that all showed it."""
    ics = np.random.default_rng(count).normal(0.05, 0.1, count)
    trust = Trust(half_life=1e12, prior_ic=0.02, prior_weight=12.0, floor=-1.0)
    found = shrunk_ic([Outcome(each, 0.0, 0.0, 1.0) for each in ics.tolist()], trust, overlap=1.0)
    assert found == pytest.approx(np.mean([*ics, *[0.02] * 12]))


def test_alike_correlated_assets_are_at_parity_by_their_volatility_and_alike_ones_equally():
    """Maillard, Roncalli and Teiletche (2010): with one correlation, contributions are equal by inverse volatility."""
    volatilities = np.array([0.1, 0.2, 0.3, 0.4])
    risk = FactorRisk((math.sqrt(0.3) * volatilities)[:, None], 0.7 * volatilities**2)
    np.testing.assert_allclose(risk_parity(risk), inverse_volatility(risk), rtol=1e-8)
    alike = FactorRisk(np.full((4, 1), 0.1), np.full(4, 0.02))
    np.testing.assert_allclose(equal_weight(alike), risk_parity(alike), rtol=1e-8)


def test_no_covariance_is_nearer_than_the_repaired_one():
    """Higham (1988): the nearest is as far away as the root of the squared negative eigenvalues says."""
    generator = np.random.default_rng(4)
    axes = np.linalg.qr(generator.normal(size=(5, 5)))[0]
    wanted = (axes * [0.09, 0.05, 0.04, 0.02, -0.001]) @ axes.T
    found = repaired(wanted).covariance
    nearest = float(np.linalg.norm(found - wanted))
    assert nearest == pytest.approx(0.001, rel=1e-4)
    for _ in range(50):
        other = generator.normal(0.0, 0.01, (5, 5))
        moved = found + other @ other.T
        assert np.linalg.norm(moved - wanted) > nearest
    np.testing.assert_allclose(factor_form(wanted).covariance, found, atol=1e-12)


def test_a_single_state_is_the_mean_and_the_covariance_of_the_sample():
    """The most likely normal distribution, whose variances are raised by what keeps a state from becoming a point."""
    sample = np.random.default_rng(3).normal(size=(80, 2)) @ np.array([[1.0, 0.4], [0.0, 0.8]])
    model, likelihood = fit(sample, np.random.default_rng(0), states=1, starts=1)
    covariance = np.cov(sample, rowvar=False, ddof=0) + MIN_VARIANCE * np.identity(2)
    np.testing.assert_allclose(model.means[0], sample.mean(axis=0))
    np.testing.assert_allclose(model.covariances[0], covariance)
    expected = stats.multivariate_normal(sample.mean(axis=0), covariance).logpdf(sample).sum()
    assert likelihood == pytest.approx(expected)


def test_a_market_of_twins_is_one_of_them():
    """Correlation one; of steps up and down by one size the deviation and the fall from the peak are known."""
    steps = np.array([0.01, -0.01] * 30)
    closes = np.cumprod(np.concatenate([[100.0], 1.0 + steps]))[:, None] * np.array([1.0, 7.0])
    volatility, drawdown, correlation = market_features(closes, 20, 40, 252.0)
    assert volatility == pytest.approx(math.log(0.01 * math.sqrt(20 / 19 * 252.0)))
    assert drawdown == pytest.approx(0.99 * (1.01 * 0.99) ** 29 - 1.0)
    assert correlation == pytest.approx(1.0)


def test_what_a_regime_leaves_is_the_same_book_smaller():
    held = {"A": 1.2, "B": -0.4, "C": 0.2}
    found = curbed(held, Exposure(gross=0.9, net=0.4), slack=0.0)
    assert {symbol: found[symbol] / held[symbol] for symbol in held} == pytest.approx(dict.fromkeys(held, 0.4))
