"""Regimes that are filtered forward against statsmodels, whose Markov-switching models share no code with ours."""

import numpy as np
import pytest

from strategy_plane.regime.hidden_markov import HiddenMarkov

pytestmark = pytest.mark.filterwarnings("ignore")
TRANSITION = np.array([[0.95, 0.04, 0.01], [0.03, 0.94, 0.03], [0.02, 0.08, 0.90]])
MEANS, VARIANCES = np.array([0.8, 0.1, -1.5]), np.array([0.3, 1.0, 4.0])


def drawn(count: int) -> np.ndarray:
    generator, state, found = np.random.default_rng(8), 1, []
    for _ in range(count):
        state = int(generator.choice(3, p=TRANSITION[state]))
        found.append(generator.normal(MEANS[state], VARIANCES[state] ** 0.5))
    return np.array(found)


def stationary(transition: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eig(transition.T)
    found = np.real(vectors[:, np.argmax(np.real(values))])
    return found / found.sum()


def test_filtered_probabilities_and_likelihood_are_those_of_statsmodels(oracle):
    """Theirs begins one step before the first observation, so both begin where a step changes nothing."""
    observed = drawn(400)
    switching = oracle("statsmodels.api").tsa.MarkovRegression(observed, 3, switching_variance=True)
    theirs = switching.filter(np.concatenate([TRANSITION[:, :2].T.ravel(), MEANS, VARIANCES]))
    model = HiddenMarkov(stationary(TRANSITION), TRANSITION, MEANS[:, None], VARIANCES[:, None, None])
    filtered, likelihood = model.filtered(observed[:, None])
    np.testing.assert_allclose(filtered, theirs.filtered_marginal_probabilities, atol=1e-10)
    assert likelihood == pytest.approx(theirs.llf, rel=1e-10)
    np.testing.assert_allclose(
        model.step(filtered[-2], observed[-1:]), theirs.filtered_marginal_probabilities[-1], atol=1e-10
    )
