"""Combinatorially symmetric cross-validation by its slow definition, on noise and on skill."""

from itertools import combinations

import numpy as np
import pytest
from scipy.special import ndtri

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


def blocks_of_wins(wins: np.ndarray, length: int) -> np.ndarray:
    """Returns of one size up or down: in each block, trial by trial, as many up as ``wins``, shape (blocks, trials)."""
    places = np.arange(length)[None, :, None]
    return np.where(places < wins[:, None, :], 0.01, -0.01).reshape(-1, wins.shape[1])


def test_what_must_even_out_reverses_every_choice():
    """Bailey, Borwein, Lopez de Prado and Zhu (2017): when all trials earn the same over all of time, the best fit is
    the worst outside. With returns of one size the ratios outside are those inside with the other sign, so that every
    logit is that of rank 1, ``-ln N``, and the slope is -1.
    """
    trials, blocks, length = 7, 6, 4000
    lean = np.random.default_rng(11).integers(-300, 300, (blocks, trials))
    lean[-1] -= lean.sum(axis=0)
    found = overfitting(blocks_of_wins(length // 2 + lean, length), blocks)
    assert found.probability == 1.0
    assert found.logits.tolist() == pytest.approx([-np.log(trials)] * 20)
    assert found.outside.tolist() == pytest.approx((-found.inside).tolist())
    assert found.slope == pytest.approx(-1.0)


def test_who_leads_in_every_block_is_never_overfitted():
    """Rank N in every split: the logit is ``ln N``."""
    trials, blocks, length = 5, 8, 1000
    wins = 500 + np.random.default_rng(12).integers(-20, 20, (blocks, trials))
    wins[:, 3] += 60
    found = overfitting(blocks_of_wins(wins, length), blocks)
    assert found.logits.tolist() == pytest.approx([np.log(trials)] * 70)
    assert found.probability == 0.0


def rnorm(seed: int, count: int) -> np.ndarray:
    """Normal numbers as R draws them: its Mersenne twister, seeded by its congruential generator, and inversion."""
    words = []
    for _ in range(50 + 625):
        seed = (69069 * seed + 1) % 2**32
        words.append(seed)
    source = np.random.MT19937()
    source.state = {"bit_generator": "MT19937", "state": {"key": np.array(words[51:], np.uint64), "pos": 624}}
    uniform = source.random_raw(2 * count) / 2**32
    return ndtri((np.floor(2.0**27 * uniform[::2]) + uniform[1::2]) / 2.0**27)


def test_the_published_trials_of_rs_pbo():
    """The vignette of R's `pbo`: of a hundred centred trials of 2,400 days, seed 765, in eight blocks, the probability
    of overfitting is 1, as is that of a loss; the fit inside to that outside, which it calls slope, is -0.0030456 at
    zero, and its adjusted coefficient of determination 0.97.
    """
    drawn = rnorm(765, 240_000).reshape(100, 2400).T
    drawn *= 252.0**-0.5 / drawn.std(axis=0, ddof=1)
    found = overfitting(drawn - drawn.mean(axis=0) - 0.03 / 252.0, blocks=8)
    assert (found.probability, found.loss_probability) == (1.0, 1.0)
    slope, at_zero = np.polyfit(found.outside, found.inside, 1)
    assert at_zero == pytest.approx(-0.0030456, abs=5e-8)
    determined = slope * found.slope
    assert 1.0 - (1.0 - determined) * 69 / 68 == pytest.approx(0.97, abs=5e-3)


@pytest.mark.parametrize("trials", [2, 3, 4, 5])
def test_without_skill_every_rank_is_as_likely(trials: int):
    """Of N like trials the chosen one has each of the N ranks with the same chance outside, since halves know nothing
    of each other: the probability is that of a rank of at most (N + 1) / 2, and the mean logit is zero.
    """
    generator, draws = np.random.default_rng(trials), 2500
    found = [overfitting(generator.normal(0.0, 0.01, (24, trials)), 4) for _ in range(draws)]
    share = np.array([each.probability for each in found])
    truth = ((trials + 1) // 2) / trials
    assert share.mean() == pytest.approx(truth, abs=4.0 * share.std() / np.sqrt(draws))
    logits = np.array([each.logits.mean() for each in found])
    assert logits.mean() == pytest.approx(0.0, abs=4.0 * logits.std() / np.sqrt(draws))


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
