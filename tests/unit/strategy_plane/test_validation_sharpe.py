"""Minimum track record, deflated Sharpe ratio and the ledger that feeds it."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from domain.probabilistic_sharpe import SharpeEstimate, estimate_sharpe, probabilistic_sharpe
from strategy_plane.validation.deflated_sharpe import TrialStatistics, deflated_sharpe, expected_maximum_sharpe
from strategy_plane.validation.probabilistic_sharpe import minimum_track_record
from strategy_plane.validation.trial_ledger import LedgerTampered, Trial, TrialLedger

NOW = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("per_year", "skewness", "kurtosis", "years"),
    [(252, 0.0, 3.0, 2.73), (52, 0.0, 3.0, 2.83), (12, 0.0, 3.0, 3.24), (12, -0.72, 5.78, 4.99)],
)
def test_the_published_minimum_track_records(per_year: int, skewness: float, kurtosis: float, years: float):
    """Bailey and Lopez de Prado (2012): years until an annual Sharpe ratio of 2 is above 1 with 95 %."""
    estimate = SharpeEstimate(2.0 / math.sqrt(per_year), 100, skewness, kurtosis)
    needed = minimum_track_record(estimate, 1.0 / math.sqrt(per_year))
    assert needed / per_year == pytest.approx(years, abs=5e-3)


def test_one_observation_less_than_the_minimum_does_not_convince():
    returns = np.random.default_rng(2).standard_t(5, 400) * 0.01 + 0.002
    estimate = estimate_sharpe(returns)
    needed = minimum_track_record(estimate, 0.01, 0.9)

    def probability(observations: int) -> float:
        record = SharpeEstimate(estimate.sharpe, observations, estimate.skewness, estimate.kurtosis)
        return probabilistic_sharpe(record, 0.01)

    assert probability(math.floor(needed)) < 0.9 <= probability(math.ceil(needed))


def test_no_record_is_long_enough_for_what_is_not_better():
    assert minimum_track_record(SharpeEstimate(0.1, 50), 0.1) == math.inf
    assert math.isnan(minimum_track_record(estimate_sharpe([0.0] * 9)))
    with pytest.raises(ValueError, match="confidence"):
        minimum_track_record(SharpeEstimate(0.1, 50), confidence=0.3)


PUBLISHED = SharpeEstimate(2.5 / math.sqrt(250), 1250, -3.0, 10.0)


def test_the_published_deflated_sharpe():
    """Bailey and Lopez de Prado (2014): 100 trials of annual variance 1/2; 0.1132 a day is luck, DSR 0.9004."""
    tried = TrialStatistics(100, 0.5 / 250)
    assert expected_maximum_sharpe(tried) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe(PUBLISHED, tried) == pytest.approx(0.9004, abs=5e-4)
    assert deflated_sharpe(PUBLISHED, TrialStatistics(46, 0.5 / 250)) == pytest.approx(0.9505, abs=5e-4)


def test_the_expected_maximum_is_what_simulated_luck_finds():
    best = np.random.default_rng(4).normal(0.0, 0.02, (20_000, 50)).max(axis=1).mean()
    assert expected_maximum_sharpe(TrialStatistics(50, 0.02**2)) == pytest.approx(best, rel=0.02)


def test_one_trial_deflates_nothing_and_more_trials_deflate_more():
    assert deflated_sharpe(PUBLISHED, TrialStatistics(1, 0.0)) == probabilistic_sharpe(PUBLISHED)
    values = [deflated_sharpe(PUBLISHED, TrialStatistics(count, 0.002)) for count in (2, 10, 100, 1000)]
    assert values == sorted(values, reverse=True)
    with pytest.raises(ValueError, match="at least one trial"):
        expected_maximum_sharpe(TrialStatistics(0, 0.0))


def trial(key: str, sharpe: float, family: str = "f", data: str = "d") -> Trial:
    return Trial(family, key, data, NOW, sharpe, 100, {"fast": 3})


def test_the_ledger_remembers_over_restarts_and_counts_a_variant_once(tmp_path: Path):
    path = tmp_path / "deep" / "ledger.jsonl"
    ledger = TrialLedger(path)
    assert ledger.append(trial("a", 0.1))
    assert not ledger.append(trial("a", 0.1))
    assert ledger.append(trial("b", -0.1))
    assert ledger.append(trial("b", math.nan, data="other"))
    assert ledger.append(trial("a", 5.0, family="g"))
    again = TrialLedger(path)
    assert [t.key for t in again.trials("f")] == ["a", "b", "b"]
    assert again.statistics("f") == TrialStatistics(3, pytest.approx(0.01))
    assert again.append(trial("c", 0.0))
    assert TrialLedger(path).statistics("f").trials == 4


@pytest.mark.parametrize("harm", ["change", "remove", "cut"])
def test_a_ledger_that_was_edited_is_refused(tmp_path: Path, harm: str):
    path = tmp_path / "ledger.jsonl"
    ledger = TrialLedger(path)
    for number in range(4):
        ledger.append(trial(f"k{number}", number / 10))
    lines = path.read_text("utf-8").splitlines()
    if harm == "change":
        entry = json.loads(lines[1])
        entry["trial"]["sharpe"] = 9.0
        lines[1] = json.dumps(entry)
    elif harm == "remove":
        del lines[1]
    else:
        lines[3] = lines[3][:-9]
    path.write_text("\n".join(lines), "utf-8")
    with pytest.raises(LedgerTampered, match=r"ledger\.jsonl:[24]"):
        TrialLedger(path)


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_ledger_whose_end_is_gone_is_refused(tmp_path: Path, kept: int):
    path = tmp_path / "ledger.jsonl"
    ledger = TrialLedger(path)
    for number in range(4):
        ledger.append(trial(f"k{number}", number / 10))
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[:kept]), "utf-8")
    with pytest.raises(LedgerTampered, match="newest lines are gone"):
        TrialLedger(path)


def test_a_ledger_without_its_head_is_refused_unless_a_crash_can_have_left_it_so(tmp_path: Path):
    path = tmp_path / "ledger.jsonl"
    ledger = TrialLedger(path)
    ledger.append(trial("a", 0.1))
    path.with_suffix(".head").unlink()
    assert TrialLedger(path).append(trial("b", 0.2))
    path.with_suffix(".head").unlink()
    with pytest.raises(LedgerTampered, match=r"ledger\.head is gone"):
        TrialLedger(path)


def test_a_crash_between_a_line_and_its_head_is_forgiven(tmp_path: Path):
    path = tmp_path / "ledger.jsonl"
    ledger = TrialLedger(path)
    ledger.append(trial("a", 0.1))
    before = path.with_suffix(".head").read_text("utf-8")
    ledger.append(trial("b", 0.2))
    path.with_suffix(".head").write_text(before, "utf-8")
    assert TrialLedger(path).statistics("f").trials == 2


def test_what_another_process_wrote_meanwhile_is_kept(tmp_path: Path):
    path = tmp_path / "ledger.jsonl"
    one, other = TrialLedger(path), TrialLedger(path)
    assert one.append(trial("a", 0.1))
    assert other.append(trial("b", 0.2))
    assert not one.append(trial("b", 0.2))
    assert one.append(trial("c", 0.3))
    assert [each.key for each in one.trials("f")] == ["a", "b", "c"]
    assert [each.key for each in TrialLedger(path).trials("f")] == ["a", "b", "c"]
