"""Scores from the volatility risk premium: what options charge for variance over what was realised."""

import math
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from strategy_plane.history import Vector
from strategy_plane.market import MarketView
from strategy_plane.signals.port import Inputs, Scores
from strategy_plane.signals.realised_variance import Estimator, realised_variance
from strategy_plane.signals.standardise import LIMIT, against_past, blend, cross_section

MONTH = 21
"""Trading days over which an index's variance is realised."""
_STALE = timedelta(days=7)


def index_premium(implied: Vector, levels: Vector) -> Vector:
    """Bollerslev, Tauchen and Zhou (2009): implied minus realised variance of a month, in percent² per month.

    ``implied`` are implied volatilities in volatility points (VIX), ``levels`` the index, both of shape (n,) by day.
    ``implied² / 12`` less the sum of the 21 squared daily log returns times 10,000. Shape (n - 21,): everything in
    an entry is known at its day, and on average it is positive. (Carr and Wu's realised minus implied looks a month
    ahead: a label, not a signal.)
    """
    squares = np.diff(np.log(levels)) ** 2
    realised = np.convolve(squares, np.ones(MONTH), "valid") * 1e4
    return implied[MONTH:] ** 2 / 12.0 - realised


def betas(closes: Vector) -> Vector:
    """Slope of each symbol's simple returns on their equally weighted mean (Sharpe 1963): (moments, n) to (n,)."""
    steps = closes[1:] / closes[:-1] - 1.0
    market = steps.mean(axis=1)
    centred = market - market.mean()
    spread = float(centred @ centred)
    slopes: Vector = centred @ steps / spread if spread > 0.0 else np.ones(steps.shape[1])
    return slopes


@dataclass(frozen=True, slots=True)
class VolatilityPremium:
    """Implied minus realised variance, of each name and of the market (family VRP).

    Reads ``table``: a row for each symbol and day with ``implied_volatility`` in volatility points per year (a VIX of
    20 is 20), and for the symbol ``index`` also ``level``. Two parts, averaged where both are there:

    * of each name, ``(iv / 100)² - periods_per_year * v`` with ``v`` the variance per bar over ``window`` bars by
      ``estimator``; standardised over the cross-section (Han and Zhou 2012: high premium, high return);
    * of the index, today's `index_premium` against its own past year, times each name's beta less one: a high premium
      predicts high market returns (Bollerslev, Tauchen and Zhou 2009), of which high betas get more than their share.
      These tilts are not winsorised or standardised among the names, only cut at three.

    A symbol whose newest row is older than a week is not scored. Betas are of symbols with nearly all bars
    (`AsOfView.carried`).
    """

    table: str = "implied_volatility"
    index: str | None = "INDEX"
    window: int = MONTH
    past: int = 252
    estimator: Estimator = Estimator.YANG_ZHANG
    periods_per_year: float = 252.0
    index_weight: float = 1.0
    half_life: float = 21.0

    @property
    def inputs(self) -> Inputs:
        """Whole bars for the names and the table of implied volatilities."""
        return Inputs(bars=self.warm_up, whole_bars=True, tables=(self.table,))

    @property
    def warm_up(self) -> int:
        """Bars for realised variance, or for betas when there is an index."""
        return max(self.window, self.past if self.index else 0) + 1

    def __call__(self, view: MarketView) -> Scores:
        """One score per symbol that has bars and a recent implied volatility, or a beta."""
        names = cross_section({symbol: self._premium(view, symbol) for symbol in view.symbols})
        return blend([(1.0, names), (self.index_weight, self._of_index(view))])

    def _premium(self, view: MarketView, symbol: str) -> float:
        newest = view.facts.rows(self.table, symbol, 1)
        if not newest or view.at - newest[-1].event_time > _STALE:
            return math.nan
        bars = view.bars.bars(symbol, self.window + 1)
        if len(bars.close) <= self.window:
            return math.nan
        implied = newest[-1].values.get("implied_volatility", math.nan)
        return (implied / 100.0) ** 2 - self.periods_per_year * realised_variance(bars, self.estimator)

    def _of_index(self, view: MarketView) -> Scores:
        if self.index is None:
            return {}
        days = view.facts.rows(self.table, self.index, self.past + MONTH)
        if len(days) < self.past // 2 + MONTH or view.at - days[-1].event_time > _STALE:
            return {}
        implied, levels = (
            np.array([day.values.get(name, math.nan) for day in days]) for name in ("implied_volatility", "level")
        )
        outlook = against_past(index_premium(implied, levels))
        panel = view.bars.carried(self.past + 1)
        if not math.isfinite(outlook) or len(panel.moments) <= self.past or len(panel.symbols) < 2:
            return {}
        found = dict(zip(panel.symbols, (outlook * (betas(panel.closes) - 1.0)).tolist(), strict=True))
        return {name: max(-LIMIT, min(LIMIT, found[name])) for name in view.symbols if name in found}
