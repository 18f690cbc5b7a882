"""How much each signal is trusted, and what the scores together say about returns."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low

import numpy as np

from strategy_plane.ensemble.information import Outcome
from strategy_plane.history import Matrix, Vector
from strategy_plane.signals.port import Scores
from strategy_plane.signals.standardise import LIMIT

_HALF_LIVES = 10
"""Outcomes older than this many half-lives count less than a thousandth and are left out."""

_FEW = 3.0
"""Moments, by their weight, that say too little of the usual size of scores to be taken at their word."""

_ASTRAY = 3.0
"""Multiples of the limit of scores beyond which a moment says no more about their usual size."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How matured ICs become weights.

    Older outcomes count half as much every ``half_life`` outcomes. The mean is shrunk towards ``prior_ic`` as if
    ``prior_weight`` independent outcomes had shown it, and is at least ``floor``. With ``orthogonalise`` signals that
    say the same share what it is worth.
    """

    half_life: float = 52.0
    prior_ic: float = 0.02
    prior_weight: float = 12.0
    floor: float = 0.0
    orthogonalise: bool = True


def shrunk_ic(outcomes: Sequence[Outcome], trust: Trust, overlap: float) -> float:
    """The IC to expect of a signal: a decayed mean of matured ICs, shrunk and floored.

    ``(m n + p k) / (n + k)`` with ``m`` the decayed mean, ``k`` = ``prior_weight`` for ``p`` = ``prior_ic`` and ``n``
    the effective number of independent outcomes, ``(sum w)² / sum w²`` (Kish 1965) over ``overlap``, the number of
    labels that any moment lies in.
    """
    recent = outcomes[-math.ceil(_HALF_LIVES * trust.half_life) :]
    ics = np.array([outcome.ic for outcome in recent])
    known = np.isfinite(ics)
    decay = np.power(0.5, np.arange(len(ics) - 1, -1, -1) / trust.half_life)[known]
    if not known.any():
        return max(trust.prior_ic, trust.floor)
    mean = float(decay @ ics[known] / decay.sum())
    count = float(decay.sum() ** 2 / (decay @ decay)) / max(1.0, overlap)
    shrunk = (mean * count + trust.prior_ic * trust.prior_weight) / (count + trust.prior_weight)
    return max(shrunk, trust.floor)


class ScoreScale:
    """How large the scores of each signal usually are, and the scores divided by that.

    IC times score is a forecast of scores of variance one (Grinold 1994; Grinold and Kahn 2000, chapter 11), but a mean
    of several parts is smaller, and so is what fades. The size is a root mean square about zero over the symbols that
    are scored and the moments so far, the newest included, of which one counts half as much every ``half_life``
    moments at which the signal spoke. The first cross-section alone is its own measure. What fades within a signal
    still does, relative to its usual size. What is then beyond ``limit`` is cut to it, and a moment larger than three
    times that, of the first one's median score, counts as so large: one score that went astray silences no signal.
    While moments are few, those before count as no larger than that of the newest one's median score, either: a first
    one of nothing but wild scores is found out by the next.
    """

    def __init__(self, names: Sequence[str], half_life: float, limit: float = LIMIT) -> None:
        self._keep = math.pow(0.5, 1.0 / half_life)
        self._limit = limit
        self._squares = dict.fromkeys(names, 0.0)
        self._totals = dict.fromkeys(names, 0.0)

    def add(self, scores: Mapping[str, Scores]) -> None:
        """Take the scores of one moment by signal; a signal that scores all alike zero says nothing of its size."""
        for name, of_signal in scores.items():
            squares = math.fsum(score * score for score in of_signal.values())
            if squares > 0.0:
                most = self._most(self._size_before(name, of_signal))
                self._squares[name] = self._keep * self._squares[name] + min(squares / len(of_signal), most)
                self._totals[name] = self._keep * self._totals[name] + 1.0

    def standard(self, scores: Mapping[str, Scores]) -> dict[str, Scores]:
        """The scores of a moment by signal, as multiples of the signal's usual size."""
        return {name: self._divided(of_signal, self._size(name)) for name, of_signal in scores.items()}

    def _size_before(self, name: str, of_signal: Scores) -> float:
        """What ``of_signal`` is held against; while moments are few, those before are held against it as well."""
        total = self._totals[name]
        if total < _FEW:
            median = median_low(abs(score) for score in of_signal.values() if score)
            if not total:
                return median
            self._squares[name] = min(self._squares[name], total * self._most(median))
        return self._size(name)

    def _most(self, size: float) -> float:
        return (_ASTRAY * self._limit * size) ** 2

    def _size(self, name: str) -> float:
        squares = self._squares[name]
        return math.sqrt(squares / self._totals[name]) if squares > 0.0 else 1.0

    def _divided(self, scores: Scores, size: float) -> Scores:
        return {symbol: max(-self._limit, min(self._limit, score / size)) for symbol, score in scores.items()}


class ScoreCorrelation:
    """Correlation of the signals' scores over past cross-sections, decayed and shrunk towards independence.

    Cross-products about zero, over the symbols of each moment, with absent scores as zero: what a signal does not
    say agrees with nothing. It is shrunk as ICs are: two signals count for ``sqrt(n / (n + k))`` each, with ``k`` =
    ``prior_weight`` and ``n`` the effective number of moments at which the signal spoke, ``(sum w)² / sum w²`` (Kish
    1965) over ``overlap``, the number of moments of scoring that say nearly the same. The identity has at least the
    weight ``shrinkage``. Shape (k, k) in the order of ``names``.
    """

    def __init__(self, names: Sequence[str], trust: Trust, overlap: float = 1.0, shrinkage: float = 0.2) -> None:
        self._names = tuple(names)
        self._keep = math.pow(0.5, 1.0 / trust.half_life)
        self._prior_weight = trust.prior_weight * max(1.0, overlap)
        self._known = 1.0 - shrinkage
        self._products: Matrix = np.zeros((len(self._names), len(self._names)))
        self._total: Vector = np.zeros(len(self._names))
        self._squares: Vector = np.zeros(len(self._names))

    def add(self, scores: Mapping[str, Scores]) -> None:
        """Take the scores of one moment by signal."""
        symbols = sorted({symbol for of_signal in scores.values() for symbol in of_signal})
        if not symbols:
            return
        table = np.array([[scores.get(name, {}).get(symbol, 0.0) for name in self._names] for symbol in symbols])
        spoke = np.array([bool(scores.get(name)) for name in self._names], np.float64)
        self._products = self._keep * self._products + table.T @ table
        self._total = self._keep * self._total + spoke
        self._squares = self._keep**2 * self._squares + spoke

    def matrix(self) -> Matrix:
        """The correlations so far; identity where a signal has said nothing yet."""
        deviations = np.sqrt(np.diag(self._products))
        outer = np.outer(deviations, deviations)
        correlations = np.divide(self._products, outer, out=np.eye(len(self._names)), where=outer > 0.0)
        counts = np.divide(self._total**2, self._squares, out=np.zeros_like(self._total), where=self._squares > 0.0)
        trusted = np.divide(counts, counts + self._prior_weight, out=np.zeros_like(counts), where=counts > 0.0)
        # by signal and not by pair: a product with what is no covariance could have negative eigenvalues
        factors = np.sqrt(np.minimum(trusted, self._known))
        shrunk: Matrix = np.outer(factors, factors) * correlations
        np.fill_diagonal(shrunk, 1.0)
        return shrunk


def signal_weights(ics: Vector, correlation: Matrix, trust: Trust) -> Vector:
    """Weights of the scores, of variance one (`ScoreScale`), in the forecast: shape (k,), in units of IC.

    Without orthogonalisation each signal has its own IC, as if the others were silent. With it the scores are
    made uncorrelated by the symmetric square root ``C^-1/2`` (Löwdin 1950: the uncorrelated scores closest to
    the given ones), their ICs ``C^-1/2 ic`` are floored, and the weights carried back: ``C^-1 ic`` where nothing is
    floored, the best linear forecast (Grinold and Kahn 2000, chapter 11). What is carried back is floored, too, so
    that a signal is never held against what it says because another one says the same and is trusted more.
    """
    if not trust.orthogonalise:
        return ics
    values, vectors = np.linalg.eigh(correlation)
    root = (vectors / np.sqrt(values)) @ vectors.T
    weights: Vector = np.maximum(root @ np.maximum(root @ ics, trust.floor), trust.floor)
    return weights


def combined(scores: Mapping[str, Scores], weights: Mapping[str, float]) -> dict[str, float]:
    """``sum of weight * score`` by symbol, in units of IC; a signal that does not score a symbol says nothing of it."""
    symbols = sorted({symbol for of_signal in scores.values() for symbol in of_signal})
    return {
        symbol: math.fsum(
            weights.get(name, 0.0) * of_signal[symbol] for name, of_signal in scores.items() if symbol in of_signal
        )
        for symbol in symbols
    }


def persistence(half_life: float, horizon: int, holding: int) -> float:
    """How much faster a score pays over ``holding`` moments than over ``horizon`` ones; 1 when they are the same.

    What a score says fades by half in ``half_life`` moments, so over t of them it pays ``1 - 2^(-t / half_life)``, and
    per moment that over t (Grinold and Kahn 2000, chapter 13: the half-life of information). ICs are of the horizon.

    Raises:
        ValueError: when half_life is not positive and finite.
    """
    if not 0.0 < half_life < math.inf:
        raise ValueError("the half_life of a signal must be positive and finite")

    def rate(moments: int) -> float:
        return -math.expm1(-math.log(2.0) * moments / half_life) / moments

    return rate(holding) / rate(horizon)


def grinold(signal: Vector, volatility: Vector, horizon: int, periods_per_year: float) -> Vector:
    """Expected **annual simple excess returns** from IC times score: ``alpha = IC * sigma * z`` (Grinold 1994).

    ``signal`` is ``IC * z``, shape (n,), with the IC of returns over ``horizon`` moments; ``volatility`` is annual.
    The rule holds for the volatility of the horizon, ``sigma sqrt(h / p)``, and gives the return of the horizon;
    times ``p / h`` horizons a year that is ``IC z sigma sqrt(p / h)``.
    """
    returns: Vector = signal * volatility * math.sqrt(periods_per_year / horizon)
    return returns
