"""What regimes are told from: volatility, drawdown and correlation of the market."""

import numpy as np

from strategy_plane.history import AsOfView, Matrix, Vector

VOLATILITY = 0
"""Place of the volatility among the features; states are ordered by it."""


def market_features(closes: Matrix, short: int, middle: int, periods_per_year: float) -> Vector:
    """Volatility, drawdown and correlation at the last of ``closes``, shape (moments, n), without gaps.

    Of the equally weighted mean of the symbols' simple returns: log of the annualised standard deviation (ddof 1) of
    the newest ``short``, and the distance of the compounded level from its highest over all moments given (zero or
    negative). Of the symbols: the mean of all pairwise correlations over the newest ``middle`` returns; 0 for a
    single symbol. Shape (3,); NaN where a symbol never moved.
    """
    steps = closes[1:] / closes[:-1] - 1.0
    market = steps.mean(axis=1)
    deviation = float(np.std(market[-short:], ddof=1)) * np.sqrt(periods_per_year)
    level = np.concatenate([[1.0], np.cumprod(1.0 + market)])
    volatility = np.log(deviation) if deviation > 0.0 else np.nan
    return np.array([volatility, level[-1] / level.max() - 1.0, _mean_correlation(steps[-middle:])])


def features_of(view: AsOfView, short: int, middle: int, long: int, periods_per_year: float) -> Vector | None:
    """`market_features` of the symbols with all of the newest ``long`` + 1 bars; None when there are none."""
    panel = view.panel(long + 1)
    if len(panel.moments) <= long:
        return None
    closes = panel.closes[:, np.isfinite(panel.closes).all(axis=0)]
    if not closes.shape[1]:
        return None
    found = market_features(closes, short, middle, periods_per_year)
    return found if np.isfinite(found).all() else None


def _mean_correlation(steps: Matrix) -> float:
    """Mean over pairs, from the variance of the sum of standardised columns."""
    count = steps.shape[1]
    if count < 2:
        return 0.0
    deviations = steps.std(axis=0)
    if not (deviations > 0.0).all():
        return float("nan")
    total = ((steps - steps.mean(axis=0)) / deviations).sum(axis=1)
    return float((np.mean(total * total) - count) / (count * (count - 1)))
