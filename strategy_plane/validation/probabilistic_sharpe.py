"""How long a track record must be before its Sharpe ratio counts."""

import math
from statistics import NormalDist

from domain.probabilistic_sharpe import MIN_OBSERVATIONS, SharpeEstimate


def minimum_track_record(estimate: SharpeEstimate, benchmark: float = 0.0, confidence: float = 0.95) -> float:
    """Observations needed to say with ``confidence`` that the Sharpe ratio exceeds ``benchmark``, both per period.

    ``1 + dispersion * (Φ⁻¹(confidence) / (SR - SR*))²`` (Bailey and Lopez de Prado 2012). Infinite when the
    estimate does not exceed the benchmark; NaN where the estimate is.

    Raises:
        ValueError: when ``confidence`` is not between a half and one.
    """
    if not 0.5 < confidence < 1.0:
        raise ValueError("confidence must lie between 0.5 and 1")
    if math.isnan(estimate.sharpe) or estimate.observations < MIN_OBSERVATIONS:
        return math.nan
    lead = estimate.sharpe - benchmark
    if lead <= 0.0:
        return math.inf
    return float(1.0 + estimate.dispersion * (NormalDist().inv_cdf(confidence) / lead) ** 2)
