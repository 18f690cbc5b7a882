"""Several signals, weighted by what they have shown, traded at optimal weights within the limits of the regime."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from contracts.market import BarEvent, SliceEvent
from strategy_plane.ensemble.brain import Brain, Schedule
from strategy_plane.ensemble.weighting import grinold
from strategy_plane.market import Market
from strategy_plane.optimizers.port import FactorRisk, Limits, Vector
from strategy_plane.regime.gate import Exposure, curbed, gated
from strategy_plane.regime.model import Regime
from strategy_plane.strategies.allocation import Allocator
from strategy_plane.strategies.candidates import SymbolGroup, limits_beside
from strategy_plane.strategies.port import Alarm, Portfolio, Targets, exposure_bounds

_MARGIN = 1.05
"""Turnover allowed beyond what new limits need, so that rounding does not make them out of reach."""
_SLACK = 0.05
"""How far, as a fraction, gross and net may be beyond the gate of the regime before they are cut."""

_LOST = Alarm(
    "REGIME_UNKNOWN",
    "volatility, drawdown and correlation of the market cannot be told any more: the tightest gate holds until then",
)


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
        if cut is None:
            return None
        allowed = self._exposure
        return Targets(cut, bounds=exposure_bounds(allowed.gross, allowed.net, -allowed.net))

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
    told = [*alarms, *([targets.alarm] if targets and targets.alarm else [])]
    alarm = Alarm(told[0].code, "; ".join(each.detail for each in told))
    return Targets({}, alarm=alarm) if targets is None else replace(targets, alarm=alarm)
