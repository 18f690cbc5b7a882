"""Covariance estimates against independent programs, and repairs that say what they changed."""

import numpy as np
import pytest

from strategy_plane.optimizers.covariance import (
    SMALLEST_SHARE,
    NotACovariance,
    ewma_covariance,
    factor_form,
    ledoit_wolf_covariance,
    repaired,
    sample_covariance,
)


@pytest.fixture
def returns() -> np.ndarray:
    generator = np.random.default_rng(8)
    return generator.normal(0.0, 0.01, (60, 1)) + generator.normal(0.0, 0.02, (60, 12))


def test_sample_covariance_is_pandas_covariance(returns):
    pd = pytest.importorskip("pandas")
    np.testing.assert_allclose(sample_covariance(returns, 252.0), 252.0 * pd.DataFrame(returns).cov().to_numpy())


def test_ledoit_wolf_agrees_with_scikit_learn(returns):
    covariance = pytest.importorskip("sklearn.covariance")
    expected, share = covariance.ledoit_wolf(returns)
    found, found_share = ledoit_wolf_covariance(returns, 1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-16)
    assert found_share == pytest.approx(share)
    assert 0.0 < share < 1.0


def test_shrinking_few_observations_makes_them_usable():
    few = np.random.default_rng(1).normal(0.0, 0.01, (10, 30))
    assert np.linalg.matrix_rank(sample_covariance(few, 1.0)) == 9
    assert np.linalg.eigvalsh(ledoit_wolf_covariance(few, 1.0)[0])[0] > 0.0


def test_weights_halve_every_half_life(returns):
    impulse = np.zeros((21, 2))
    impulse[-1, 0] = impulse[-11, 1] = 1.0
    found = ewma_covariance(impulse, 252.0, half_life=10.0)
    assert found[0, 0] / found[1, 1] == pytest.approx(2.0)
    constant = ewma_covariance(np.full((50, 1), 0.01), 252.0, half_life=5.0)
    assert constant[0, 0] == pytest.approx(0.01**2 * 252.0)
    with pytest.raises(ValueError, match="half_life"):
        ewma_covariance(returns, 252.0, 0.0)


@pytest.mark.parametrize("estimate", [sample_covariance, ledoit_wolf_covariance, lambda r, y: ewma_covariance(r, y, 9)])
@pytest.mark.parametrize("bad", [np.full((5, 2), np.nan), np.zeros((1, 2)), np.zeros(4)])
def test_holes_and_single_periods_are_refused(estimate, bad):
    with pytest.raises(ValueError, match="returns must"):
        estimate(bad, 252.0)


def test_a_sound_matrix_is_left_alone(returns):
    covariance = sample_covariance(returns, 252.0)
    found = repaired(covariance)
    assert (found.clipped, found.share) == (0, 0.0)
    np.testing.assert_array_equal(found.covariance, covariance)


def test_a_repair_says_what_it_clipped(returns):
    values, vectors = np.linalg.eigh(sample_covariance(returns, 252.0))
    values[0] = -1e-3 * values[-1]
    found = repaired((vectors * values) @ vectors.T)
    assert found.clipped == 1
    assert found.share == pytest.approx((SMALLEST_SHARE + 1e-3) * values[-1] / np.abs(values).sum(), rel=1e-6)
    assert np.linalg.eigvalsh(found.covariance)[0] == pytest.approx(SMALLEST_SHARE * values[-1], rel=1e-3)


@pytest.mark.parametrize(
    ("matrix", "named"),
    [
        (np.diag([1.0, -0.5]), "would change"),
        (-np.identity(2), "no direction"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "finite"),
        (np.ones((2, 3)), "square"),
    ],
)
def test_what_is_no_covariance_is_refused(matrix, named):
    with pytest.raises(NotACovariance, match=named):
        repaired(matrix)


def test_the_factor_form_is_the_same_covariance(returns):
    covariance = sample_covariance(returns, 252.0)
    risk = factor_form(covariance)
    np.testing.assert_allclose(risk.covariance, covariance, atol=1e-12)
    assert (risk.specific > 0.0).all()
    few = factor_form(sample_covariance(returns[:5], 252.0))
    assert few.loadings.shape == (12, 4)
    one = factor_form(np.array([[0.04]]))
    assert one.variances.tolist() == pytest.approx([0.04])
    np.testing.assert_allclose(factor_form(0.04 * np.identity(3)).covariance, 0.04 * np.identity(3), atol=1e-10)
