"""Purged, combinatorial and walk-forward splits, and what choosing in them earns, against skfolio and holdout."""

import numpy as np
import pytest

from strategy_plane.validation.cross_validation import (
    Separation,
    backtest_paths,
    combinatorial_purged,
    path_count,
    purged_k_fold,
)
from strategy_plane.validation.settings import ValidationSettings
from strategy_plane.validation.study import path_sharpes
from strategy_plane.validation.walk_forward import select_and_hold, walk_forward

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


@pytest.mark.parametrize("folds", [2, 5, 7])
@pytest.mark.parametrize(("horizon", "embargo"), [(0, 0), (3, 0), (0, 4), (5, 2)])
def test_folds_train_and_test_on_what_holdout_says(oracle, folds: int, horizon: int, embargo: int):
    """They count an embargo from the last tested observation, ours begins when its label is known, as in the book's
    snippet 7.3 and in skfolio.
    """
    observations, counted = np.arange(101), horizon + embargo if embargo else 0
    theirs = oracle("holdout").purged_kfold(folds, start=observations, end=observations + horizon, embargo=counted)
    found = list(purged_k_fold(101, folds, Separation(horizon, embargo)))
    assert [split.test.tolist() for split in found] == [split.test.tolist() for split in theirs]
    assert [split.train.tolist() for split in found] == [split.train.tolist() for split in theirs]


@pytest.mark.parametrize(("groups", "tested"), [(6, 2), (5, 3), (8, 4), (4, 1)])
def test_paths_are_put_together_as_holdout_does(oracle, groups: int, tested: int):
    theirs = oracle("holdout").combinatorial_purged_cv(groups, tested, n=10 * groups)
    assert path_count(groups, tested) == theirs.n_paths
    assert backtest_paths(groups, tested).tolist() == theirs.path_assignment()


def table(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal(0.0004, 0.01, (240, 6)) * np.linspace(0.5, 2.0, 6)


def best_of(oracle, returns: np.ndarray) -> int:
    """The trial whose Sharpe ratio empyrical finds the highest."""
    pd, theirs = oracle("pandas"), oracle("empyrical")
    return int(np.argmax([theirs.sharpe_ratio(pd.Series(column)) for column in returns.T]))


@pytest.mark.parametrize("anchored", [False, True])
def test_choosing_as_empyrical_ranks_in_the_windows_of_skfolio_earns_the_same(oracle, anchored: bool):
    returns = table(1)
    windows = oracle("skfolio.model_selection").WalkForward(
        test_size=20, train_size=60, expand_train=anchored, reduce_test=True
    )
    expected = [(best_of(oracle, returns[train]), test) for train, test in windows.split(returns)]
    walk = select_and_hold(returns, 60, 20, anchored=anchored)
    assert list(walk.chosen) == [best for best, _ in expected]
    assert walk.returns.tolist() == np.concatenate([returns[test, best] for best, test in expected]).tolist()


def test_paths_of_choices_have_the_ratios_of_holdout_and_empyrical(oracle):
    returns, chosen = table(2), ValidationSettings(groups=6, tested=2, embargo=3)
    theirs = oracle("holdout").combinatorial_purged_cv(6, 2, n=240, embargo=3)
    earned = [returns[split.test, best_of(oracle, returns[split.train])] for split in theirs.splits]
    ratios = [oracle("empyrical").sharpe_ratio(oracle("pandas").Series(path)) for path in theirs.assemble_paths(earned)]
    assert path_sharpes(returns, chosen).tolist() == pytest.approx(ratios)
