"""Performance measures of an equity curve and its trades, as pure functions of arrays."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

TRADING_DAYS = 252
"""Periods per year of a daily series unless a caller says otherwise."""


def simple_returns(equity: ArrayLike) -> Floats:
    """Returns ``E_t / E_{t-1} - 1`` of ``equity``, shape (n,) in currency units, as fractions of shape (n - 1,).

    Raises:
        ValueError: when a value is not finite or not above zero, since a return needs a positive base.
    """
    values = _finite("equity", equity)
    if np.any(values <= 0.0):
        raise ValueError("equity must stay above zero: no return can be measured from a base of zero or less")
    return values[1:] / values[:-1] - 1.0


def total_return(equity: ArrayLike) -> float:
    """``E_T / E_0 - 1`` of ``equity``, shape (n,) in currency units, as a fraction; NaN without any point.

    Raises:
        ValueError: when a value is not finite or the first is not above zero.
    """
    values = _finite("equity", equity)
    if not len(values):
        return float("nan")
    if values[0] <= 0.0:
        raise ValueError("equity must start above zero")
    return float(values[-1] / values[0] - 1.0)


def volatility(returns: ArrayLike, periods_per_year: float = TRADING_DAYS) -> float:
    """Annualised standard deviation of simple ``returns``, shape (n,), with ddof 1; NaN with fewer than two.

    The square root of time assumes returns without autocorrelation (Lo 2002).
    """
    values = _finite("returns", returns)
    return _deviation(values) * float(np.sqrt(periods_per_year))


def sharpe(returns: ArrayLike, periods_per_year: float = TRADING_DAYS, risk_free: float = 0.0) -> float:
    """Annualised Sharpe ratio: mean excess return over its standard deviation (ddof 1), times √periods.

    ``returns`` are simple, of shape (n,); ``risk_free`` is the return of the riskless asset per period. NaN with fewer
    than two returns or when all are equal, since the ratio then has no denominator (Sharpe 1994; annualisation as in
    Lo 2002 for iid returns).
    """
    excess = _finite("returns", returns) - risk_free
    deviation = _deviation(excess)
    if not deviation > 0.0:
        return float("nan")
    return float(excess.mean() / deviation * np.sqrt(periods_per_year))


def sortino(returns: ArrayLike, periods_per_year: float = TRADING_DAYS, minimum: float = 0.0) -> float:
    """Annualised Sortino ratio: mean excess over ``minimum`` (per period), divided by the downside deviation.

    The downside deviation is ``sqrt(sum(min(r - minimum, 0)²) / n)`` over all ``n`` simple ``returns``, shape (n,)
    (Sortino and Price 1994). NaN without returns or when none falls short of ``minimum``.
    """
    excess = _finite("returns", returns) - minimum
    if not len(excess):
        return float("nan")
    downside = np.sqrt(np.mean(np.minimum(excess, 0.0) ** 2))
    if downside == 0.0:
        return float("nan")
    return float(excess.mean() / downside * np.sqrt(periods_per_year))


def cagr(equity: ArrayLike, periods_per_year: float = TRADING_DAYS) -> float:
    """Compound annual growth ``(E_T / E_0)^(periods / n) - 1``, a fraction.

    ``equity`` has shape (n + 1,), in currency units; NaN with fewer than two points.

    Raises:
        ValueError: when a value is not finite or not above zero.
    """
    growth = simple_returns(equity)
    if not len(growth):
        return float("nan")
    values = np.asarray(equity, np.float64)
    return float((values[-1] / values[0]) ** (periods_per_year / len(growth)) - 1.0)


def drawdowns(equity: ArrayLike, starting_capital: float | None = None) -> Floats:
    """Distance of each point from the highest so far, ``E_t / max_{s<=t} E_s - 1``: zero or negative fractions, (n,).

    ``starting_capital`` counts as a point before the first, so a loss on the first one shows.

    Raises:
        ValueError: when a value is not finite or the first peak is not above zero.
    """
    values = _finite("equity", equity)
    if not len(values):
        return values
    peaks = np.maximum.accumulate(values)
    if starting_capital is not None:
        peaks = np.maximum(peaks, starting_capital)
    if not peaks[0] > 0.0:
        raise ValueError("equity must start above zero for a drawdown to have a base")
    return values / peaks - 1.0


def max_drawdown(equity: ArrayLike, starting_capital: float | None = None) -> float:
    """The deepest of `drawdowns`, (n,): zero or a negative fraction (Magdon-Ismail and Atiya 2004); NaN without any."""
    depths = drawdowns(equity, starting_capital)
    return float(depths.min()) if len(depths) else float("nan")


def longest_drawdown(equity: ArrayLike, starting_capital: float | None = None) -> int:
    """The most points in a row of ``equity``, (n,), below an earlier peak; an unfinished drawdown counts, too."""
    below = drawdowns(equity, starting_capital) < 0.0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], below, [False]))))
    return int(np.max(edges[1::2] - edges[::2], initial=0))


def calmar(equity: ArrayLike, periods_per_year: float = TRADING_DAYS) -> float:
    """`cagr` over the absolute `max_drawdown` of ``equity``, shape (n,) (Young 1991); NaN without a drawdown."""
    depth = max_drawdown(equity)
    if not depth < 0.0:
        return float("nan")
    return cagr(equity, periods_per_year) / -depth


def hit_rate(outcomes: ArrayLike) -> float:
    """Share of gains among the outcomes that are not zero: profits of trades or returns, (n,); NaN without any."""
    values = _finite("outcomes", outcomes)
    decided = np.count_nonzero(values)
    return float(np.count_nonzero(values > 0.0) / decided) if decided else float("nan")


def profit_factor(profits: ArrayLike) -> float:
    """Sum of the gains over the absolute sum of the losses, of ``profits`` (n,); NaN when nothing was lost."""
    values = _finite("profits", profits)
    lost = -values[values < 0.0].sum()
    return float(values[values > 0.0].sum() / lost) if lost > 0.0 else float("nan")


def turnover(traded_value: ArrayLike, equity: ArrayLike, periods_per_year: float = TRADING_DAYS) -> float:
    """Value bought and sold per year as a multiple of mean equity.

    ``traded_value`` are the absolute values of all trades, shape (m,) (both sides count), ``equity`` one point per
    period, shape (n,), both in currency units; years are ``(points - 1) / periods_per_year``. NaN with fewer than two
    points.

    Raises:
        ValueError: when a value is not finite or mean equity is not above zero.
    """
    traded, values = _finite("traded_value", traded_value), _finite("equity", equity)
    if len(values) < 2:
        return float("nan")
    if not values.mean() > 0.0:
        raise ValueError("mean equity must be above zero for turnover to have a base")
    return float(np.abs(traded).sum() / values.mean() * periods_per_year / (len(values) - 1))


def mean_exposure(value: ArrayLike, equity: ArrayLike) -> float:
    """Mean of position value over equity, both (n,) in currency units: gross or net exposure as a fraction.

    NaN without points.

    Raises:
        ValueError: when a value is not finite, lengths differ, or equity is not above zero.
    """
    held, values = _finite("value", value), _finite("equity", equity)
    if len(held) != len(values):
        raise ValueError("value and equity must have one entry per point each")
    if np.any(values <= 0.0):
        raise ValueError("equity must stay above zero for exposure to have a base")
    return float(np.mean(held / values)) if len(values) else float("nan")


def closed_profits(
    units: Sequence[float], prices: Sequence[float], commissions: Sequence[float], rates: Sequence[float] | None = None
) -> Floats:
    """Profit (currency units) of each fill of one symbol that reduces a position, at average cost, after commissions.

    All of shape (n,): ``units`` are signed (bought positive), ``prices`` per unit, ``commissions`` positive when paid;
    in time order. A commission belongs to the units it traded: on entry it adds to the cost of the position, on exit it
    lowers the profit; a fill that turns the position over is split by units. Units within a billionth of flat
    count as flat. A profit is converted at the one of ``rates`` (one for each fill, by default 1) at which it was made.
    """
    profits: list[float] = []
    held = cost = 0.0  # cost: what the held units were bought for, negative when sold short
    for traded, price, commission, rate in zip(units, prices, commissions, rates or [1.0] * len(units), strict=True):
        closing = -_clip(traded, held) if held * traded < 0.0 else 0.0
        if closing:
            basis = cost * (closing / held)
            share = commission * abs(closing / traded)
            profits.append((closing * price - basis - share) * rate)
            cost -= basis
            held -= closing
            if abs(held) < 1e-9:
                held = cost = 0.0
        opening = traded + closing
        if abs(opening) >= 1e-9:
            cost += opening * price + commission * abs(opening / traded)
            held += opening
    return np.asarray(profits, np.float64)


def _clip(traded: float, held: float) -> float:
    """The part of ``traded`` that brings ``held`` towards flat, with the sign of ``traded``."""
    return traded if abs(traded) <= abs(held) else -held


def _deviation(values: Floats) -> float:
    """Sample standard deviation (ddof 1); exactly zero for equal values, NaN for fewer than two."""
    if len(values) < 2:
        return float("nan")
    return float(values.std(ddof=1)) if np.ptp(values) else 0.0


def _finite(name: str, values: ArrayLike) -> Floats:
    array = np.asarray(values, np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite: drop or repair NaN and infinity first")
    return array
