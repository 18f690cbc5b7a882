"""A Gaussian hidden Markov model: fitted by expectation maximisation, used by its forward filter alone."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strategy_plane.history import Matrix, Vector

Batch = NDArray[np.float64]
"""The leading axis are restarts, fitted side by side."""
MIN_VARIANCE = 1e-3
"""Added to the variances of standardised features, so that no state shrinks to a point."""
STICKY = 0.95
"""Probability of staying in a state that every restart begins with."""


@dataclass(frozen=True, slots=True)
class HiddenMarkov:
    """K states over d features (Hamilton 1989; Rabiner 1989).

    ``start`` (K,) are the probabilities of the states at the first observation, ``transition`` (K, K) from row to
    column, ``means`` (K, d) and ``covariances`` (K, d, d) those of the observations in each state.
    """

    start: Vector
    transition: Matrix
    means: Matrix
    covariances: NDArray[np.float64]

    def filtered(self, observations: Matrix) -> tuple[Matrix, float]:
        """P(state at t | observations up to t), shape (T, K), and the log-likelihood of all: no look ahead."""
        densities, offsets = _densities(observations, self.means[None], self.covariances[None])
        alphas, norms = _forward(self.start[None], self.transition[None], densities)
        return alphas[:, 0], float(np.log(norms).sum() + offsets.sum())

    def step(self, probabilities: Vector, observation: Vector) -> Vector:
        """The filtered probabilities after one more observation, shape (K,), from those before it."""
        densities, _ = _densities(observation[None], self.means[None], self.covariances[None])
        joint: Vector = (probabilities @ self.transition) * densities[0, 0]
        normalised: Vector = joint / joint.sum()
        return normalised

    def in_units(self, factors: Vector, shifts: Vector) -> "HiddenMarkov":
        """The same model of observations times ``factors`` plus ``shifts``, both of shape (d,)."""
        covariances = self.covariances * np.outer(factors, factors)
        return HiddenMarkov(self.start, self.transition, self.means * factors + shifts, covariances)

    def ordered(self, feature: int) -> "HiddenMarkov":
        """The same model with its states sorted by their mean of one feature, the smallest first."""
        order = np.argsort(self.means[:, feature], kind="stable")
        return HiddenMarkov(
            self.start[order], self.transition[np.ix_(order, order)], self.means[order], self.covariances[order]
        )


def fit(
    observations: Matrix,
    rng: np.random.Generator,
    states: int = 3,
    starts: int = 10,
    iterations: int = 60,
    tolerance: float = 1e-3,
    before: HiddenMarkov | None = None,
) -> tuple[HiddenMarkov, float]:
    """The most likely of several fits by expectation maximisation, and its log-likelihood.

    Baum, Petrie, Soules and Weiss (1970). ``observations`` of shape (T, d) should have variances of about one. Each of
    ``starts`` begins with other rows of them, drawn by ``rng``, as means, one more with the states of ``before`` if
    there was a fit, and all end after ``iterations`` or when every one gains less than ``tolerance``. The likelihood
    has many local maxima: one start is not enough, and without ``before`` a sample that hardly differs may end at
    another of them.

    Raises:
        ValueError: when observations are not finite or fewer than ten for each state.
    """
    if not np.isfinite(observations).all() or len(observations) < 10 * states:
        raise ValueError("a fit needs at least ten finite observations for each state")
    start, transition, means, covariances = _beginnings(observations, rng, states, starts, before)
    reached = np.full(len(start), -math.inf)
    best: tuple[float, HiddenMarkov] | None = None
    for _ in range(iterations):
        densities, offsets = _densities(observations, means, covariances)
        alphas, norms = _forward(start, transition, densities)
        likelihoods = np.log(norms).sum(axis=0) + offsets.sum(axis=0)
        leader = int(np.argmax(likelihoods))
        if best is None or likelihoods[leader] > best[0]:
            found = HiddenMarkov(start[leader], transition[leader], means[leader], covariances[leader])
            best = float(likelihoods[leader]), found
        if (likelihoods - reached < tolerance).all():
            break
        reached = likelihoods
        weights, moves = _expectations(transition, densities, alphas, norms)
        start, transition, means, covariances = _maximised(observations, weights, moves)
    assert best is not None  # noqa: S101 - there is at least one iteration
    return best[1], best[0]


def _beginnings(
    observations: Matrix, rng: np.random.Generator, states: int, starts: int, before: HiddenMarkov | None
) -> tuple[Batch, Batch, Batch, Batch]:
    count, width = observations.shape
    rows = np.stack([rng.choice(count, states, replace=False) for _ in range(starts)])
    overall = np.cov(observations, rowvar=False).reshape(width, width) + MIN_VARIANCE * np.eye(width)
    transition = np.full((states, states), (1.0 - STICKY) / max(1, states - 1))
    np.fill_diagonal(transition, STICKY if states > 1 else 1.0)
    transitions, means = np.tile(transition, (starts, 1, 1)), observations[rows]
    covariances = np.tile(overall, (starts, states, 1, 1))
    if before is not None:
        transitions = np.concatenate([before.transition[None], transitions])
        means = np.concatenate([before.means[None], means])
        covariances = np.concatenate([before.covariances[None], covariances])
    return np.full((len(means), states), 1.0 / states), transitions, means, covariances


def _densities(observations: Matrix, means: Batch, covariances: Batch) -> tuple[Batch, Batch]:
    """Densities of shape (T, S, K), each row divided by its largest, and the logs of those, shape (T, S)."""
    inverses = np.linalg.inv(covariances)
    logs = np.linalg.slogdet(covariances)[1] + means.shape[-1] * math.log(2.0 * math.pi)
    apart = observations[:, None, None, :] - means[None]
    squares = np.einsum("tski,skij,tskj->tsk", apart, inverses, apart, optimize=True)
    exponents = -0.5 * (squares + logs[None])
    largest = exponents.max(axis=2)
    return np.exp(exponents - largest[:, :, None]), largest


def _forward(start: Batch, transition: Batch, densities: Batch) -> tuple[Batch, Batch]:
    """Filtered probabilities (T, S, K) and the factor that normalised each, (T, S)."""
    alphas = np.empty_like(densities)
    norms = np.empty(densities.shape[:2])
    current = start * densities[0]
    for moment in range(len(densities)):
        if moment:
            current = np.matmul(current[:, None, :], transition)[:, 0, :] * densities[moment]
        norm = current.sum(axis=1)
        norms[moment] = norm
        current = current / norm[:, None]
        alphas[moment] = current
    return alphas, norms


def _expectations(transition: Batch, densities: Batch, alphas: Batch, norms: Batch) -> tuple[Batch, Batch]:
    """Probabilities of the states given everything, (T, S, K), and expected moves (S, K, K); for the fit alone."""
    ahead = np.empty_like(densities)  # density times backward probability over norm, of the next moment
    backward = np.ones_like(densities[0])
    weights = np.empty_like(densities)
    for moment in range(len(densities) - 1, -1, -1):
        weights[moment] = alphas[moment] * backward
        ahead[moment] = densities[moment] * backward / norms[moment][:, None]
        backward = np.matmul(transition, ahead[moment][:, :, None])[:, :, 0]
    moves = np.einsum("tsi,tsj->sij", alphas[:-1], ahead[1:], optimize=True) * transition
    return weights, moves


def _maximised(observations: Matrix, weights: Batch, moves: Batch) -> tuple[Batch, Batch, Batch, Batch]:
    totals = np.maximum(weights.sum(axis=0), 1e-10)
    means = np.einsum("tsk,ti->ski", weights, observations, optimize=True) / totals[:, :, None]
    products = np.einsum("ti,tj->tij", observations, observations)
    second = np.einsum("tsk,tij->skij", weights, products, optimize=True) / totals[:, :, None, None]
    covariances = second - means[:, :, :, None] * means[:, :, None, :]
    width = observations.shape[1]
    covariances = covariances + MIN_VARIANCE * np.eye(width)
    transition = (moves + 1e-10) / (moves + 1e-10).sum(axis=2, keepdims=True)
    start = weights[0] / weights[0].sum(axis=1, keepdims=True)
    return start, transition, means, covariances
