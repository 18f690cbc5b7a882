"""Measures of past closes, one number per symbol: trend, reversal, relative strength, distance of averages."""

import math

import numpy as np

from strategy_plane.history import Matrix, Vector


def trend_strength(closes: Matrix) -> Vector:
    """t-statistic of the slope of log price on time: ``closes`` of shape (moments, n) to (n,), without unit.

    Ordinary least squares with an intercept; the sign is the direction, the size how straight the path was (the
    trend measure of Hurst, Ooi and Pedersen 2017 is its sign). 0 for prices that never moved, and infinite residual
    precision is cut at 1e6.
    """
    logs = np.log(closes)
    count = len(logs)
    time = np.arange(count) - (count - 1) / 2.0
    spread = float(time @ time)
    centred = logs - logs.mean(axis=0)
    slopes = time @ centred / spread
    residuals = centred - np.outer(time, slopes)
    errors = np.sqrt(np.einsum("ij,ij->j", residuals, residuals) / (count - 2) / spread)
    strength: Vector = np.divide(slopes, errors, out=np.zeros_like(slopes), where=errors > 1e-6 * np.abs(slopes))
    return np.where((errors <= 1e-6 * np.abs(slopes)) & (slopes != 0.0), np.sign(slopes) * 1e6, strength)


def reversal(closes: Matrix, length: int) -> Vector:
    """Minus the simple return of the newest ``length`` steps (Jegadeesh 1990; Lehmann 1990): (moments, n) to (n,)."""
    returns: Vector = closes[-1] / closes[-1 - length] - 1.0
    return -returns


def relative_strength_index(closes: Matrix, length: int = 14) -> Vector:
    """Wilder's RSI (1978) at the newest close, in [0, 100]: (moments, n) to (n,).

    Mean gain and mean loss start as plain means of the first ``length`` changes and are then smoothed by
    ``(previous * (length - 1) + now) / length``. What is left of the seed after m more changes is
    (1 - 1/length)^m of it, so a fixed window of 15 lengths answers like the whole past to about 1e-6. 50 for prices
    that never moved.

    Raises:
        ValueError: with fewer than ``length`` + 1 moments.
    """
    changes = np.diff(closes, axis=0)
    if len(changes) < length:
        raise ValueError("an RSI needs length + 1 closes")
    gains, losses = np.maximum(changes, 0.0), np.maximum(-changes, 0.0)
    up, down = _wilder(gains, length), _wilder(losses, length)
    total = up + down
    return np.divide(100.0 * up, total, out=np.full_like(up, 50.0), where=total > 0.0)


def average_distance(closes: Matrix, short: int, long: int) -> Vector:
    """Mean of the newest ``short`` closes over that of the newest ``long``, less one: (moments, n) to (n,).

    Avramov, Kaplanski and Subrahmanyam (2021), "Moving average distance as a predictor of equity returns", with 21
    and 200; their ratio is this plus one.
    """
    distance: Vector = closes[-short:].mean(axis=0) / closes[-long:].mean(axis=0) - 1.0
    return distance


def _wilder(values: Matrix, length: int) -> Vector:
    """The smoothed mean as one weighted sum: the recursion written out."""
    later = len(values) - length
    fade = 1.0 - 1.0 / length
    weights = np.empty(len(values))
    weights[:length] = math.pow(fade, later) / length
    weights[length:] = np.power(fade, np.arange(later - 1, -1, -1)) / length
    smoothed: Vector = weights @ values
    return smoothed
