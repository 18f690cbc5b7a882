"""Covariance of annual returns from past ones: sample, exponentially weighted, shrunk; repaired where it must be."""

from dataclasses import dataclass

import numpy as np

from strategy_plane.optimizers.port import FactorRisk, Matrix

SMALLEST_SHARE = 1e-8
"""Eigenvalues are raised to this share of the largest, so that a solver sees a positive definite matrix."""
CLIPPED_AT_MOST = 0.01
"""Share of the total variance that a repair may change; more means the estimate itself is wrong."""


class NotACovariance(ValueError):
    """A matrix is so far from positive semidefinite that no honest repair exists."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """A positive definite covariance, how many eigenvalues were raised and the share of variance that took."""

    covariance: Matrix
    clipped: int
    share: float


def sample_covariance(returns: Matrix, periods_per_year: float) -> Matrix:
    """Sample covariance (ddof 1) of ``returns``, shape (periods, n), annualised.

    Raises:
        ValueError: when a return is not finite or there are fewer than two periods.
    """
    _check(returns)
    return np.atleast_2d(np.cov(returns, rowvar=False)) * periods_per_year


def ewma_covariance(returns: Matrix, periods_per_year: float, half_life: float) -> Matrix:
    """Exponentially weighted covariance around zero of ``returns``, (periods, n), annualised (RiskMetrics 1996).

    The newest stands last. A return ``half_life`` periods old has half the weight of the newest; weights sum to one,
    so the start needs no seed.

    Raises:
        ValueError: when a return is not finite, there are fewer than two periods or half_life is not positive.
    """
    _check(returns)
    if not half_life > 0.0:
        raise ValueError("half_life must be positive")
    weights = 0.5 ** (np.arange(len(returns) - 1, -1, -1) / half_life)
    covariance: Matrix = (returns * (weights / weights.sum())[:, None]).T @ returns * periods_per_year
    return covariance


def ledoit_wolf_covariance(returns: Matrix, periods_per_year: float) -> tuple[Matrix, float]:
    """Covariance shrunk towards a multiple of the identity, annualised, and the share of that target.

    ``returns`` of shape (periods, n), demeaned, divided by the number of periods, with the asymptotically optimal share
    (Ledoit and Wolf 2004, A well-conditioned estimator).

    Raises:
        ValueError: when a return is not finite or there are fewer than two periods.
    """
    _check(returns)
    periods, assets = returns.shape
    centred = returns - returns.mean(axis=0)
    covariance = centred.T @ centred / periods
    mean_variance = float(np.trace(covariance)) / assets
    distance = float(np.sum(covariance**2)) - assets * mean_variance**2
    squares = centred**2
    noise = (float(np.sum(squares.T @ squares)) / periods - float(np.sum(covariance**2))) / periods
    share = min(noise, distance) / distance if distance > 0.0 else 1.0
    shrunk = (1.0 - share) * covariance + share * mean_variance * np.identity(assets)
    return shrunk * periods_per_year, share


def repaired(covariance: Matrix) -> Repaired:
    """Symmetrise ``covariance``, shape (n, n), and raise eigenvalues below `SMALLEST_SHARE` of the largest.

    The spectral method of Rebonato and Jäckel (1999) without its scaling back to given variances.

    Raises:
        NotACovariance: when an entry is not finite, no variance is positive, or more than `CLIPPED_AT_MOST` of
            the variance would have to be changed.
    """
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1] or not np.isfinite(covariance).all():
        raise NotACovariance("a covariance must be a finite square matrix")
    symmetric = (covariance + covariance.T) / 2.0
    values, vectors = np.linalg.eigh(symmetric)
    floor = SMALLEST_SHARE * float(values[-1])
    if not floor > 0.0:
        raise NotACovariance("no direction has a positive variance")
    low = values < floor
    share = float((floor - values[low]).sum() / np.abs(values).sum())
    if share > CLIPPED_AT_MOST:
        raise NotACovariance(f"a repair would change {share:.1%} of the variance; estimate it from better data")
    if not low.any():
        return Repaired(symmetric, 0, 0.0)
    mended = (vectors * np.maximum(values, floor)) @ vectors.T
    return Repaired((mended + mended.T) / 2.0, int(low.sum()), share)


def factor_form(covariance: Matrix) -> FactorRisk:
    """The same covariance, (n, n), as a `FactorRisk` of up to n factors; its least eigenvalue is the specific variance.

    What a repair clipped is said in ``repair``.

    Raises:
        NotACovariance: when ``covariance`` cannot be repaired.
    """
    sound = repaired(covariance)
    values, vectors = np.linalg.eigh(sound.covariance)
    floor = float(values[0]) * (1.0 - 1e-9)
    kept = values - floor > 1e-12 * values[-1]
    kept[-1] = True
    loadings = np.ascontiguousarray(vectors[:, kept] * np.sqrt(np.maximum(values[kept] - floor, 0.0)))
    repair = f"{sound.clipped} eigenvalues raised, {sound.share:.2e} of the variance" if sound.clipped else ""
    return FactorRisk(loadings, np.full(len(values), floor), repair)


def _check(returns: Matrix) -> None:
    if returns.ndim != 2 or len(returns) < 2:
        raise ValueError("returns must have shape (periods, n) with at least 2 periods")
    if not np.isfinite(returns).all():
        raise ValueError("returns must be finite; drop the moments with missing bars")
