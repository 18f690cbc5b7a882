"""Choose on the past, earn in the next window, and go on: what selecting would have earned."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strategy_plane.validation.cross_validation import Separation, Split

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Walk:
    """``returns`` earned outside, end to end, shape (tested periods,), and the trial ``chosen`` for each window."""

    returns: Vector
    chosen: tuple[int, ...]


def walk_forward(
    observations: int, train: int, test: int, separation: Separation, *, anchored: bool = False
) -> Iterator[Split]:
    """Windows of ``test`` observations, each after ``train`` ones whose labels are known before it begins (Pardo 2008).

    An embargo widens the distance. With ``anchored`` all that came before is trained on. The last window may be
    shorter; ``groups`` is its number.

    Raises:
        ValueError: when train and test do not fit into the observations.
    """
    distance = separation.horizon + separation.embargo
    if train < 1 or test < 1 or train + distance >= observations:
        raise ValueError("train and test must be at least 1, and train with its distance less than all observations")
    return _windows(observations, train, test, distance, anchored)


def _windows(observations: int, train: int, test: int, distance: int, anchored: bool) -> Iterator[Split]:
    for number, begin in enumerate(range(train + distance, observations, test)):
        known = begin - distance
        fitted = np.arange(0 if anchored else known - train, known)
        yield Split(fitted, np.arange(begin, min(begin + test, observations)), (number,))


def select_and_hold(returns: Matrix, train: int, test: int, *, anchored: bool = False) -> Walk:
    """Hold in each window the trial with the best Sharpe ratio in the training window before it (Pardo 2008).

    ``returns`` has shape (periods, trials), simple returns per period; ties go to the first trial.

    Raises:
        ValueError: when the windows do not fit or a return is not finite.
    """
    if returns.ndim != 2 or not np.isfinite(returns).all():
        raise ValueError("returns must be finite, of shape (periods, trials)")
    chosen, earned = [], []
    for split in walk_forward(len(returns), train, test, Separation(0), anchored=anchored):
        known = returns[split.train]
        spread = known.std(axis=0)
        ratios = np.divide(known.mean(axis=0), spread, where=spread > 0.0, out=np.zeros_like(spread))
        best = int(ratios.argmax())
        chosen.append(best)
        earned.append(returns[split.test, best])
    return Walk(np.concatenate(earned), tuple(chosen))
