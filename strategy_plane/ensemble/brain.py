"""What is known and trusted of the market at each moment: scores, weights of the signals, and the regime."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from strategy_plane.ensemble.information import Summary
from strategy_plane.ensemble.record import TrackRecord
from strategy_plane.ensemble.weighting import (
    ScoreCorrelation,
    ScoreScale,
    Trust,
    combined,
    persistence,
    shrunk_ic,
    signal_weights,
)
from strategy_plane.history import MAX_MISSING, AsOfView
from strategy_plane.market import Market, MarketView
from strategy_plane.regime.features import features_of
from strategy_plane.regime.model import Regime, RegimeModel
from strategy_plane.signals.port import Scores, Signal

_LARGEST = 1e100
"""Squares of larger scores do not fit into a float."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When what is done, in moments: scores are kept every ``score_every``, weights chosen every ``rebalance_every``.

    Labels span ``horizon`` moments; ``periods_per_year`` moments make a year.
    """

    score_every: int = 5
    rebalance_every: int = 21
    horizon: int = 21
    periods_per_year: float = 252.0


@dataclass(frozen=True, slots=True)
class RegimeWindows:
    """Returns that the volatility, the correlation and the drawdown of the market are measured over.

    A symbol takes part that lacks at most the share ``max_missing`` of the bars.
    """

    volatility: int = 21
    correlation: int = 63
    drawdown: int = 252
    max_missing: float = MAX_MISSING


@dataclass(frozen=True, slots=True)
class Entry:
    """What was known and trusted at a moment: the regime, its probabilities, and each signal's weight.

    There is no ``regime`` while it cannot be told (`RegimeModel.is_lost`) and the tightest gate holds.
    """

    moment: datetime
    regime: Regime | None
    probabilities: tuple[float, ...]
    weights: Mapping[str, float]


class Brain:
    """Scores, trust and regime of every moment, as a function of the market alone.

    ``scores`` are those of the newest moment of scoring, by signal and of a size of about one (`ScoreScale`);
    ``not_finite`` are the symbols, by signal, whose newest scores are no numbers and count as not given.
    `observe` must be called once for each moment, in time order, after all of its bars. ``diary`` has an entry for
    each moment of scoring.
    """

    def __init__(
        self,
        signals: Mapping[str, Signal],
        market: Market,
        trust: Trust,
        schedule: Schedule,
        regimes: RegimeModel,
        windows: RegimeWindows,
    ) -> None:
        if not signals:
            raise ValueError("an ensemble needs at least one signal")
        self._signals = dict(signals)
        self._market = market
        self._trust = trust
        self._schedule = schedule
        self.regimes = regimes
        self._windows = windows
        self._overlap = schedule.horizon / schedule.score_every
        self._record = TrackRecord(tuple(signals), schedule.horizon)
        self._scale = ScoreScale(tuple(signals), trust.half_life)
        self._correlation = ScoreCorrelation(tuple(signals), trust, self._overlap)
        self._persistence = {
            name: persistence(signal.half_life, schedule.horizon, schedule.rebalance_every)
            for name, signal in self._signals.items()
        }
        self._moments = 0
        self._prices: dict[str, float] = {}
        self.weights: Mapping[str, float] = dict.fromkeys(signals, trust.prior_ic)
        self.scores: Mapping[str, Scores] = {}
        self.not_finite: Mapping[str, tuple[str, ...]] = {}
        self.diary: list[Entry] = []

    @property
    def warm_up(self) -> int:
        """Moments needed before the slowest signal scores."""
        return max(signal.warm_up for signal in self._signals.values())

    @property
    def regime(self) -> Regime:
        """The regime in force at the newest moment observed, or when it could last be told (`RegimeModel.is_lost`)."""
        return self.regimes.regime

    def price(self, symbol: str, close: float) -> None:
        """Take a close of the moment that is observed next."""
        self._prices[symbol] = close

    def observe(self, at: datetime) -> None:
        """Take the moment ``at``: labels that end now mature, the regime moves on, and it may be time to score."""
        view = self._market.as_of(at)
        self._record.advance(self._prices)
        self._follow(view.bars)
        if self._moments % self._schedule.score_every == 0:
            self._score(view)
        self._moments += 1

    def summaries(self) -> dict[str, Summary]:
        """What each signal has shown so far, matured labels only."""
        return self._record.summaries(self._schedule.score_every, self._schedule.periods_per_year)

    def forecast(self, at: datetime) -> dict[str, float]:
        """``IC * score`` of all signals together by symbol, from scores as of ``at``.

        The faster a score fades, the more it counts when weights are held for less than its horizon, and the less when
        for more.
        """
        scores = self._scale.standard(self._heard(self._market.as_of(at)))
        return combined(scores, self._weights_in_use())

    def _heard(self, view: MarketView) -> dict[str, Scores]:
        """What each signal says now; a score that is no number is left out and remembered in ``not_finite``."""
        said = {name: _numbers(name, signal(view)) for name, signal in self._signals.items()}
        wrong = {name: tuple(s for s, score in each.items() if math.isnan(score)) for name, each in said.items()}
        self.not_finite = {name: symbols for name, symbols in wrong.items() if symbols}
        return {
            name: {symbol: score for symbol, score in each.items() if symbol not in wrong[name]}
            for name, each in said.items()
        }

    def _weights_in_use(self) -> dict[str, float]:
        """Weights of the scores for as long as they are held."""
        return {name: weight * self._persistence[name] for name, weight in self.weights.items()}

    def _follow(self, bars: AsOfView) -> None:
        windows = self._windows
        lengths = windows.volatility, windows.correlation, windows.drawdown
        found = features_of(bars, *lengths, self._schedule.periods_per_year, windows.max_missing)
        if found is None:
            self.regimes.miss()
        else:
            self.regimes.update(bars.at, found)

    def _score(self, view: MarketView) -> None:
        heard = self._heard(view)
        self._scale.add(heard)
        self.scores = self._scale.standard(heard)
        self._correlation.add(self.scores)
        ics = np.array([shrunk_ic(self._record.outcomes[name], self._trust, self._overlap) for name in self._signals])
        chosen = signal_weights(ics, self._correlation.matrix(), self._trust)
        self.weights = dict(zip(self._signals, chosen.tolist(), strict=True))
        used = self._weights_in_use()
        total = math.fsum(map(abs, used.values()))
        shares = {name: weight / total if total > 0.0 else 0.0 for name, weight in used.items()}
        self._record.score(self.scores, shares, dict(self._prices))
        probabilities = self.regimes.probabilities
        known = () if probabilities is None else tuple(probabilities.tolist())
        regime = None if self.regimes.is_lost else self.regime
        self.diary.append(Entry(view.at, regime, known, self.weights))


def _numbers(name: str, answer: object) -> Scores:
    """What the signal ``name`` says, NaN for what cannot be reckoned with; one's own may say anything.

    Raises:
        TypeError: when that is neither scores by symbol nor None.
    """
    if answer is None:
        return {}
    items = getattr(answer, "items", None)
    if not callable(items):
        raise TypeError(f"the signal {name} must return scores by symbol, and returned a {type(answer).__name__}")
    return {str(symbol): _number(score) for symbol, score in items()}


def _number(score: Any) -> float:  # noqa: ANN401 - the user's own
    try:
        number = float(score)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if abs(number) <= _LARGEST else math.nan
