"""How much to hold: lots, cash buffer, currency, and positions sized by volatility or by range."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]


def whole_lots(units: float, lot: float) -> float:
    """``units`` cut towards zero to whole lots; a billionth of a lot short counts as whole."""
    return math.trunc(units / lot + math.copysign(1e-9, units)) * lot


def invested(weights: Mapping[str, float], cash_buffer: float) -> dict[str, float]:
    """``weights`` (fractions of equity) scaled so that the fraction ``cash_buffer`` of it stays uninvested.

    Raises:
        ValueError: when the buffer is negative or not below 1.
    """
    if not 0.0 <= cash_buffer < 1.0:
        raise ValueError("cash_buffer must be at least 0 and below 1")
    return {symbol: weight * (1.0 - cash_buffer) for symbol, weight in weights.items()}


def units_of(weight: float, equity: float, worth: float) -> float:
    """Signed units, not yet in lots, at ``weight`` of ``equity`` (account currency).

    ``worth`` is account currency for one unit: its price times the exchange rate.

    Raises:
        ValueError: when worth is not positive or equity negative.
    """
    if not (worth > 0.0 and equity >= 0.0):
        raise ValueError("worth must be positive and equity not negative")
    return weight * equity / worth


def ewma_volatility(returns: ArrayLike, half_life: float, periods_per_year: float = 252.0) -> float:
    """Annualised volatility around zero of simple ``returns``, (n,), newest last, whose weights halve by ``half_life``.

    RiskMetrics (1996) with weights that sum to one; NaN without returns.

    Raises:
        ValueError: when a return is not finite or half_life not positive.
    """
    values = np.asarray(returns, np.float64)
    if not np.isfinite(values).all() or not half_life > 0.0:
        raise ValueError("returns must be finite and half_life positive")
    if not len(values):
        return math.nan
    weights = 0.5 ** (np.arange(len(values) - 1, -1, -1) / half_life)
    return math.sqrt(float(weights @ (values * values)) / float(weights.sum()) * periods_per_year)


def average_true_range(high: ArrayLike, low: ArrayLike, close: ArrayLike, window: int = 14) -> float:
    """Wilder's (1978) average true range of bars, oldest first, all of shape (n,), in currency per unit.

    The first average is the plain mean of ``window`` true ranges, each later one ``(before * (window - 1) + newest)
    / window``. NaN with fewer than ``window + 1`` bars, since a true range needs the close before it.

    Raises:
        ValueError: when lengths differ or window is below 1.
    """
    highs, lows, closes = (np.asarray(values, np.float64) for values in (high, low, close))
    if not len(highs) == len(lows) == len(closes) or window < 1:
        raise ValueError("high, low and close must have one entry per bar each, and window at least 1")
    if len(closes) < window + 1:
        return math.nan
    before = closes[:-1]
    ranges = np.maximum(highs[1:], before) - np.minimum(lows[1:], before)
    average = float(ranges[:window].mean())
    for newest in ranges[window:].tolist():
        average = (average * (window - 1) + newest) / window
    return average


def units_at_risk(equity: float, risk: float, true_range: float, multiple: float = 2.0) -> float:
    """Units with which a move of ``multiple`` average true ranges costs the fraction ``risk`` of ``equity``.

    Not yet in lots. (Faith 2007, the turtle unit.)

    Raises:
        ValueError: when true_range or multiple is not positive.
    """
    if not (true_range > 0.0 and multiple > 0.0):
        raise ValueError("true_range and multiple must be positive")
    return risk * equity / (multiple * true_range)


def volatility_scale(target: float, expected: float, largest: float = 1.0) -> float:
    """What to multiply weights by so that ``expected`` annual volatility becomes ``target``, at most ``largest``.

    Both are fractions a year (Harvey, Hoyle, Korgaonkar, Rattray, Sargaison and Van Hemert 2018).

    Raises:
        ValueError: when target is negative or expected not a positive number.
    """
    if not (target >= 0.0 and expected > 0.0):
        raise ValueError("target must not be negative and expected must be positive")
    return min(largest, target / expected)
