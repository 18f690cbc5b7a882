"""How sure a Sharpe ratio is, one tried or the best of many, against skfolio and holdout."""

import numpy as np
import pytest

from domain.probabilistic_sharpe import estimate_sharpe, probabilistic_sharpe
from strategy_plane.validation.deflated_sharpe import TrialStatistics, deflated_sharpe, expected_maximum_sharpe
from strategy_plane.validation.probabilistic_sharpe import minimum_track_record

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=[1, 2, 3])
def returns(request: pytest.FixtureRequest) -> np.ndarray:
    """Skewed returns with fat tails."""
    generator = np.random.default_rng(request.param)
    return 0.01 * (generator.standard_t(4, 300) - 0.4 * generator.gamma(1.0, size=300)) + 0.0085


@pytest.mark.parametrize("benchmark", [0.0, 0.05, -0.1])
def test_the_probabilistic_sharpe_ratio_is_that_of_skfolio(oracle, returns: np.ndarray, benchmark: float):
    theirs = oracle("skfolio.measures").probabilistic_sharpe_ratio
    expected = theirs(returns, benchmark_sharpe_ratio=benchmark, risk_free_rate=1e-4)
    assert probabilistic_sharpe(estimate_sharpe(returns, 1e-4), benchmark) == pytest.approx(float(expected))


@pytest.mark.parametrize("count", [1, 2, 10, 100, 5000])
def test_what_luck_finds_is_that_of_skfolio(oracle, count: int):
    theirs = oracle("skfolio.measures").expected_max_sharpe_ratio
    assert expected_maximum_sharpe(TrialStatistics(count, 0.02**2)) == pytest.approx(float(theirs(count, 0.02)))


@pytest.mark.parametrize("count", [1, 2, 40])
def test_the_deflated_sharpe_ratio_is_that_of_skfolio(oracle, returns: np.ndarray, count: int):
    tried = np.random.default_rng(count).normal(0.02, 0.04, count)
    expected = oracle("skfolio.measures").deflated_sharpe_ratio(returns, tried)
    assert deflated_sharpe(estimate_sharpe(returns), TrialStatistics.of(tried)) == pytest.approx(float(expected))


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_minimum_track_record_is_that_of_holdout(oracle, returns: np.ndarray, confidence: float):
    estimate = estimate_sharpe(returns)
    theirs = oracle("holdout").minimum_track_record_length(
        estimate.sharpe,
        benchmark=0.01,
        confidence=confidence,
        skewness=estimate.skewness,
        kurtosis=estimate.kurtosis,
    )
    assert minimum_track_record(estimate, 0.01, confidence) == pytest.approx(theirs, rel=1e-9)


def test_what_a_sharpe_ratio_is_judged_by_is_measured_as_holdout_does(oracle, returns: np.ndarray):
    found, theirs = estimate_sharpe(returns), oracle("holdout").estimate_sharpe(returns)
    assert (found.sharpe, found.observations) == pytest.approx((theirs.value, theirs.n))
    assert (found.skewness, found.kurtosis) == pytest.approx((theirs.skewness, theirs.kurtosis))
    assert found.dispersion == pytest.approx(theirs.standard_error("mertens") ** 2 * found.observations)
