"""Everything that is held against the best of some trials, and the verdict: real, unproven or luck."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from domain.performance import sharpe
from domain.probabilistic_sharpe import SharpeEstimate, estimate_sharpe, probabilistic_sharpe
from strategy_plane.validation.cross_validation import Separation, backtest_paths, combinatorial_purged
from strategy_plane.validation.deflated_sharpe import TrialStatistics, deflated_sharpe, expected_maximum_sharpe
from strategy_plane.validation.overfitting import Overfitting, overfitting
from strategy_plane.validation.predictive_ability import PredictiveAbility, superior_predictive_ability
from strategy_plane.validation.probabilistic_sharpe import minimum_track_record
from strategy_plane.validation.settings import ValidationSettings
from strategy_plane.validation.walk_forward import Walk, select_and_hold

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


_BENCHMARKS = {"equal_weight": "all symbols held in equal parts, at equal volatility", "cash": "cash"}


class Verdict(StrEnum):
    """What a study says of the best trial."""

    REAL = "REAL"
    UNPROVEN = "UNPROVEN"
    LUCK = "LUCK"


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing the best trial must pass: the figure, what was asked of it, and what it means."""

    name: str
    value: float
    asked: str
    passed: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Study:
    """The judgement of ``best``, a column of the returns; Sharpe ratios are annual unless a name says otherwise.

    ``path_sharpes`` are those of choosing on the training groups and holding on the tested ones, one for each
    path of the combinatorial cross-validation; ``walk`` is the same forward in time, None when it does not fit.
    """

    verdict: Verdict
    criteria: tuple[Criterion, ...]
    best: int
    sharpes: Vector
    estimate: SharpeEstimate
    tried: TrialStatistics
    lucky_sharpe: float
    overfitting: Overfitting
    predictive: PredictiveAbility
    path_sharpes: Vector
    walk: Walk | None


def judge(returns: Matrix, benchmark: Vector, tried: TrialStatistics, chosen: ValidationSettings) -> Study:
    """Hold the trial with the best Sharpe ratio against luck.

    ``returns`` has shape (periods, trials) and ``benchmark`` (periods,), simple returns per period over the same
    periods; ``tried`` comes from the trial ledger and counts these trials and all that were made before.

    Raises:
        ValueError: when there are too few periods or trials, or a return is not finite.
        ValidationExtraMissing: when the package of the SPA test is not installed.
    """
    cscv = overfitting(returns, chosen.blocks)
    sharpes = np.nan_to_num(np.array([sharpe(column, chosen.periods_per_year) for column in returns.T]))
    best = int(sharpes.argmax())
    estimate = estimate_sharpe(returns[:, best])
    predictive = superior_predictive_ability(
        at_volatility_of(benchmark, returns), benchmark, repetitions=chosen.repetitions, seed=chosen.seed
    )
    criteria = _criteria(estimate, tried, cscv, predictive, chosen)
    return Study(
        verdict=_verdict(criteria),
        criteria=criteria,
        best=best,
        sharpes=sharpes,
        estimate=estimate,
        tried=tried,
        lucky_sharpe=expected_maximum_sharpe(tried) * math.sqrt(chosen.periods_per_year),
        overfitting=cscv,
        predictive=predictive,
        path_sharpes=path_sharpes(returns, chosen),
        walk=select_and_hold(returns, chosen.train, chosen.test) if len(returns) > chosen.train else None,
    )


def at_volatility_of(benchmark: Vector, returns: Matrix) -> Matrix:
    """``returns`` with each trial levered to the volatility of ``benchmark``; unchanged beside cash, which has none.

    A trial that is half in cash must not lose to the benchmark for that alone, nor win for being levered.
    """
    wanted, spread = float(benchmark.std()), returns.std(axis=0)
    if not wanted > 0.0:
        return returns
    scaled: Matrix = returns * np.divide(wanted, spread, where=spread > 0.0, out=np.zeros_like(spread))
    return scaled


def path_sharpes(returns: Matrix, chosen: ValidationSettings) -> Vector:
    """Annual Sharpe ratio of each path of choosing on training groups and holding on tested ones, shape (paths,).

    Lopez de Prado (2018, chapter 12); ``returns`` has shape (periods, trials), simple returns per period.
    """
    groups = np.array_split(np.arange(len(returns)), chosen.groups)
    separation = Separation(0, chosen.embargo)
    held = [
        _best_of(returns[split.train])
        for split in combinatorial_purged(len(returns), chosen.groups, chosen.tested, separation)
    ]
    ratios = []
    for path in backtest_paths(chosen.groups, chosen.tested):
        earned = np.concatenate([returns[part, held[split]] for part, split in zip(groups, path, strict=True)])
        ratios.append(sharpe(earned, chosen.periods_per_year))
    known: Vector = np.nan_to_num(np.array(ratios))
    return known


def _best_of(returns: Matrix) -> int:
    spread = returns.std(axis=0)
    ratios = np.divide(returns.mean(axis=0), spread, where=spread > 0.0, out=np.zeros_like(spread))
    return int(ratios.argmax())


def _criteria(
    estimate: SharpeEstimate,
    tried: TrialStatistics,
    cscv: Overfitting,
    predictive: PredictiveAbility,
    chosen: ValidationSettings,
) -> tuple[Criterion, ...]:
    confidence = chosen.confidence
    deflated = deflated_sharpe(estimate, tried)
    needed = minimum_track_record(estimate, 0.0, confidence)
    return (
        Criterion(
            "PSR",
            probabilistic_sharpe(estimate),
            f"at least {confidence:g}",
            probabilistic_sharpe(estimate) >= confidence,
            "probability that the Sharpe ratio is above zero, were it the only trial",
        ),
        Criterion(
            "DSR",
            deflated,
            f"at least {confidence:g}",
            deflated >= confidence,
            f"the same, given that it is the best of {tried.trials} trials",
        ),
        Criterion(
            "PBO",
            cscv.probability,
            f"at most {chosen.overfitting:g}",
            cscv.probability <= chosen.overfitting,
            "how often the best in one half of time is below the median in the other",
        ),
        Criterion(
            "SPA",
            predictive.consistent,
            f"at most {1 - confidence:g}",
            predictive.consistent <= 1.0 - confidence,
            f"p-value of the hypothesis that no trial earns more than {_BENCHMARKS[chosen.benchmark]}",
        ),
        Criterion(
            "minTRL",
            needed,
            f"at most {estimate.observations} days",
            needed <= estimate.observations,
            "days of record that such a Sharpe ratio needs to be believed",
        ),
    )


def _verdict(criteria: Sequence[Criterion]) -> Verdict:
    """Real when all pass; luck when selection alone explains it or the choice does not carry over."""
    value = {criterion.name: criterion.value for criterion in criteria}
    if all(criterion.passed for criterion in criteria):
        return Verdict.REAL
    return Verdict.LUCK if not value["DSR"] >= 0.5 or value["PBO"] > 0.5 else Verdict.UNPROVEN
