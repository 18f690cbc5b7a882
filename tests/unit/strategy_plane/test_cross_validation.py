"""Train and test never share information, every combination is there, and walking forward never looks ahead."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy_plane.validation.cross_validation import (
    Separation,
    backtest_paths,
    combinatorial_purged,
    path_count,
    purged_k_fold,
)
from strategy_plane.validation.walk_forward import select_and_hold, walk_forward


@settings(max_examples=60, deadline=None)
@given(
    observations=st.integers(20, 80),
    groups=st.integers(2, 6),
    data=st.data(),
    horizon=st.integers(0, 6),
    embargo=st.integers(0, 4),
)
def test_labels_of_train_and_test_share_no_period_and_nothing_else_is_thrown_away(
    observations: int, groups: int, data: st.DataObject, horizon: int, embargo: int
):
    tested = data.draw(st.integers(1, groups - 1))
    splits = list(combinatorial_purged(observations, groups, tested, Separation(horizon, embargo)))
    assert [split.groups for split in splits] == list(combinations(range(groups), tested))
    for split in splits:
        known = {period for place in split.test for period in range(place, place + horizon + 1)}
        after = {place + horizon + step for place in split.test for step in range(1, embargo + 1)}
        kept = [
            place
            for place in range(observations)
            if not known & set(range(place, place + horizon + 1)) and place not in after
        ]
        assert split.train.tolist() == kept


def test_each_observation_is_tested_once_in_k_folds():
    splits = list(purged_k_fold(23, 5, Separation(2, 1)))
    assert sorted(place for split in splits for place in split.test) == list(range(23))
    assert splits[1].train.tolist() == [0, 1, 2, *range(13, 23)]  # tested 5 to 9: purged 3 to 11, embargo 12


def test_paths_use_every_tested_group_of_every_split_once():
    assert path_count(6, 2) == 5
    paths = backtest_paths(6, 2)
    splits = list(combinations(range(6), 2))
    used = [(int(split), group) for path in paths for group, split in enumerate(path)]
    assert sorted(used) == sorted((number, group) for number, chosen in enumerate(splits) for group in chosen)


def test_the_published_paths_of_six_groups():
    """Lopez de Prado (2018), chapter 12: fifteen splits, five paths, and the splits of the first two of them."""
    assert len(list(combinatorial_purged(60, 6, 2, Separation(0)))) == 15
    paths = backtest_paths(6, 2) + 1  # he counts from one
    assert paths[:2].tolist() == [[1, 1, 2, 3, 4, 5], [2, 6, 6, 7, 8, 9]]


@pytest.mark.parametrize("folds", [1, 11])
def test_impossible_folds_are_refused(folds: int):
    with pytest.raises(ValueError, match="groups"):
        purged_k_fold(10, folds, Separation(0))
    with pytest.raises(ValueError, match="horizon"):
        Separation(-1)


@pytest.mark.parametrize("anchored", [True, False])
def test_windows_cover_the_rest_once_and_train_on_known_labels_only(anchored: bool):
    splits = list(walk_forward(50, 20, 7, Separation(3, 2), anchored=anchored))
    assert np.concatenate([split.test for split in splits]).tolist() == list(range(25, 50))
    for split in splits:
        assert split.train[-1] + 3 + 2 < split.test[0]
        assert split.train[0] == 0 or not anchored
        assert len(split.train) == 20 or anchored


def test_walking_forward_holds_the_best_of_the_past():
    generator = np.random.default_rng(0)
    returns = generator.normal(0.0, 0.01, (120, 4))
    returns[:60, 2] += 0.02
    returns[60:, 1] += 0.02
    walk = select_and_hold(returns, 30, 15)
    assert walk.chosen[:3] == (2, 2, 2)
    assert walk.chosen[4:] == (1, 1)
    assert len(walk.returns) == 90
    np.testing.assert_array_equal(walk.returns[:15], returns[30:45, walk.chosen[0]])


def test_the_future_changes_no_choice():
    returns = np.random.default_rng(1).normal(0.0, 0.01, (200, 6))
    scrambled = returns.copy()
    scrambled[140:] = scrambled[140:][::-1]
    plain, other = select_and_hold(returns, 40, 20), select_and_hold(scrambled, 40, 20)
    assert plain.chosen[:6] == other.chosen[:6]
    np.testing.assert_array_equal(plain.returns[:100], other.returns[:100])


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="less than all"):
        walk_forward(20, 18, 2, Separation(2))
    with pytest.raises(ValueError, match="finite"):
        select_and_hold(np.full((20, 2), np.nan), 5, 5)
