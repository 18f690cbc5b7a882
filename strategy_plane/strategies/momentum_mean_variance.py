"""Momentum scores turned into expected returns and traded at mean-variance weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from contracts.market import BarEvent, SliceEvent
from strategy_plane.history import History, Vector
from strategy_plane.optimizers.port import FactorRisk, Limits
from strategy_plane.signals.port import BarSignal
from strategy_plane.strategies.allocation import Allocator
from strategy_plane.strategies.candidates import SymbolGroup, limits_beside
from strategy_plane.strategies.port import Portfolio, Targets, nobody_scored


@dataclass(frozen=True, slots=True)
class Conversion:
    """From scores to annual expected returns: ``information_coefficient * volatility * score`` (Grinold 1994)."""

    information_coefficient: float = 0.1

    def expected(self, scores: Vector, risk: FactorRisk) -> Vector:
        """Annual expected returns, shape (n,)."""
        returns: Vector = self.information_coefficient * np.sqrt(risk.variances) * scores
        return returns


class MomentumMeanVariance:
    """Every ``period`` moments: score, and let ``allocator`` choose weights within ``limits``.

    What is held besides the symbols that take part stays and uses up part of the gross and net limits.
    """

    def __init__(
        self,
        signal: BarSignal,
        allocator: Allocator,
        limits: Limits,
        information_coefficient: float,
        period: int,
        groups: Sequence[SymbolGroup] = (),
    ) -> None:
        if period < 1:
            raise ValueError("period must be at least 1")
        self._signal = signal
        self._allocator = allocator
        self._limits = limits
        self._groups = groups
        self._conversion = Conversion(information_coefficient)
        self._period = period
        costs = allocator.costs
        self._history = History(max(self.warm_up, costs.bars if costs else 1), whole_bars=costs is not None)

    @property
    def warm_up(self) -> int:
        """What the signal or the risk window needs, whichever is more."""
        return max(self._signal.warm_up, self._allocator.risk_window + 1)

    @property
    def period(self) -> int:
        """Moments between two rebalances."""
        return self._period

    def on_bar(self, bar: BarEvent) -> None:
        """Take one bar."""
        self._history.append(bar)

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """Optimal weights; the current ones and an alarm when there are none."""
        view = self._history.as_of(moment.timestamp)
        scores = self._signal(view)
        if not scores:
            return nobody_scored(len(view.traded))
        return self._allocator(moment, view, scores, self._conversion.expected, self._limits_now, portfolio)

    def _limits_now(self, symbols: Sequence[str], current: Vector, portfolio: Portfolio) -> Limits:
        return limits_beside(self._limits, symbols, portfolio, self._groups)
