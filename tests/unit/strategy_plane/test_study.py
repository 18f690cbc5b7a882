"""A study calls skill real, noise luck, and tells how sure it is."""

import numpy as np
import pytest

from strategy_plane.validation.deflated_sharpe import TrialStatistics
from strategy_plane.validation.settings import ValidationSettings
from strategy_plane.validation.study import Verdict, at_volatility_of, judge, path_sharpes

CHOSEN = ValidationSettings(blocks=8, repetitions=200, train=250, test=50, benchmark="cash")
CASH = np.zeros(1000)


def noise(trials: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.01, (1000, trials))


def tried(returns: np.ndarray) -> TrialStatistics:
    return TrialStatistics.of(returns.mean(axis=0) / returns.std(axis=0, ddof=1))


def test_skill_is_real():
    pytest.importorskip("arch")
    returns = noise()
    returns[:, 5] += 0.002
    study = judge(returns, CASH, tried(returns), CHOSEN)
    assert study.verdict is Verdict.REAL
    assert study.best == 5
    assert all(criterion.passed for criterion in study.criteria)
    assert study.sharpes[5] == pytest.approx(returns[:, 5].mean() / returns[:, 5].std(ddof=1) * np.sqrt(252))
    assert study.walk is not None
    assert set(study.walk.chosen) == {5}


def test_the_best_of_noise_is_luck():
    pytest.importorskip("arch")
    verdicts = []
    for seed in range(6):
        returns = noise(40, seed)
        verdicts.append(judge(returns, CASH, tried(returns), CHOSEN).verdict)
    assert Verdict.REAL not in verdicts
    assert verdicts.count(Verdict.LUCK) >= 4


def test_earlier_trials_in_the_ledger_count_against_the_best():
    pytest.importorskip("arch")
    returns = noise()
    returns[:, 5] += 0.0009
    few, many = (judge(returns, CASH, TrialStatistics(count, 0.001), CHOSEN) for count in (12, 2000))
    assert few.criteria[1].value > many.criteria[1].value
    assert few.lucky_sharpe < many.lucky_sharpe


def test_riding_the_benchmark_is_unproven():
    pytest.importorskip("arch")
    market = np.random.default_rng(1).normal(0.002, 0.01, 1000)
    returns = market[:, None] * np.linspace(0.2, 0.5, 8) + noise(8) * 0.02
    chosen = CHOSEN.model_copy(update={"benchmark": "equal_weight"})
    study = judge(returns, market, tried(returns), chosen)
    failed = [criterion.name for criterion in study.criteria if not criterion.passed]
    assert "SPA" in failed
    assert study.verdict is not Verdict.REAL


def test_trials_are_compared_at_the_benchmarks_volatility():
    market, returns = noise(1)[:, 0], np.column_stack([noise(2)[:, 1] * 0.1, np.zeros(1000)])
    scaled = at_volatility_of(market, returns)
    assert scaled.std(axis=0).tolist() == pytest.approx([market.std(), 0.0])
    assert at_volatility_of(CASH, returns) is returns


def test_paths_hold_what_was_best_elsewhere():
    returns = noise(3)
    returns[:, 1] += 0.003
    found = path_sharpes(returns, CHOSEN)
    assert len(found) == 7
    sharpe = returns[:, 1].mean() / returns[:, 1].std(ddof=1) * np.sqrt(252)
    assert found.tolist() == pytest.approx([sharpe] * 7)


def test_what_follows_a_tested_group_at_once_has_no_part_in_the_choice():
    first, second = np.tile([0.01, -0.005], 15), np.tile([0.012, -0.005], 15)
    returns = np.column_stack([first, second])
    returns[10:15, 0] += 0.05  # would decide for the first trial, wherever it is trained on
    chosen = ValidationSettings(groups=3, tested=1, embargo=5)
    earned = np.concatenate([returns[:10, 1], returns[10:20, 1], returns[20:, 0]])
    sharpe = earned.mean() / earned.std(ddof=1) * np.sqrt(252)
    assert path_sharpes(returns, chosen).tolist() == pytest.approx([sharpe])


def test_a_record_shorter_than_the_training_window_is_not_walked():
    pytest.importorskip("arch")
    returns = noise()[:200]
    assert judge(returns, CASH[:200], tried(returns), CHOSEN).walk is None


@pytest.mark.parametrize("bad", [{"blocks": 7}, {"groups": 4, "tested": 4}])
def test_settings_that_do_not_fit_are_refused(bad):
    with pytest.raises(ValueError, match=r"even|below groups"):
        ValidationSettings(**bad)
