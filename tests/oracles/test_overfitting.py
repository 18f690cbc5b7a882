"""The probability of backtest overfitting and the test of superior ability, against holdout and purgedcv."""

import numpy as np
import pytest

from strategy_plane.validation.overfitting import overfitting
from strategy_plane.validation.predictive_ability import superior_predictive_ability

pytestmark = pytest.mark.filterwarnings("ignore")


def returns(seed: int, periods: int, trials: int, skill: float = 0.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    found = generator.normal(0.0, 0.01, (periods, 1)) + generator.normal(0.0, 0.01, (periods, trials))
    found[:, 0] += skill
    return found


@pytest.mark.parametrize(("periods", "trials", "blocks"), [(160, 10, 8), (167, 7, 8), (120, 2, 6), (300, 25, 12)])
@pytest.mark.parametrize("skill", [0.0, 0.002])
def test_overfitting_is_that_of_holdout_and_purgedcv(oracle, periods: int, trials: int, blocks: int, skill: float):
    """Blocks of unequal length included. Each combination: its ratios inside and outside, and the logit of its rank."""
    table = returns(blocks + trials, periods, trials, skill)
    found = overfitting(table, blocks)
    first = oracle("holdout").probability_of_backtest_overfitting(table, n_blocks=blocks)
    np.testing.assert_allclose(found.logits, first.logits)
    np.testing.assert_allclose(found.inside, first.in_sample)
    np.testing.assert_allclose(found.outside, first.out_of_sample)
    assert found.slope == pytest.approx(first.degradation[0])
    assert (found.probability, found.loss_probability) == (first.pbo, first.probability_of_loss)
    second = oracle("purgedcv").probability_of_backtest_overfitting(table.T, n_splits=blocks)
    assert sorted(found.logits) == pytest.approx(sorted(second.logits))  # theirs choose what is outside, in that order
    assert found.slope == pytest.approx(second.slope)


def test_a_rank_in_the_middle_counts_as_overfitted_unlike_in_purgedcv(oracle):
    """The authors' probability is that of a logit from minus infinity to zero, so zero is of it, as in holdout and in
    R's pbo; purgedcv leaves it out, which only an odd number of trials can show.
    """
    table = returns(4, 160, 3)
    found = overfitting(table, 8)
    theirs = oracle("purgedcv").probability_of_backtest_overfitting(table.T, n_splits=8)
    middle = float(np.mean(np.abs(found.logits) < 1e-12))
    assert middle > 0.0
    assert found.probability == pytest.approx(theirs.pbo + middle)


@pytest.mark.parametrize("skill", [0.0, 0.0008, 0.0015])
def test_superior_ability_is_as_likely_as_holdout_says(oracle, skill: float):
    """Both resample, from other random numbers, and divide by spreads, which arch estimates by a kernel and holdout by
    the bootstrap itself.
    """
    generator = np.random.default_rng(12)
    table = generator.normal(0.0, 0.01, (400, 8))
    table[:, 2] += skill
    benchmark = generator.normal(0.0, 0.002, 400)
    found = superior_predictive_ability(table, benchmark, repetitions=5000, block=5, seed=3)
    theirs = oracle("holdout").superior_predictive_ability(
        table - benchmark[:, None], n_bootstrap=5000, block_length=5.0, seed=4
    )
    assert found.consistent == pytest.approx(theirs.consistent, abs=0.05)
    assert found.upper == pytest.approx(theirs.upper, abs=0.05)
    assert found.lower == pytest.approx(theirs.lower, abs=0.05)
