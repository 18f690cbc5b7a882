"""Purged, combinatorial and walk-forward splits against those of skfolio."""

import numpy as np
import pytest

from strategy_plane.validation.cross_validation import Separation, combinatorial_purged
from strategy_plane.validation.walk_forward import walk_forward

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(("groups", "tested"), [(6, 2), (5, 4), (8, 3)])
@pytest.mark.parametrize(("purged", "embargo"), [(0, 0), (3, 0), (4, 5)])
def test_combinations_train_and_test_on_what_skfolio_says(oracle, groups: int, tested: int, purged: int, embargo: int):
    observations = groups * 20
    theirs = oracle("skfolio.model_selection").CombinatorialPurgedCV(groups, tested, purged, embargo)
    expected = {}
    for train, tests in theirs.split(np.zeros((observations, 1))):
        chosen = np.sort(np.concatenate(tests))
        expected[tuple(chosen.tolist())] = train.tolist()
    found = combinatorial_purged(observations, groups, tested, Separation(purged, embargo))
    assert {tuple(split.test.tolist()): split.train.tolist() for split in found} == expected


@pytest.mark.parametrize("anchored", [False, True])
@pytest.mark.parametrize("purged", [0, 4])
def test_windows_are_those_of_skfolio(oracle, anchored: bool, purged: int):
    theirs = oracle("skfolio.model_selection").WalkForward(
        test_size=10, train_size=40, expand_train=anchored, purged_size=purged, reduce_test=True
    )
    expected = [(train.tolist(), test.tolist()) for train, test in theirs.split(np.zeros((107, 1)))]
    found = walk_forward(107, 40, 10, Separation(purged), anchored=anchored)
    assert [(split.train.tolist(), split.test.tolist()) for split in found] == expected
