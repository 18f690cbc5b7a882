"""Covariance from past returns as a statistical factor model."""

import numpy as np

from strategy_plane.optimizers.port import FactorRisk, Matrix

SPECIFIC_FLOOR = 0.05
"""Specific variance is at least this share of an asset's variance, so the model is positive definite."""
MAX_FACTORS = 50


def factor_count(assets: int, periods: int) -> int:
    """Principal components kept: a twentieth of the assets and three more, as far as the data carry them."""
    return max(1, min(assets // 20 + 3, MAX_FACTORS, assets, periods - 1))


def principal_factor_risk(returns: Matrix, periods_per_year: float) -> FactorRisk:
    """Estimate a `FactorRisk` from ``returns`` of shape (periods, n), simple returns per period.

    The leading principal components of the sample covariance are the factors, the rest of each asset's own
    variance is specific (Fan, Liao and Mincheva 2013, POET with a diagonal residual). Works with fewer
    periods than assets.

    Raises:
        ValueError: when a return is not finite, fewer than two periods are given or an asset never moved.
    """
    periods, assets = returns.shape
    if periods < 2:
        raise ValueError("a covariance needs at least 2 periods of returns")
    if not np.isfinite(returns).all():
        raise ValueError("returns must be finite; drop the moments with missing bars")
    covariance = np.atleast_2d(np.cov(returns, rowvar=False)) * periods_per_year
    variances = np.diag(covariance)
    if (variances <= 0.0).any():
        raise ValueError("an asset's price never moved; it has no risk to estimate")
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2.0)
    kept = factor_count(assets, periods)
    loadings = vectors[:, -kept:] * np.sqrt(np.maximum(values[-kept:], 0.0))
    explained = np.einsum("ij,ij->i", loadings, loadings)
    cap = np.sqrt(np.minimum(1.0, (1.0 - SPECIFIC_FLOOR) * variances / np.maximum(explained, 1e-300)))
    loadings = loadings * cap[:, None]
    specific = variances - np.einsum("ij,ij->i", loadings, loadings)
    return FactorRisk(np.ascontiguousarray(loadings), specific)
