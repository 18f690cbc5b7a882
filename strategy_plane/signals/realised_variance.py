"""Realised variance of one symbol from whole bars, per bar."""

from collections.abc import Callable, Mapping
from enum import StrEnum

import numpy as np

from strategy_plane.history import Bars, Vector

_LN2 = float(np.log(2.0))


class Estimator(StrEnum):
    """How variance is measured."""

    CLOSE_TO_CLOSE = "close_to_close"
    PARKINSON = "parkinson"
    GARMAN_KLASS = "garman_klass"
    ROGERS_SATCHELL = "rogers_satchell"
    YANG_ZHANG = "yang_zhang"


def close_to_close(closes: Vector) -> float:
    """Andersen and Bollerslev (1998): mean squared log return of ``closes``, (n + 1,), the variance per bar."""
    steps = np.diff(np.log(closes))
    return float(np.mean(steps * steps))


def parkinson(high: Vector, low: Vector) -> float:
    """Parkinson (1980): mean of ln(H/L)² / (4 ln 2), the variance per bar of prices of shape (n,).

    Assumes no drift and sees no overnight gap.
    """
    return float(np.mean(np.log(high / low) ** 2) / (4.0 * _LN2))


def garman_klass(opened: Vector, high: Vector, low: Vector, close: Vector) -> float:
    """Garman and Klass (1980): mean of ln(H/L)²/2 - (2 ln 2 - 1) ln(C/O)², the variance per bar; prices are (n,).

    Their practical estimator; assumes no drift and sees no overnight gap.
    """
    return float(np.mean(0.5 * np.log(high / low) ** 2 - (2.0 * _LN2 - 1.0) * np.log(close / opened) ** 2))


def rogers_satchell(opened: Vector, high: Vector, low: Vector, close: Vector) -> float:
    """Rogers and Satchell (1991): mean of ln(H/C) ln(H/O) + ln(L/C) ln(L/O), the variance per bar; prices are (n,).

    Stands any drift and sees no overnight gap.
    """
    up = np.log(high / close) * np.log(high / opened)
    down = np.log(low / close) * np.log(low / opened)
    return float(np.mean(up + down))


def yang_zhang(opened: Vector, high: Vector, low: Vector, close: Vector) -> float:
    """Yang and Zhang (2000): variance per bar over the last n of prices (n + 1,); any drift, overnight gaps included.

    ``V_o + k V_c + (1 - k) V_rs`` with the sample variances (ddof 1) of overnight and of open-to-close log returns,
    `rogers_satchell`, and k = 0.34 / (1.34 + (n + 1) / (n - 1)). Needs n of at least 2.
    """
    overnight = np.log(opened[1:] / close[:-1])
    within = np.log(close[1:] / opened[1:])
    n = len(overnight)
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    rest = rogers_satchell(opened[1:], high[1:], low[1:], close[1:])
    return float(np.var(overnight, ddof=1) + k * np.var(within, ddof=1) + (1.0 - k) * rest)


_MEASURES: Mapping[Estimator, Callable[[Bars], float]] = {
    Estimator.CLOSE_TO_CLOSE: lambda bars: close_to_close(bars.close),
    Estimator.PARKINSON: lambda bars: parkinson(bars.high[1:], bars.low[1:]),
    Estimator.GARMAN_KLASS: lambda bars: garman_klass(bars.open[1:], bars.high[1:], bars.low[1:], bars.close[1:]),
    Estimator.ROGERS_SATCHELL: lambda bars: rogers_satchell(bars.open[1:], bars.high[1:], bars.low[1:], bars.close[1:]),
    Estimator.YANG_ZHANG: lambda bars: yang_zhang(bars.open, bars.high, bars.low, bars.close),
}


def realised_variance(bars: Bars, estimator: Estimator) -> float:
    """Variance per bar over the last n of n + 1 ``bars``, as squared log returns.

    Raises:
        ValueError: with fewer than three bars.
    """
    if len(bars.close) < 3:
        raise ValueError("realised variance needs at least 3 bars")
    return _MEASURES[estimator](bars)
