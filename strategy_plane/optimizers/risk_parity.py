"""Weights at which every asset contributes the same risk."""

import numpy as np

from strategy_plane.optimizers.port import FactorRisk, Vector
from strategy_plane.optimizers.risk_based import RuleFailed

TOLERANCE = 1e-10
MAX_SWEEPS = 1000


def risk_parity(risk: FactorRisk) -> Vector:
    """Equal risk contributions, long-only, sum one, shape (n,) (Maillard, Roncalli and Teiletche 2010).

    Cyclical coordinate descent on ``w' Sigma w / 2 - mean(log w)`` (Griveau-Billion, Richard and Roncalli 2013),
    whose optimum is unique; in factor form a sweep costs n times the number of factors.

    Raises:
        RuleFailed: when contributions still differ by more than `TOLERANCE` after `MAX_SWEEPS` sweeps.
    """
    variances = risk.variances
    assets = len(variances)
    weights: Vector = 1.0 / np.sqrt(variances * assets)
    weights /= np.sqrt(risk.variance(weights))
    for _ in range(MAX_SWEEPS):
        _sweep(weights, risk, variances)
        contributions = weights * (risk.loadings @ (risk.loadings.T @ weights) + risk.specific * weights)
        if np.abs(contributions - 1.0 / assets).max() <= TOLERANCE / assets:
            weights /= weights.sum()
            return weights
    raise RuleFailed("risk parity did not converge; the covariance is too close to singular")


def _sweep(weights: Vector, risk: FactorRisk, variances: Vector) -> None:
    """Solve each weight's quadratic given all others, in place."""
    loadings, specific, share = risk.loadings, risk.specific, 1.0 / len(weights)
    exposure = loadings.T @ weights
    for place in range(len(weights)):
        old, variance = weights[place], variances[place]
        others = loadings[place] @ exposure + specific[place] * old - variance * old
        new = (np.sqrt(others * others + 4.0 * variance * share) - others) / (2.0 * variance)
        exposure += loadings[place] * (new - old)
        weights[place] = new
