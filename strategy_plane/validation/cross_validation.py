"""Train and test periods that share no information, in order and in every combination."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Split:
    """Places of the observations to fit on and to test on, ascending; ``groups`` are the tested ones."""

    train: Places
    test: Places
    groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Separation:
    """What keeps a fit from knowing its test.

    The label of observation ``i`` is known only at ``i + horizon``. An observation is purged from training when
    its label shares a period with that of any tested one, and for ``embargo`` observations after those
    (Lopez de Prado 2018, chapter 7).
    """

    horizon: int
    embargo: int = 0

    def __post_init__(self) -> None:
        if self.horizon < 0 or self.embargo < 0:
            raise ValueError("horizon and embargo count observations and cannot be negative")


def purged_k_fold(observations: int, folds: int, separation: Separation) -> Iterator[Split]:
    """Test each of ``folds`` contiguous groups once, training on all that is separate (Lopez de Prado 2018, chapter 7).

    Raises:
        ValueError: when there are fewer than 2 folds or more than observations.
    """
    return combinatorial_purged(observations, folds, 1, separation)


def combinatorial_purged(observations: int, groups: int, tested: int, separation: Separation) -> Iterator[Split]:
    """Test every choice of ``tested`` out of ``groups`` contiguous groups (Lopez de Prado 2018, chapter 12).

    Raises:
        ValueError: when there are fewer than 2 groups, more than observations, or not 1 to ``groups - 1`` tested.
    """
    if not 2 <= groups <= observations or not 1 <= tested < groups:
        raise ValueError("groups must be 2 to the number of observations, and 1 to groups - 1 of them tested")
    return _splits(np.array_split(np.arange(observations), groups), tested, separation)


def _splits(parts: Sequence[Places], tested: int, separation: Separation) -> Iterator[Split]:
    observations = int(parts[-1][-1]) + 1
    for chosen in combinations(range(len(parts)), tested):
        allowed = np.ones(observations, np.bool_)
        for group in chosen:
            first = int(parts[group][0]) - separation.horizon
            last = int(parts[group][-1]) + separation.horizon + separation.embargo
            allowed[max(0, first) : last + 1] = False
        yield Split(np.flatnonzero(allowed), np.concatenate([parts[group] for group in chosen]), chosen)


def path_count(groups: int, tested: int) -> int:
    """Complete histories that the splits put together, one for each time a group is tested (Lopez de Prado 2018)."""
    return comb(groups - 1, tested - 1)


def backtest_paths(groups: int, tested: int) -> NDArray[np.intp]:
    """Which split provides each group of each path, shape (paths, groups) (Lopez de Prado 2018, chapter 12).

    Paths take the splits in the order of `combinatorial_purged`, so every tested group of every split is used
    exactly once.
    """
    paths = np.empty((path_count(groups, tested), groups), np.intp)
    used = [0] * groups
    for number, chosen in enumerate(combinations(range(groups), tested)):
        for group in chosen:
            paths[used[group], group] = number
            used[group] += 1
    return paths
