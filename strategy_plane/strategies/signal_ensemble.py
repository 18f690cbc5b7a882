"""Several signals, weighted by what they have shown, traded at optimal weights within the limits of the regime."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from contracts.market import BarEvent, SliceEvent
from strategy_plane.ensemble.information import Summary
from strategy_plane.ensemble.record import TrackRecord
from strategy_plane.ensemble.weighting import (
    ScoreCorrelation,
    ScoreScale,
    Trust,
    combined,
    grinold,
    persistence,
    shrunk_ic,
    signal_weights,
)
from strategy_plane.history import MAX_MISSING, AsOfView
from strategy_plane.market import Market, MarketView
from strategy_plane.optimizers.port import FactorRisk, Limits, Vector
from strategy_plane.regime.features import features_of
from strategy_plane.regime.gate import Exposure, curbed, gated
from strategy_plane.regime.model import Regime, RegimeModel
from strategy_plane.signals.port import Scores, Signal
from strategy_plane.strategies.allocation import Allocator
from strategy_plane.strategies.candidates import SymbolGroup, limits_beside
from strategy_plane.strategies.port import Alarm, Portfolio, Targets

_MARGIN = 1.05
"""Turnover allowed beyond what new limits need, so that rounding does not make them out of reach."""
_SLACK = 0.05
"""How far, as a fraction, gross and net may be beyond the gate of the regime before they are cut."""

_LOST = Alarm(
    "REGIME_UNKNOWN",
    "volatility, drawdown and correlation of the market cannot be told any more: the tightest gate holds until then",
)


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
    """What was known and trusted at a moment: the regime, its probabilities, and each signal's weight."""

    moment: datetime
    regime: Regime
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
        said = {name: signal(view) for name, signal in self._signals.items()}
        wrong = {name: tuple(s for s, score in each.items() if not math.isfinite(score)) for name, each in said.items()}
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
        self.diary.append(Entry(view.at, self.regime, known, self.weights))


class SignalEnsemble:
    """Every ``rebalance_every`` moments: forecast, estimate risk, and optimise within the regime's limits.

    ``exposures`` bound gross and net by regime, beside ``limits``; the tightest does while the regime cannot be told.
    When the bounds tighten, or prices carry what is held beyond them, it is cut in proportion at once and not at
    the next rebalance. What is known of the market comes by way of `on_bar` and of the ``market`` that the stage keeps
    informed; its past is a function of these alone, so a restart rebuilds it.
    """

    def __init__(
        self,
        brain: Brain,
        market: Market,
        allocator: Allocator,
        limits: Limits,
        exposures: Mapping[Regime, Exposure],
        schedule: Schedule,
        groups: Sequence[SymbolGroup] = (),
    ) -> None:
        self._market = market
        self._allocator = allocator
        self._limits = limits
        self._groups = groups
        self._exposures = exposures
        self._schedule = schedule
        self._open: datetime | None = None
        self.brain = brain

    @property
    def warm_up(self) -> int:
        """What the slowest signal or the risk window needs, whichever is more."""
        return max(self.brain.warm_up, self._allocator.risk_window + 1)

    @property
    def period(self) -> int:
        """Moments between two rebalances."""
        return self._schedule.rebalance_every

    def on_bar(self, bar: BarEvent) -> None:
        """Take one bar; the first of a moment ends the moment before it."""
        if self._open is not None and bar.timestamp > self._open:
            self.brain.observe(self._open)
        self._open = bar.timestamp
        self._market.bars.append(bar)
        self.brain.price(bar.symbol, bar.close)

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """Optimal weights within the regime's limits; when there are none an alarm, and at most the gate is held."""
        self._end()
        forecast = self.brain.forecast(moment.timestamp)
        view = self._market.as_of(moment.timestamp).bars
        found = self._allocator(moment, view, forecast, self._expected, self._limits_now, portfolio)
        if found is not None and found.values:
            return _alarmed(found, self._alarms())
        cut = self._cut(portfolio)
        if cut is not None and found is not None:
            cut = replace(cut, alarm=found.alarm)
        return _alarmed(cut or found, self._alarms())

    def at_once(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """What is held, cut to the gate of the regime in force; None while it is within.

        At the moment the regime is lost an alarm, with or without anything to cut.
        """
        self._end()
        return _alarmed(self._cut(portfolio), [_LOST] if self.brain.regimes.is_just_lost else [])

    def _cut(self, portfolio: Portfolio) -> Targets | None:
        held = {symbol: portfolio.weight(symbol) for symbol in portfolio.symbols}
        cut = curbed(held, self._exposure, _SLACK)
        return None if cut is None else Targets(cut)

    @property
    def _exposure(self) -> Exposure:
        """What the regime in force allows; the least that any does while it cannot be told."""
        if not self.brain.regimes.is_lost:
            return self._exposures[self.brain.regime]
        gates = self._exposures.values()
        return Exposure(min(gate.gross for gate in gates), min(gate.net for gate in gates))

    def _alarms(self) -> list[Alarm]:
        """What a person should know of a decision now."""
        alarms = [_LOST] if self.brain.regimes.is_lost else []
        wrong = [f"{name} for {', '.join(symbols[:5])}" for name, symbols in self.brain.not_finite.items()]
        return [*alarms, Alarm("SIGNAL_NOT_FINITE", f"scores are no numbers: {'; '.join(wrong)}")] if wrong else alarms

    def _end(self) -> None:
        """End the moment whose bars have come."""
        if self._open is not None:
            self.brain.observe(self._open)
            self._open = None

    def _expected(self, forecast: Vector, risk: FactorRisk) -> Vector:
        schedule = self._schedule
        return grinold(forecast, np.sqrt(risk.variances), schedule.horizon, schedule.periods_per_year)

    def _limits_now(self, symbols: Sequence[str], current: Vector, portfolio: Portfolio) -> Limits:
        allowed = gated(self._limits, self._exposure)
        limits = limits_beside(allowed, symbols, portfolio, self._groups)
        too_much = float(np.abs(current).sum()) + limits.outside_gross - limits.gross
        too_one_sided = abs(float(current.sum()) + limits.outside_net) - limits.net
        needed = max(too_much, too_one_sided, 0.0)
        # A regime that takes room away must not be defeated by the turnover limit.
        return replace(limits, turnover=max(limits.turnover, needed * _MARGIN))


def _alarmed(targets: Targets | None, alarms: Sequence[Alarm]) -> Targets | None:
    """``targets`` that also tell ``alarms``, under the code of the first one there is."""
    if not alarms:
        return targets
    told = [*([targets.alarm] if targets and targets.alarm else []), *alarms]
    alarm = Alarm(told[0].code, "; ".join(each.detail for each in told))
    return Targets({}, alarm=alarm) if targets is None else replace(targets, alarm=alarm)
