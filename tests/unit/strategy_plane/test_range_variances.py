"""Range-based variances against the laws of Brownian motion: expectations by quadrature, with no walk simulated.

Each estimator is a mean over bars of terms that rest on one or two of a bar's log prices. Bars at evenly spaced
quantiles of what those prices follow make that mean an integral over the law, whose value is known to be the variance.
"""

import numpy as np
import pytest
from scipy import stats

from strategy_plane.signals.realised_variance import garman_klass, parkinson, rogers_satchell, yang_zhang

SIGMA = 0.02
LEVELS = (np.arange(4000) + 0.5) / 4000


def range_survival(r: float) -> float:
    """Probability that a driftless Brownian motion of unit variance ranges over more than ``r`` (Feller 1951)."""
    k = np.arange(1, 400)
    return float(8.0 * np.sum((-1.0) ** (k - 1) * k * stats.norm.sf(k * r)))


@pytest.fixture(scope="module")
def ranges() -> np.ndarray:
    """Ranges of log price at evenly spaced quantiles, by inverting Feller's law."""
    grid = np.linspace(0.35, 7.5, 1500)
    below = np.array([1.0 - range_survival(r) for r in grid])
    return SIGMA * np.interp(LEVELS, below, grid)


def test_fellers_law_has_the_moments_its_author_gave():
    """Feller (1951): the mean range is 2 * sqrt(2 / pi) and its mean square 4 ln 2, in units of the deviation."""
    grid = np.linspace(1e-9, 9.0, 4000)
    tail = np.array([range_survival(r) if r > 0.3 else 1.0 for r in grid])
    assert np.trapezoid(tail, grid) == pytest.approx(2.0 * np.sqrt(2.0 / np.pi), rel=1e-5)
    assert np.trapezoid(2.0 * grid * tail, grid) == pytest.approx(4.0 * np.log(2.0), rel=1e-5)


def test_parkinson_is_the_variance_under_fellers_law(ranges: np.ndarray):
    assert parkinson(np.exp(ranges), np.ones_like(ranges)) == pytest.approx(SIGMA**2, rel=2e-3)


def test_garman_klass_is_the_variance_under_the_laws_of_range_and_close(ranges: np.ndarray):
    """Its terms are in range and close apart, so only the law of each matters."""
    closes = SIGMA * stats.norm.ppf(LEVELS)
    found = garman_klass(np.ones_like(ranges), np.exp(ranges), np.ones_like(ranges), np.exp(closes))
    assert found == pytest.approx(SIGMA**2, rel=4e-3)


def extremes(closes: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Highs and lows of log price at ``levels``, given the close of a Brownian path from zero.

    ``2 H (H - C) / sigma²`` is exponential given C whatever the drift, since a bridge has none; so is it for the low.
    """
    spread = np.sqrt(closes**2 + 2.0 * SIGMA**2 * stats.expon.ppf(levels))
    return (closes + spread) / 2.0, (closes - spread) / 2.0


def law_of_a_day(drift: float, count: int = 600) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Highs, lows and closes over a lattice of the quantiles of close and extremes."""
    levels = (np.arange(count) + 0.5) / count
    closes, tails = (each.ravel() for each in np.meshgrid(drift + SIGMA * stats.norm.ppf(levels), levels))
    high, low = extremes(closes, tails)
    return high, low, closes


@pytest.mark.parametrize("drift", [0.0, 0.015, -0.05])
def test_rogers_satchell_is_the_variance_whatever_the_drift(drift: float):
    high, low, close = map(np.exp, law_of_a_day(drift))
    assert rogers_satchell(np.ones_like(close), high, low, close) == pytest.approx(SIGMA**2, rel=4e-3)
    if drift:
        assert abs(parkinson(high, low) / SIGMA**2 - 1.0) > 0.1  # what the others do not stand


@pytest.mark.parametrize("drift", [0.0, 0.02])
def test_yang_zhang_is_the_variance_of_night_and_day_whatever_the_drift(drift: float):
    night, (high, low, close) = 0.01, law_of_a_day(drift, 150)
    gaps = 0.002 + night * stats.norm.ppf((np.arange(len(close)) + 0.5) / len(close))
    gaps = np.random.default_rng(0).permutation(gaps)
    opened = np.cumsum(gaps + np.concatenate([[0.0], close[:-1]]))
    bars = [np.exp(each) for each in (opened, opened + high, opened + low, opened + close)]
    assert yang_zhang(*bars) == pytest.approx(SIGMA**2 + night**2, rel=1e-2)
