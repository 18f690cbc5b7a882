"""The probabilistic Sharpe ratio against its authors' example and moments computed by other programs."""

import math

import numpy as np
import pytest
from scipy import stats

from domain.probabilistic_sharpe import (
    SharpeEstimate,
    estimate_sharpe,
    probabilistic_sharpe,
    probabilistic_sharpe_of_equity,
)


def test_the_published_example_with_and_without_fat_tails():
    """Bailey and Lopez de Prado (2012): 24 months at 0.458 a month; 98.2 % if normal, 91.3 % as measured."""
    assert probabilistic_sharpe(SharpeEstimate(0.458, 24)) == pytest.approx(0.982, abs=5e-4)
    assert probabilistic_sharpe(SharpeEstimate(0.458, 24, -2.448, 10.164)) == pytest.approx(0.913, abs=5e-4)


def test_moments_are_the_biased_ones_and_kurtosis_is_pearsons():
    returns = np.random.default_rng(3).standard_t(4, 300) * 0.01 + 0.0004
    found = estimate_sharpe(returns, risk_free=0.0001)
    assert found.sharpe == pytest.approx((returns.mean() - 0.0001) / returns.std(ddof=1))
    assert found.skewness == pytest.approx(stats.skew(returns))
    assert found.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False))


def test_what_is_likely_exceeds_a_half_only_above_the_benchmark():
    estimate = SharpeEstimate(0.1, 250)
    assert probabilistic_sharpe(estimate, 0.1) == 0.5
    assert probabilistic_sharpe(estimate, 0.05) > 0.5 > probabilistic_sharpe(estimate, 0.15)


def test_a_longer_record_is_surer():
    assert probabilistic_sharpe(SharpeEstimate(0.1, 100)) < probabilistic_sharpe(SharpeEstimate(0.1, 200))


@pytest.mark.parametrize("returns", [[], [0.01, 0.02], [0.0] * 50, [0.01] * 50, [0.0, 1e-200, 0.0]])
def test_what_cannot_be_inferred_is_nan(returns: list[float]):
    assert math.isnan(probabilistic_sharpe(estimate_sharpe(returns)))


def test_the_dispersion_of_tiny_samples_stays_positive():
    generator = np.random.default_rng(0)
    for _ in range(2000):
        assert estimate_sharpe(generator.normal(0.0, 1.0, 4)).dispersion > 0.0


@pytest.mark.parametrize("returns", [[0.1, math.nan, 0.2], [[0.1, 0.2]]])
def test_holes_and_tables_are_refused(returns):
    with pytest.raises(ValueError, match="finite"):
        estimate_sharpe(returns)


def test_a_short_equity_curve_condemns_nobody():
    falling = 100.0 * np.cumprod(1.0 + np.random.default_rng(1).normal(-0.01, 0.005, 61))
    assert math.isnan(probabilistic_sharpe_of_equity(falling[:60]))
    assert probabilistic_sharpe_of_equity(falling) < 0.001


@pytest.mark.parametrize(("shape", "sharpe"), [(None, 0.0), (None, 0.3), (4.0, 0.3), (4.0, -0.3), (1.0, 0.15)])
def test_the_dispersion_is_the_spread_of_simulated_estimates(shape: float | None, sharpe: float):
    """Against simulation with known truth: normal returns, and gamma ones of skewness 2 / √k and kurtosis 3 + 6 / k."""
    generator, count, draws = np.random.default_rng(7), 250, 20_000
    if shape is None:
        noise, moments = generator.normal(size=(draws, count)), (0.0, 3.0)
    else:
        noise = (generator.gamma(shape, size=(draws, count)) - shape) / math.sqrt(shape)
        moments = 2.0 / math.sqrt(shape), 3.0 + 6.0 / shape
    returns = sharpe + noise
    found = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
    assert found.var() * (count - 1) == pytest.approx(SharpeEstimate(sharpe, count, *moments).dispersion, rel=0.05)


@pytest.mark.parametrize("benchmark", [-0.1, 0.05, 0.2])
def test_for_normal_returns_it_comes_close_to_the_exact_law(benchmark: float):
    """√T times the Sharpe ratio of normal returns follows Student's noncentral t: one minus the chance of more."""
    count, sharpe = 500, 0.06
    exact = stats.nct.cdf(sharpe * math.sqrt(count), count - 1, benchmark * math.sqrt(count))
    assert probabilistic_sharpe(SharpeEstimate(sharpe, count), benchmark) == pytest.approx(exact, abs=0.005)
