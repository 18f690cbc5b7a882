"""The Sharpe ratio of the best of many trials, held against what luck alone would have found."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np

from domain.probabilistic_sharpe import SharpeEstimate, probabilistic_sharpe

EULER_MASCHERONI = 0.5772156649015329


@dataclass(frozen=True, slots=True)
class TrialStatistics:
    """What is known of all tries: how many, and the variance (ddof 1) of their Sharpe ratios per period."""

    trials: int
    variance: float

    @classmethod
    def of(cls, sharpes: Iterable[float]) -> Self:
        """Count every try; a Sharpe ratio that is NaN, since nothing was traded, counts as zero."""
        known = np.nan_to_num(np.fromiter(sharpes, np.float64), nan=0.0)
        return cls(len(known), float(known.var(ddof=1)) if len(known) > 1 else 0.0)


def expected_maximum_sharpe(tried: TrialStatistics) -> float:
    """Sharpe ratio per period that the best of ``tried`` would show without any skill.

    ``√V ((1 - g) Φ⁻¹(1 - 1/N) + g Φ⁻¹(1 - 1/(N e)))`` with Euler's constant g (Bailey and Lopez de Prado 2014, the
    False Strategy theorem); zero for a single trial.

    Raises:
        ValueError: when there is no trial or the variance is negative.
    """
    if tried.trials < 1 or not tried.variance >= 0.0:
        raise ValueError("at least one trial and a variance of zero or more are needed")
    if tried.trials == 1:
        return 0.0
    quantile = NormalDist().inv_cdf
    typical = quantile(1.0 - 1.0 / tried.trials)
    extreme = quantile(1.0 - 1.0 / (tried.trials * math.e))
    return math.sqrt(tried.variance) * ((1.0 - EULER_MASCHERONI) * typical + EULER_MASCHERONI * extreme)


def deflated_sharpe(estimate: SharpeEstimate, tried: TrialStatistics) -> float:
    """Probability that the true Sharpe ratio is above zero in spite of the selection among ``tried``.

    The `probabilistic_sharpe` of ``estimate`` against `expected_maximum_sharpe` (Bailey and Lopez de Prado 2014).
    Take ``tried`` from the trial ledger, which holds every try and not only those remembered.
    """
    return probabilistic_sharpe(estimate, expected_maximum_sharpe(tried))
