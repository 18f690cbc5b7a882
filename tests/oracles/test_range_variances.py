"""Variances from open, high, low and close against QuantLib and wickra, with nights that gap and days that drift."""

import math

import numpy as np
import pytest

from strategy_plane.history import Bars
from strategy_plane.signals.realised_variance import (
    Estimator,
    close_to_close,
    garman_klass,
    parkinson,
    realised_variance,
    rogers_satchell,
    yang_zhang,
)

pytestmark = pytest.mark.filterwarnings("ignore")
COUNT = 21
"""Bars that count; one more stands before them."""


@pytest.fixture(params=[1, 2, 3])
def bars(request: pytest.FixtureRequest) -> Bars:
    generator = np.random.default_rng(request.param)
    nights, days = generator.normal(0.001, 0.012, COUNT + 1), generator.normal(0.004, 0.02, COUNT + 1)
    closes = 80.0 * np.exp(np.cumsum(nights + days))
    opened = closes / np.exp(days)
    up, down = np.exp(generator.uniform(0.0, 0.015, (2, COUNT + 1)))
    return Bars((), opened, np.maximum(opened, closes) * up, np.minimum(opened, closes) / down, closes, np.ones(22))


def counted(bars: Bars, *names: str) -> list[np.ndarray]:
    return [getattr(bars, name)[1:] for name in names]


def last_of_wickra(oracle, name: str, *series: np.ndarray) -> float:
    """The newest variance per bar; their volatilities are in percent of a year, which here has one bar."""
    indicator = getattr(oracle("wickra"), name)(COUNT, 1)
    return (list(indicator.batch(*(each.tolist() for each in series)))[-1] / 100.0) ** 2


def mean_of_quantlib(oracle, estimator, bars: Bars) -> float:
    """Mean of the variances of single bars; a year has one bar."""
    ql = oracle("QuantLib")
    days = [ql.Date(1, 1, 2024) + number for number in range(COUNT)]
    prices = (each.tolist() for each in counted(bars, "open", "close", "high", "low"))
    found = estimator(1.0).calculate(ql.IntervalPrice.makeSeries(days, *prices))
    return math.fsum(sigma**2 for sigma in found.values()) / COUNT


def test_parkinson_is_that_of_quantlib_and_wickra(oracle, bars: Bars):
    found = parkinson(*counted(bars, "high", "low"))
    assert found == pytest.approx(mean_of_quantlib(oracle, oracle("QuantLib").ParkinsonSigma, bars), rel=1e-12)
    assert found == pytest.approx(last_of_wickra(oracle, "ParkinsonVolatility", bars.high, bars.low), rel=1e-12)
    assert found == realised_variance(bars, Estimator.PARKINSON)


def test_garman_klass_is_that_of_quantlib_and_wickra(oracle, bars: Bars):
    """The fifth of the variants of QuantLib is the practical one of the paper; the fourth is the unrounded best."""
    found = garman_klass(*counted(bars, "open", "high", "low", "close"))
    ql = oracle("QuantLib")
    assert found == pytest.approx(mean_of_quantlib(oracle, ql.GarmanKlassSigma5, bars), rel=1e-12)
    assert found == pytest.approx(mean_of_quantlib(oracle, ql.GarmanKlassSigma4, bars), rel=0.02)
    theirs = last_of_wickra(oracle, "GarmanKlassVolatility", bars.open, bars.high, bars.low, bars.close)
    assert found == pytest.approx(theirs, rel=1e-12)
    assert found == realised_variance(bars, Estimator.GARMAN_KLASS)


def test_rogers_satchell_is_that_of_wickra(oracle, bars: Bars):
    found = rogers_satchell(*counted(bars, "open", "high", "low", "close"))
    theirs = last_of_wickra(oracle, "RogersSatchellVolatility", bars.open, bars.high, bars.low, bars.close)
    assert found == pytest.approx(theirs, rel=1e-12)
    assert found == realised_variance(bars, Estimator.ROGERS_SATCHELL)


def test_yang_zhang_is_that_of_wickra(oracle, bars: Bars):
    found = yang_zhang(bars.open, bars.high, bars.low, bars.close)
    theirs = last_of_wickra(oracle, "YangZhangVolatility", bars.open, bars.high, bars.low, bars.close)
    assert found == pytest.approx(theirs, rel=1e-12)
    assert found == realised_variance(bars, Estimator.YANG_ZHANG)


def test_close_to_close_is_that_of_wickra(oracle, bars: Bars):
    """Theirs is the root of the sum of squares."""
    theirs = list(oracle("wickra").RealizedVolatility(COUNT).batch(bars.close.tolist()))[-1] ** 2 / COUNT
    assert close_to_close(bars.close) == pytest.approx(theirs, rel=1e-9)
    assert close_to_close(bars.close) == realised_variance(bars, Estimator.CLOSE_TO_CLOSE)
