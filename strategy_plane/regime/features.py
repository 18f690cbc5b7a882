"""What regimes are told from: volatility, drawdown and correlation of the market."""

import numpy as np

from strategy_plane.history import MAX_MISSING, AsOfView, Matrix, Vector

VOLATILITY = 0
"""Place of the volatility among the features; states are ordered by it."""


def market_features(closes: Matrix, short: int, middle: int, periods_per_year: float) -> Vector:
    """Volatility, drawdown and correlation at the last of ``closes``, shape (moments, n), without gaps.

    Of the equally weighted mean of the symbols' simple returns: log of the annualised standard deviation (ddof 1) of
    the newest ``short``, and the distance of the compounded level from its highest over all moments given (zero or
    negative). Of the symbols: the mean of all pairwise correlations over the newest ``middle`` returns, of those
    that moved; 0 for a single one. Shape (3,); NaN where the market never moved.
    """
    steps = closes[1:] / closes[:-1] - 1.0
    market = steps.mean(axis=1)
    deviation = float(np.std(market[-short:], ddof=1)) * np.sqrt(periods_per_year)
    level = np.concatenate([[1.0], np.cumprod(1.0 + market)])
    volatility = np.log(deviation) if deviation > 0.0 else np.nan
    return np.array([volatility, level[-1] / level.max() - 1.0, _mean_correlation(steps[-middle:])])


def features_of(
    view: AsOfView, short: int, middle: int, long: int, periods_per_year: float, max_missing: float = MAX_MISSING
) -> Vector | None:
    """`market_features` of the symbols with nearly all of the newest ``long`` + 1 bars; None when there are none.

    A symbol may lack the share ``max_missing`` of them, and keeps its close where it does.
    """
    panel = view.carried(long + 1, max_missing)
    if len(panel.moments) <= long or not panel.symbols:
        return None
    found = market_features(panel.closes, short, middle, periods_per_year)
    return found if np.isfinite(found).all() else None


def _mean_correlation(steps: Matrix) -> float:
    """Mean over pairs, from the variance of the sum of standardised columns."""
    moved = steps[:, np.ptp(steps, axis=0) > 0.0]
    count = moved.shape[1]
    if count < 2:
        return 0.0
    total = ((moved - moved.mean(axis=0)) / moved.std(axis=0)).sum(axis=1)
    return float((np.mean(total * total) - count) / (count * (count - 1)))
