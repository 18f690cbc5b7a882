"""Purged combinatorial splits and the paths they put together, against skfolio."""

import numpy as np
import pytest

from strategy_plane.validation.cross_validation import Separation, combinatorial_purged, path_count

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    ("observations", "groups", "tested", "horizon", "embargo"),
    [(120, 6, 2, 0, 0), (120, 6, 2, 4, 0), (120, 6, 2, 0, 5), (120, 6, 3, 3, 2), (200, 10, 2, 5, 4), (90, 3, 2, 2, 1)],
)
def test_what_is_trained_and_tested_on_is_that_of_skfolio(
    oracle, observations: int, groups: int, tested: int, horizon: int, embargo: int
):
    theirs = oracle("skfolio.model_selection").CombinatorialPurgedCV(
        n_folds=groups, n_test_folds=tested, purged_size=horizon, embargo_size=embargo
    )
    expected = list(theirs.split(np.zeros((observations, 1))))
    found = list(combinatorial_purged(observations, groups, tested, Separation(horizon, embargo)))
    assert len(found) == len(expected)
    for split, (train, test) in zip(found, expected, strict=True):
        assert split.train.tolist() == sorted(train)
        assert split.test.tolist() == sorted(place for part in test for place in part)
    assert path_count(groups, tested) == theirs.n_test_paths
