"""The factor model keeps variances, recovers structure and stays positive definite."""

import numpy as np
import pytest

from strategy_plane.optimizers.factor_risk import factor_count, principal_factor_risk
from strategy_plane.optimizers.port import FactorRisk


def dense(risk: FactorRisk) -> np.ndarray:
    return risk.loadings @ risk.loadings.T + np.diag(risk.specific)


@pytest.mark.parametrize(("periods", "assets"), [(250, 4), (60, 100), (3, 30), (2, 2)])
def test_variances_are_the_sample_ones_and_the_matrix_is_positive_definite(periods: int, assets: int):
    returns = np.random.default_rng(1).normal(0.0, 0.01, (periods, assets))
    risk = principal_factor_risk(returns, 252.0)
    np.testing.assert_allclose(np.diag(dense(risk)), returns.var(axis=0, ddof=1) * 252.0, rtol=1e-9)
    assert np.linalg.eigvalsh(dense(risk)).min() > 0.0


def test_recovers_a_covariance_that_has_factors():
    generator = np.random.default_rng(2)
    loadings = generator.normal(0.01, 0.005, (60, 2))
    returns = generator.normal(size=(20_000, 2)) @ loadings.T + generator.normal(0.0, 0.01, (20_000, 60))
    truth = loadings @ loadings.T + np.eye(60) * 0.01**2
    error = np.linalg.norm(dense(principal_factor_risk(returns, 1.0)) - truth) / np.linalg.norm(truth)
    assert error < 0.05


def test_portfolio_variance_is_that_of_the_dense_matrix():
    generator = np.random.default_rng(3)
    risk = principal_factor_risk(generator.normal(0.0, 0.01, (100, 30)), 252.0)
    weights = generator.normal(size=30)
    assert risk.variance(weights) == pytest.approx(weights @ dense(risk) @ weights)


def test_the_number_of_factors_grows_with_assets_and_is_carried_by_the_data():
    assert [factor_count(n, 500) for n in (1, 2, 20, 100, 5000)] == [1, 2, 4, 8, 50]
    assert factor_count(100, 4) == 3


@pytest.mark.parametrize(
    ("returns", "reason"),
    [
        (np.zeros((1, 3)), "at least 2 periods"),
        (np.array([[0.1, np.nan], [0.2, 0.1]]), "finite"),
        (np.array([[0.1, 0.0], [0.2, 0.0]]), "never moved"),
    ],
)
def test_returns_that_carry_no_risk_estimate_are_refused(returns: np.ndarray, reason: str):
    with pytest.raises(ValueError, match=reason):
        principal_factor_risk(returns, 252.0)
