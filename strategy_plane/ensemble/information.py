"""What a signal's scores said about the returns that followed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from strategy_plane.history import Vector


def ranks(values: Vector) -> Vector:
    """Places of ``values``, shape (n,), from 1; equal values share the mean of their places (Spearman 1904)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    lasts = np.cumsum(counts)
    shared: Vector = lasts - (counts - 1) / 2.0
    return shared[inverse]


def information_coefficient(scores: Mapping[str, float], returns: Mapping[str, float], fewest: int = 3) -> float:
    """Spearman's rank correlation of scores with the returns that followed, over the symbols that have both.

    NaN with fewer than ``fewest`` symbols or when either side is all equal (Grinold and Kahn 2000, chapter 6;
    ranks, so that one outlier does not decide).
    """
    both = sorted(scores.keys() & returns.keys())
    if len(both) < max(2, fewest):
        return math.nan
    first = ranks(np.array([scores[symbol] for symbol in both]))
    second = ranks(np.array([returns[symbol] for symbol in both]))
    apart, other = first - first.mean(), second - second.mean()
    spread = math.sqrt(float(apart @ apart) * float(other @ other))
    return float(apart @ other) / spread if spread > 0.0 else math.nan


def long_short(scores: Mapping[str, float]) -> dict[str, float]:
    """Weights proportional to the centred scores, with a sum of zero and a sum of absolute weights of one.

    Lo and MacKinlay (1990) weigh so by past returns. Fractions of equity by symbol.
    """
    if not scores:
        return {}
    mean = math.fsum(scores.values()) / len(scores)
    total = math.fsum(abs(score - mean) for score in scores.values())
    return {symbol: (score - mean) / total for symbol, score in scores.items()} if total > 0.0 else {}


@dataclass(frozen=True, slots=True)
class Summary:
    """What a signal's matured labels show.

    ``mean`` and ``ratio`` are the mean IC and the ICIR (mean over sample standard deviation, not annualised);
    ``statistic`` is their t-value (Fama and MacBeth 1973), which counts overlapping labels once; ``earned`` is the
    annual simple return of the signal's own long-short portfolio of gross one, before costs; ``turnover`` the mean sum
    of absolute weight changes from one scoring to the next; ``contribution`` what it earned times its share in the
    ensemble's weights, per year of all moments: one at which it was silent counts as zero, while the other figures
    leave it out.
    """

    observations: int
    mean: float
    ratio: float
    statistic: float
    earned: float
    turnover: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One matured label: the IC, what the long-short portfolio earned over the label, its turnover and its share."""

    ic: float
    earned: float
    turnover: float
    weight: float


def summary(outcomes: Sequence[Outcome], spacing: int, horizon: int, periods_per_year: float) -> Summary:
    """Summarise outcomes whose labels span ``horizon`` moments and begin ``spacing`` moments apart.

    The t-value is that of a mean of cross-sections (Fama and MacBeth 1973); see `Summary` for units.
    """
    ics = np.array([outcome.ic for outcome in outcomes])
    ics = ics[np.isfinite(ics)]
    count = len(ics)
    mean = float(ics.mean()) if count else math.nan
    deviation = float(ics.std(ddof=1)) if count > 1 else math.nan
    ratio = mean / deviation if deviation > 0.0 else math.nan
    per_year = periods_per_year / horizon
    return Summary(
        observations=count,
        mean=mean,
        ratio=ratio,
        statistic=ratio * math.sqrt(count / max(1.0, horizon / spacing)),
        earned=_mean([outcome.earned for outcome in outcomes]) * per_year,
        turnover=_mean([outcome.turnover for outcome in outcomes]),
        contribution=_mean([_contributed(outcome) for outcome in outcomes]) * per_year,
    )


def _contributed(outcome: Outcome) -> float:
    return outcome.earned * outcome.weight if math.isfinite(outcome.earned) else 0.0


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else math.nan
