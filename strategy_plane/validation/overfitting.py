"""Probability of backtest overfitting by combinatorially symmetric cross-validation."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Overfitting:
    """What choosing the best trial in one half of time is worth in the other.

    ``probability`` is the share of splits in which the chosen trial does no better than the median outside,
    ``loss_probability`` the share in which it loses money. ``logits`` (one per split) are the log odds of its
    rank outside, ``inside`` and ``outside`` its Sharpe ratios per period; ``slope`` regresses the latter on the
    former, and below zero says that a better fit did worse.
    """

    probability: float
    loss_probability: float
    slope: float
    logits: Vector
    inside: Vector
    outside: Vector


def overfitting(returns: Matrix, blocks: int = 16) -> Overfitting:
    """Hold every choice of half the ``blocks`` of time against the other half.

    ``returns`` has shape (periods, trials), simple returns per period of each trial over the same moments. Blocks
    are contiguous and differ by at most one period, so no period is left out; trials are compared by Sharpe
    ratio, zero for one that did nothing (Bailey, Borwein, Lopez de Prado and Zhu 2017).

    Raises:
        ValueError: when ``blocks`` is odd or too many, a return is not finite, or there are not two trials.
    """
    _check(returns, blocks)
    periods, trials = returns.shape
    parts = np.array_split(np.arange(periods), blocks)
    counts = np.array([len(part) for part in parts], np.float64)
    sums = np.stack([returns[part].sum(axis=0) for part in parts])
    squares = np.stack([(returns[part] ** 2).sum(axis=0) for part in parts])
    chosen = np.zeros((_splits(blocks), blocks))
    for row, blocks_inside in enumerate(combinations(range(blocks), blocks // 2)):
        chosen[row, blocks_inside] = 1.0
    inside = _sharpes(chosen, counts, sums, squares)
    outside = _sharpes(1.0 - chosen, counts, sums, squares)
    best = inside.argmax(axis=1)[:, None]
    reached = np.take_along_axis(outside, best, axis=1)
    ranks = (outside < reached).sum(axis=1) + ((outside == reached).sum(axis=1) + 1) / 2.0
    odds = ranks / (trials + 1)
    logits = np.log(odds / (1.0 - odds))
    fitted, found = np.take_along_axis(inside, best, axis=1)[:, 0], reached[:, 0]
    return Overfitting(
        probability=float(np.mean(logits <= 0.0)),
        loss_probability=float(np.mean(found < 0.0)),
        slope=_slope(fitted, found),
        logits=logits,
        inside=fitted,
        outside=found,
    )


def _check(returns: Matrix, blocks: int) -> None:
    if returns.ndim != 2 or returns.shape[1] < 2:
        raise ValueError("returns must have one column for each of at least two trials")
    if blocks < 2 or blocks % 2 or blocks > 20:
        raise ValueError("blocks must be even, from 2 to 20: their halves are combined in every way")
    if len(returns) < 2 * blocks:
        raise ValueError(f"{len(returns)} periods are too few for {blocks} blocks; two periods each at least")
    if not np.isfinite(returns).all():
        raise ValueError("returns must be finite")


def _splits(blocks: int) -> int:
    return sum(1 for _ in combinations(range(blocks), blocks // 2))


def _sharpes(chosen: Matrix, counts: Vector, sums: Matrix, squares: Matrix) -> Matrix:
    """Sharpe ratio per period of each trial over the chosen blocks of each split: shape (splits, trials)."""
    periods = (chosen @ counts)[:, None]
    means = chosen @ sums / periods
    variances = (chosen @ squares - periods * means**2) / (periods - 1.0)
    moved = variances > 1e-14 * (chosen @ squares) / periods
    ratios: Matrix = np.divide(means, np.sqrt(np.where(moved, variances, 1.0)), where=moved, out=np.zeros_like(means))
    return ratios


def _slope(inside: Vector, outside: Vector) -> float:
    centred = inside - inside.mean()
    spread = float(centred @ centred)
    return float(centred @ outside / spread) if spread > 0.0 else float("nan")
