"""The part that every optimising strategy shares: from forecasts to weights, by way of risk and costs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from contracts.market import SliceEvent
from strategy_plane.history import AsOfView, Matrix, Vector
from strategy_plane.optimizers.cost_book import CostBook
from strategy_plane.optimizers.port import AllocationStatus, FactorRisk, Limits, Optimizer, TradingCosts
from strategy_plane.strategies.candidates import bounds_of, complete_returns
from strategy_plane.strategies.port import Alarm, Portfolio, PortfolioError, Targets

RiskModel = Callable[[Matrix, float], FactorRisk]
"""From simple returns, shape (periods, n), and periods in a year to annual risk; raises ValueError."""
Expectation = Callable[[Vector, FactorRisk], Vector]
"""From forecasts, shape (n,), to annual expected returns, shape (n,)."""
LimitsNow = Callable[[Sequence[str], Vector, Portfolio], Limits]
"""The limits for these symbols at their current weights."""


@dataclass(frozen=True, slots=True)
class Allocator:
    """Estimates risk over ``risk_window`` returns and optimises.

    A symbol may lack the share ``max_missing`` of them. ``costs`` are what trades are expected to cost; none for free
    ones.
    """

    optimizer: Optimizer
    risk_model: RiskModel
    risk_window: int = 252
    max_missing: float = 0.05
    periods_per_year: float = 252.0
    costs: CostBook | None = None

    def __post_init__(self) -> None:
        if self.risk_window < 2:
            raise ValueError("risk_window must be at least 2")

    def __call__(
        self,
        moment: SliceEvent,
        view: AsOfView,
        forecast: Mapping[str, float],
        expectation: Expectation,
        limits: LimitsNow,
        portfolio: Portfolio,
    ) -> Targets | None:
        """Optimal weights, those first of which most is expected; None without anything to hold.

        When there are no optimal ones, an alarm and no weights: the current ones stay.
        Only symbols that have a bar now, a forecast, an exchange rate and nearly all bars of the window take part.

        Raises:
            PortfolioError: when costs count and equity is not positive.
        """
        candidates = [s for s in sorted(forecast.keys() & set(moment.symbols)) if portfolio.rate(s) > 0.0]
        symbols, returns = complete_returns(view, candidates, self.risk_window, self.max_missing)
        if not symbols:
            lacking = (
                f"none of {len(candidates)} symbols has nearly all of the newest {self.risk_window} bars and moved"
            )
            return Targets({}, alarm=Alarm("RISK_UNKNOWN", lacking)) if candidates else None
        try:
            risk = replace(self.risk_model(returns, self.periods_per_year), symbols=tuple(symbols))
        except ValueError as fault:
            return Targets({}, alarm=Alarm("RISK_MODEL", str(fault)))
        expected = expectation(np.array([forecast[symbol] for symbol in symbols]), risk)
        current = np.array([portfolio.weight(symbol) for symbol in symbols])
        costs = self._costs(symbols, view, portfolio)
        allowed = limits(symbols, current, portfolio)
        allocation = self.optimizer(expected, risk, current, allowed, costs)
        if allocation.status is not AllocationStatus.OPTIMAL:
            return Targets({}, alarm=Alarm("OPTIMIZER_KEPT", allocation.diagnosis))
        alarm = Alarm("COVARIANCE_REPAIRED", risk.repair) if risk.repair else None
        if allocation.diagnosis:
            alarm = Alarm("OPTIMIZER_LEFT_OUT", "; ".join(filter(None, (allocation.diagnosis, risk.repair))))
        ranked = np.argsort(-expected, kind="stable").tolist()
        weights = allocation.weights.tolist()
        values = {symbols[place]: weights[place] for place in ranked}
        return Targets(values, alarm=alarm, bounds=bounds_of(allowed, symbols))

    def _costs(self, symbols: Sequence[str], view: AsOfView, portfolio: Portfolio) -> TradingCosts | None:
        if self.costs is None:
            return None
        equity = portfolio.equity()
        if not equity > 0.0:
            raise PortfolioError("equity is not positive; nothing can be sized")
        return self.costs.of(symbols, view, equity, [portfolio.rate(symbol) for symbol in symbols])
