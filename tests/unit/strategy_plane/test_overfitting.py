"""Combinatorially symmetric cross-validation by its slow definition, on noise and on skill."""

from itertools import combinations

import numpy as np
import pytest

from strategy_plane.validation.overfitting import overfitting


def slow(returns: np.ndarray, blocks: int) -> list[float]:
    """Logits by the words of the paper, one split at a time."""
    parts = np.array_split(np.arange(len(returns)), blocks)
    logits = []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[b] for b in chosen])
        outside = np.concatenate([parts[b] for b in range(blocks) if b not in chosen])
        fitted = returns[inside].mean(axis=0) / returns[inside].std(axis=0, ddof=1)
        found = returns[outside].mean(axis=0) / returns[outside].std(axis=0, ddof=1)
        best = int(np.argmax(fitted))
        rank = 1 + sorted(found).index(found[best])
        odds = rank / (returns.shape[1] + 1)
        logits.append(float(np.log(odds / (1 - odds))))
    return logits


@pytest.mark.parametrize("periods", [120, 127])
def test_the_slow_definition_agrees_even_when_blocks_differ_in_length(periods: int):
    returns = np.random.default_rng(1).normal(0.0, 0.01, (periods, 9))
    found = overfitting(returns, blocks=8)
    assert found.logits.tolist() == pytest.approx(slow(returns, 8))
    assert found.probability == np.mean(np.array(slow(returns, 8)) <= 0.0)


def test_choosing_among_noise_is_worth_nothing_and_skill_survives():
    generator = np.random.default_rng(5)
    chances = [overfitting(generator.normal(0.0, 0.01, (256, 20)), 8).probability for _ in range(40)]
    assert 0.4 < np.mean(chances) < 0.65
    skilled = generator.normal(0.0, 0.01, (256, 20))
    skilled[:, 7] += 0.005
    found = overfitting(skilled, 8)
    assert found.probability == 0.0
    assert found.loss_probability == 0.0


def test_a_fit_that_reverses_is_seen():
    """A trial that gains in one half of time only loses in the other, so a better fit does worse."""
    generator = np.random.default_rng(6)
    sides = np.where(np.arange(200) < 100, 1.0, -1.0)[:, None] * np.linspace(-1, 1, 10)[None, :] * 0.005
    found = overfitting(generator.normal(0.0, 0.005, (200, 10)) + sides, 10)
    assert found.slope < -0.5
    assert found.loss_probability > 0.5


def test_a_trial_that_never_traded_is_worth_zero():
    returns = np.random.default_rng(7).normal(-0.01, 0.001, (64, 3))
    returns[:, 1] = 0.0
    found = overfitting(returns, 4)
    assert found.probability == 0.0
    assert set(found.outside) == {0.0}


@pytest.mark.parametrize(
    ("returns", "blocks", "named"),
    [
        (np.zeros((100, 1)), 4, "two trials"),
        (np.zeros((100, 3)), 5, "even"),
        (np.zeros((100, 3)), 22, "from 2 to 20"),
        (np.zeros((10, 3)), 8, "too few"),
        (np.full((100, 3), np.nan), 4, "finite"),
    ],
)
def test_what_cannot_be_judged_is_refused(returns: np.ndarray, blocks: int, named: str):
    with pytest.raises(ValueError, match=named):
        overfitting(returns, blocks)
