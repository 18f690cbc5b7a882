"""How sure a Sharpe ratio is, given how long, skewed and fat-tailed its returns are."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from domain.performance import simple_returns

MIN_OBSERVATIONS = 3
"""Below this no third moment says anything, and every measure here is NaN."""


@dataclass(frozen=True, slots=True)
class SharpeEstimate:
    """What inference about a Sharpe ratio needs.

    ``sharpe`` is per period (ddof 1, not annualised), ``skewness`` and ``kurtosis`` are the biased (population)
    moments, the latter Pearson's: 3 for a normal distribution. All three are NaN for fewer than
    `MIN_OBSERVATIONS` returns and for returns without spread.
    """

    sharpe: float
    observations: int
    skewness: float = 0.0
    kurtosis: float = 3.0

    @property
    def dispersion(self) -> float:
        """``1 - skewness * SR + (kurtosis - 1) / 4 * SR²``: T - 1 times the variance of the estimate (Mertens 2002)."""
        return 1.0 - self.skewness * self.sharpe + (self.kurtosis - 1.0) / 4.0 * self.sharpe**2


def estimate_sharpe(returns: ArrayLike, risk_free: float = 0.0) -> SharpeEstimate:
    """Measure simple ``returns`` per period, shape (n,), as Bailey and Lopez de Prado (2012) do.

    ``risk_free`` is per period, too.

    Raises:
        ValueError: when a return is not finite or ``returns`` has not one dimension.
    """
    excess = np.asarray(returns, np.float64) - risk_free
    if excess.ndim != 1 or not np.isfinite(excess).all():
        raise ValueError("returns must be one finite series: drop or repair NaN and infinity first")
    count = len(excess)
    if count < MIN_OBSERVATIONS or not np.ptp(excess):
        return SharpeEstimate(math.nan, count, math.nan, math.nan)
    mean = float(excess.mean())
    centred = excess - mean
    variance = float(np.mean(centred**2))
    if not variance > 0.0:
        return SharpeEstimate(math.nan, count, math.nan, math.nan)
    standard = centred / math.sqrt(variance)
    return SharpeEstimate(
        sharpe=mean / math.sqrt(variance * count / (count - 1)),
        observations=count,
        skewness=float(np.mean(standard**3)),
        kurtosis=float(np.mean(standard**4)),
    )


def probabilistic_sharpe(estimate: SharpeEstimate, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio exceeds ``benchmark``, both per period (Bailey and Lopez de Prado 2012).

    ``Φ((SR - SR*) √(T - 1) / √dispersion)``; NaN where the estimate is, and for a dispersion that is not above
    zero, which biased moments rule out.
    """
    dispersion = estimate.dispersion
    if not dispersion > 0.0 or estimate.observations < MIN_OBSERVATIONS:
        return math.nan
    distance = (estimate.sharpe - benchmark) * math.sqrt((estimate.observations - 1) / dispersion)
    return 0.5 * math.erfc(-distance / math.sqrt(2.0))


def probabilistic_sharpe_of_equity(equity: ArrayLike, benchmark: float = 0.0, minimum: int = 60) -> float:
    """`probabilistic_sharpe` of an equity curve, (n,) in currency units, by period, as a kill switch watches it.

    NaN with fewer than ``minimum`` returns: a shorter record condemns nobody.

    Raises:
        ValueError: when a value is not finite or not above zero.
    """
    returns = simple_returns(equity)
    return probabilistic_sharpe(estimate_sharpe(returns), benchmark) if len(returns) >= minimum else math.nan
