"""Raw measures as scores that can be compared and added."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from strategy_plane.history import Vector
from strategy_plane.signals.port import Scores

TAIL = 0.05
"""Share of each tail that is pulled in before standardising."""
LIMIT = 3.0
"""Scores beyond this are cut to it."""


def cross_section(raw: Mapping[str, float], tail: float = TAIL, limit: float = LIMIT) -> dict[str, float]:
    """Z-scores among the symbols of one moment, without unit (Grinold and Kahn 2000, chapter 11).

    Values beyond the ``tail`` and 1 - ``tail`` quantiles (linear interpolation) are set to them (winsorised), then
    mean 0 and population standard deviation 1, then cut at ``limit``. Sums are exact, so the order of the symbols
    does not matter. Nothing but the one moment is used. Values that are not finite are left out; fewer than two
    have no scores, and equal ones score zero.
    """
    finite = {symbol: value for symbol, value in raw.items() if math.isfinite(value)}
    if len(finite) < 2:
        return {}
    values = np.fromiter(finite.values(), np.float64, len(finite))
    low, high = np.quantile(values, [tail, 1.0 - tail])
    cut = np.clip(values, low, high).tolist()
    mean = math.fsum(cut) / len(cut)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in cut) / len(cut))
    if deviation == 0.0 or max(cut) == min(cut):
        return dict.fromkeys(finite, 0.0)
    return {
        symbol: max(-limit, min(limit, (value - mean) / deviation)) for symbol, value in zip(finite, cut, strict=True)
    }


def against_past(series: Vector, tail: float = TAIL, limit: float = LIMIT) -> float:
    """Z-score of the last of ``series`` against the values before it, shape (n,), oldest first.

    The past is winsorised at its own quantiles, the last value is not part of it. NaN with fewer than three finite
    values in all or a past that never moved.
    """
    known = series[np.isfinite(series)]
    if len(known) < 3 or not math.isfinite(series[-1]):
        return math.nan
    past = known[:-1]
    cut = np.clip(past, *np.quantile(past, [tail, 1.0 - tail]))
    if np.ptp(cut) == 0.0:
        return math.nan
    return float(np.clip((known[-1] - cut.mean()) / cut.std(ddof=1), -limit, limit))


def blend(parts: Sequence[tuple[float, Scores]], limit: float = LIMIT) -> dict[str, float]:
    """The weighted mean of several scores of the same moment, by symbol, over the parts that score it.

    ``parts`` are weights and scores; a part with weight zero is left out. The mean is not standardised again, so
    agreement of the parts counts and a symbol that few parts know keeps its scale. Cut at ``limit``.
    """
    used = [(weight, scores) for weight, scores in parts if weight and scores]
    symbols = sorted({symbol for _, scores in used for symbol in scores})
    blended = {}
    for symbol in symbols:
        known = [(weight, scores[symbol]) for weight, scores in used if symbol in scores]
        total = math.fsum(abs(weight) for weight, _ in known)
        mean = math.fsum(weight * score for weight, score in known) / total
        blended[symbol] = max(-limit, min(limit, mean))
    return blended
