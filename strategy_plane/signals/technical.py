"""Scores from past prices alone: momentum, reversal, trend, relative strength and moving averages."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from strategy_plane.history import AsOfView, Matrix, Panel, Vector
from strategy_plane.market import MarketView
from strategy_plane.signals.port import Inputs, Scores
from strategy_plane.signals.price_measures import average_distance, relative_strength_index, reversal, trend_strength
from strategy_plane.signals.standardise import blend, cross_section

_UNIT = 2.0**64
"""A price times this is a whole number: every price of 2**-12 or more keeps all its bits."""
_ROUNDING = 1e-15
"""More than all roundings of one step, as a fraction of the numbers that go into it."""


class MovingAveragePair:
    """Whether the fast one of two simple moving averages of one price series is above the slow one.

    The lead of the fast mean is carried on from price to price together with a bound on its error. Where the
    lead is within the bound it is computed anew from exact sums. So the answer is always that of the true
    means and depends on nothing but the prices in the windows: a run, a run resumed half way and a
    recomputation agree, and equal means are equal. Prices below 2**-12 are cut at 2**-64.
    """

    __slots__ = (
        "_ahead", "_answers", "_bound", "_fast", "_fast_start", "_lead", "_leads", "_leads_bound", "_prices", "_slow",
    )  # fmt: skip

    def __init__(self, fast: int, slow: int) -> None:
        if not 1 <= fast < slow:
            raise ValueError("fast must be at least 1 and below slow")
        self._fast = fast
        self._slow = slow
        self._fast_start = slow - fast
        self._prices: deque[float] = deque(maxlen=slow)
        self._lead = self._bound = 0.0
        self._ahead: Vector = np.empty(0)  # prices that were looked through, and what was found at each
        self._leads, self._leads_bound, self._answers = self._ahead, 0.0, b""

    def push(self, price: float) -> bool | None:
        """Take the next price; None until ``slow`` prices have been seen."""
        prices, slow = self._prices, self._slow
        if len(prices) < slow:
            prices.append(price)
            return self._exactly() if len(prices) == slow else None
        left_fast, left_slow = prices[self._fast_start], prices[0]
        prices.append(price)
        lead = self._lead = self._lead + (price - left_fast) / self._fast - (price - left_slow) / slow
        size = lead if lead > 0.0 else -lead
        bound = self._bound = self._bound + (price + left_fast + left_slow + size) * _ROUNDING
        return lead > 0.0 if size > bound else self._exactly()

    def push_until(self, prices: Vector, begin: int, end: int, above: bool) -> tuple[int, bool]:
        """`push` each of ``prices`` from ``begin`` until it does not answer ``above``, after ``slow`` prices were seen.

        Returns the place after the last price taken, at least one, and whether its answer was the other one. ``prices``
        are looked through once, to their end: until others are given, each is to be pushed, in this way or the other.
        """
        if prices is not self._ahead:
            self._look_ahead(prices, begin)
        crossing = self._answers.find(not above, begin, end)
        place = end if crossing < 0 else crossing + 1
        self._prices.extend(prices[max(begin, place - self._slow) : place].tolist())
        self._lead, self._bound = self._leads.item(place - 1), self._leads_bound
        return place, crossing >= 0

    def _look_ahead(self, prices: Vector, begin: int) -> None:
        self._exactly()
        new = prices[begin:]
        window = np.concatenate([self._prices, new])
        left_fast, left_slow = window[self._fast_start : -self._fast], window[: -self._slow]
        leads = np.full(len(prices), np.nan)
        leads[begin:] = self._lead + np.cumsum((new - left_fast) / self._fast - (new - left_slow) / self._slow)
        # One bound on all errors: no lead is larger than the largest price.
        bound = self._bound + 4.0 * len(new) * float(window.max()) * _ROUNDING
        answers = leads > 0.0
        for place in np.flatnonzero(np.abs(leads) <= bound).tolist():
            answers[place] = self._scaled_lead(window[place + 1 - begin :][: self._slow]) > 0
        self._ahead, self._leads, self._leads_bound, self._answers = prices, leads, bound, answers.tobytes()

    def _exactly(self) -> bool:
        lead = self._scaled_lead(self._prices)
        self._lead = lead / (self._fast * self._slow) / _UNIT
        self._bound = abs(self._lead) * _ROUNDING + 2.0 / _UNIT
        return lead > 0

    def _scaled_lead(self, prices: Iterable[float]) -> int:
        scaled = [int(price * _UNIT) for price in prices]
        return sum(scaled[self._fast_start :]) * self._slow - sum(scaled) * self._fast


class Standardisation(StrEnum):
    """What a momentum score is compared with."""

    CROSS_SECTION = "cross_section"
    OWN_VOLATILITY = "own_volatility"


@dataclass(frozen=True, slots=True)
class Momentum:
    """Return from ``lookback`` bars ago to ``skip`` bars ago, standardised; 252 and 21 is the 12-1 form.

    ``CROSS_SECTION``: z-score among the symbols of the moment (population standard deviation; Jegadeesh
    and Titman 1993 rank the same quantity). ``OWN_VOLATILITY``: divided by the symbol's own volatility over
    the same span (Moskowitz, Ooi and Pedersen 2012). Scores beyond ``limit`` are cut to it.

    A symbol is scored when it has a bar at the view's newest moment, one by the first of the span, and at least half
    of the steps between; without a bar at an end of the span the close before counts there. A cross-section of fewer
    than two symbols has no scores.
    """

    lookback: int = 252
    skip: int = 21
    standardisation: Standardisation = Standardisation.CROSS_SECTION
    limit: float = 3.0

    def __post_init__(self) -> None:
        if not 0 <= self.skip < self.lookback - 1:
            raise ValueError("skip must be at least 0 and below lookback - 1")

    @property
    def warm_up(self) -> int:
        """Closes needed: both ends of the span count."""
        return self.lookback + 1

    def __call__(self, view: AsOfView) -> dict[str, float]:
        """One score per symbol that can be scored."""
        panel = view.panel(self.warm_up)
        if len(panel.moments) < self.warm_up:
            return {}
        span = panel.closes[: self.lookback + 1 - self.skip]
        first, last = (_known_by(view, panel, row) for row in (0, len(span) - 1))
        scored = np.isfinite(panel.closes[-1]) & np.isfinite(first)
        steps = _relative_steps(span[:, scored])
        enough = np.isfinite(steps).sum(axis=0) * 2 >= len(steps)
        returns = (last / first - 1.0)[scored][enough]
        raw = self._standardise(returns, steps[:, enough])
        names = [symbol for symbol, kept in zip(panel.symbols, scored, strict=True) if kept]
        kept_names = [name for name, kept in zip(names, enough, strict=True) if kept]
        cut = np.clip(raw, -self.limit, self.limit)
        return {name: float(score) for name, score in zip(kept_names, cut, strict=True) if math.isfinite(score)}

    def _standardise(self, returns: Vector, steps: Vector) -> Vector:
        if self.standardisation is Standardisation.OWN_VOLATILITY:
            spread: Vector = np.sqrt(np.nanvar(steps, axis=0, ddof=1) * len(steps)) if len(returns) else returns
            return np.divide(returns, spread, out=np.full_like(returns, np.nan), where=spread > 0)
        if len(returns) < 2:
            return np.full_like(returns, np.nan)
        deviation = float(np.std(returns))
        centred: Vector = returns - np.mean(returns)
        return centred / deviation if deviation > 0 else np.zeros_like(returns)


def _known_by(view: AsOfView, panel: Panel, row: int) -> Vector:
    """Closes at one row of ``panel``, of symbols without a bar there their last ones before; NaN without any."""
    closes: Vector = panel.closes[row].copy()
    for place in np.flatnonzero(np.isnan(closes)).tolist():
        before = view.closes(panel.symbols[place], 1, panel.moments[row])
        closes[place] = before[0] if len(before) else np.nan
    return closes


def _relative_steps(closes: Vector) -> Vector:
    steps: Vector = closes[1:] / closes[:-1] - 1.0
    return steps


class Component(StrEnum):
    """The parts of `Technical`."""

    CROSS_SECTIONAL_MOMENTUM = "cross_sectional_momentum"
    TIME_SERIES_MOMENTUM = "time_series_momentum"
    MEAN_REVERSION = "mean_reversion"
    TREND = "trend"
    RELATIVE_STRENGTH = "relative_strength"
    AVERAGE_DISTANCE = "average_distance"


def _equal_weights() -> dict[Component, float]:
    return dict.fromkeys(Component, 1.0)


@dataclass(frozen=True, slots=True)
class Technical:
    """A blend of measures of past closes (family TSX); ``weights`` by component, zero or absent leaves one out.

    * cross-sectional momentum (Jegadeesh and Titman 1993) and time-series momentum (Moskowitz, Ooi and Pedersen
      2012) from ``lookback`` bars ago to ``skip`` bars ago: 252 and 21 are the 12-1 form; these two are not winsorised
      before they are standardised, only cut at three afterwards (`Momentum`);
    * mean reversion over ``reversal_bars``, trend over ``trend_bars``, relative strength of ``rsi_length`` read
      against the crowd (50 - RSI: overbought scores low), and the distance of ``short_bars`` and ``long_bars`` means;
      these four are winsorised and standardised over the cross-section (`cross_section`).
    """

    lookback: int = 252
    skip: int = 21
    reversal_bars: int = 5
    trend_bars: int = 126
    rsi_length: int = 14
    short_bars: int = 21
    long_bars: int = 200
    weights: Mapping[Component, float] = field(default_factory=_equal_weights)
    half_life: float = 60.0

    @property
    def inputs(self) -> Inputs:
        """Closes only."""
        return Inputs(bars=self.warm_up)

    @property
    def warm_up(self) -> int:
        """What the longest component in use needs."""
        lengths = {
            Component.CROSS_SECTIONAL_MOMENTUM: self.lookback + 1,
            Component.TIME_SERIES_MOMENTUM: self.lookback + 1,
            Component.MEAN_REVERSION: self.reversal_bars + 1,
            Component.TREND: self.trend_bars,
            Component.RELATIVE_STRENGTH: 15 * self.rsi_length + 1,
            Component.AVERAGE_DISTANCE: self.long_bars,
        }
        return max(length for component, length in lengths.items() if self.weights.get(component))

    def __call__(self, view: MarketView) -> Scores:
        """One score per symbol that a component in use can score."""
        return blend([(self.weights[part], self.component(part, view.bars)) for part in self.weights])

    def component(self, part: Component, bars: AsOfView) -> Scores:
        """The scores of one component alone."""
        if part is Component.CROSS_SECTIONAL_MOMENTUM:
            return Momentum(self.lookback, self.skip)(bars)
        if part is Component.TIME_SERIES_MOMENTUM:
            return Momentum(self.lookback, self.skip, Standardisation.OWN_VOLATILITY)(bars)
        length, measure = self._measures()[part]
        return cross_section(_measured(bars, length, measure))

    def _measures(self) -> Mapping[Component, tuple[int, Callable[[Matrix], Vector]]]:
        return {
            Component.MEAN_REVERSION: (self.reversal_bars + 1, lambda closes: reversal(closes, self.reversal_bars)),
            Component.TREND: (self.trend_bars, trend_strength),
            Component.RELATIVE_STRENGTH: (
                15 * self.rsi_length + 1,
                lambda closes: 50.0 - relative_strength_index(closes, self.rsi_length),
            ),
            Component.AVERAGE_DISTANCE: (
                self.long_bars,
                lambda closes: average_distance(closes, self.short_bars, self.long_bars),
            ),
        }


def _measured(bars: AsOfView, length: int, measure: Callable[[Matrix], Vector]) -> dict[str, float]:
    """``measure`` of every symbol that has a bar now and nearly all of the newest ``length`` (`AsOfView.carried`)."""
    panel = bars.carried(length)
    if len(panel.moments) < length or not panel.symbols:
        return {}
    found = dict(zip(panel.symbols, measure(panel.closes).tolist(), strict=True))
    return {symbol: found[symbol] for symbol in bars.traded if symbol in found}
