"""Momentum scores turned into expected returns and traded at mean-variance weights."""

from dataclasses import dataclass

import numpy as np

from contracts.market import BarEvent, SliceEvent
from strategy_plane.history import History, Vector
from strategy_plane.optimizers.factor_risk import principal_factor_risk
from strategy_plane.optimizers.port import AllocationStatus, FactorRisk, Limits, Optimizer
from strategy_plane.signals.port import BarSignal
from strategy_plane.strategies.candidates import complete_returns, limits_beside
from strategy_plane.strategies.port import Alarm, Portfolio, Targets


@dataclass(frozen=True, slots=True)
class Conversion:
    """From scores to annual expected returns: ``information_coefficient * volatility * score`` (Grinold 1994)."""

    information_coefficient: float = 0.1
    periods_per_year: float = 252.0

    def expected(self, scores: Vector, risk: FactorRisk) -> Vector:
        """Annual expected returns, shape (n,)."""
        returns: Vector = self.information_coefficient * np.sqrt(risk.variances) * scores
        return returns


class MomentumMeanVariance:
    """Every ``period`` moments: score, estimate risk over ``risk_window`` returns, optimise.

    Only symbols that have a bar now, a score, and nearly all bars of the window take part; what is held
    besides stays and uses up part of the gross and net limits.
    """

    def __init__(
        self,
        signal: BarSignal,
        optimizer: Optimizer,
        limits: Limits,
        conversion: Conversion,
        period: int,
        risk_window: int,
        max_missing: float = 0.05,
    ) -> None:
        if risk_window < 2 or period < 1:
            raise ValueError("risk_window must be at least 2 and period at least 1")
        self._signal = signal
        self._optimizer = optimizer
        self._limits = limits
        self._conversion = conversion
        self._period = period
        self._risk_window = risk_window
        self._max_missing = max_missing
        self._history = History(self.warm_up)

    @property
    def warm_up(self) -> int:
        """What the signal or the risk window needs, whichever is more."""
        return max(self._signal.warm_up, self._risk_window + 1)

    @property
    def period(self) -> int:
        """Moments between two rebalances."""
        return self._period

    def on_bar(self, bar: BarEvent) -> None:
        """Take one close."""
        self._history.append(bar)

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """Optimal weights; the current ones and an alarm when there are none."""
        view = self._history.as_of(moment.timestamp)
        scores = self._signal(view)
        candidates = sorted(scores.keys() & set(moment.symbols))
        symbols, returns = complete_returns(view, candidates, self._risk_window, self._max_missing)
        if not symbols:
            return None
        try:
            risk = principal_factor_risk(returns, self._conversion.periods_per_year)
        except ValueError as fault:
            return Targets({}, alarm=Alarm("RISK_MODEL", str(fault)))
        expected = self._conversion.expected(np.array([scores[symbol] for symbol in symbols]), risk)
        current = np.array([portfolio.weight(symbol) for symbol in symbols])
        allocation = self._optimizer(expected, risk, current, limits_beside(self._limits, symbols, portfolio))
        if allocation.status is not AllocationStatus.OPTIMAL:
            return Targets({}, alarm=Alarm("OPTIMIZER_KEPT", allocation.diagnosis))
        return Targets(dict(zip(symbols, allocation.weights.tolist(), strict=True)))
