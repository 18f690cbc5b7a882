"""What an operator may set of the automatic kill switches."""

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from contracts.base import Name
from contracts.control import KillAction, KillScope
from order_plane.limit_settings import Fraction, Positive, Section


class DailyLossSettings(Section):
    """Trips when the result of the day is below minus ``limit``, a fraction of equity at the start of the day."""

    limit: Fraction = 0.05
    warning: Fraction | None = 0.03
    action: KillAction = KillAction.HALT


class DrawdownSettings(Section):
    """Trips when equity is more than the fraction ``limit`` below its highest mark."""

    limit: Fraction = 0.15
    warning: Fraction | None = 0.10
    action: KillAction = KillAction.HALT_AND_FLATTEN


class SharpeSettings(Section):
    """Trips when the probabilistic Sharpe ratio of daily returns against zero is below ``limit``.

    It is taken over the newest ``window`` days and asked from ``minimum`` daily returns on.
    """

    limit: Fraction = 0.20
    warning: Fraction | None = 0.30
    minimum: int = Field(default=60, ge=3, le=10_000)
    window: int = Field(default=252, ge=3, le=10_000)
    action: KillAction = KillAction.HALT_AND_INVESTIGATE

    @model_validator(mode="after")
    def _window_holds_the_minimum(self) -> Self:
        if self.window < self.minimum:
            raise ValueError("window must be at least minimum")
        return self


class StormSettings(Section):
    """Trips at more than ``count`` events within ``window`` of event time."""

    count: int = Field(default=50, ge=1, le=1_000_000)
    window: timedelta = timedelta(minutes=1)
    action: KillAction = KillAction.HALT_AND_INVESTIGATE


class MarketDataSettings(Section):
    """Trips when the price of something held is missing or older than ``max_age`` in event time."""

    max_age: timedelta
    action: KillAction = KillAction.HALT


class GuardSettings(Section):
    """One automatic kill switch: what it watches and what it stops; null leaves a cause unwatched.

    An account guard watches the whole account, a strategy guard the orders of ``strategy_id`` alone. ``capital`` is
    what either started with, in currency units; null takes the account's.
    """

    scope: KillScope = KillScope.ACCOUNT
    strategy_id: Name | None = None
    capital: Positive | None = None
    daily_loss: DailyLossSettings | None = DailyLossSettings()
    drawdown: DrawdownSettings | None = DrawdownSettings()
    sharpe: SharpeSettings | None = SharpeSettings()
    rejects: StormSettings | None = StormSettings()
    market_data: MarketDataSettings | None = None

    @model_validator(mode="after")
    def _a_strategy_guard_names_its_strategy(self) -> Self:
        if (self.scope is KillScope.STRATEGY) != (self.strategy_id is not None):
            raise ValueError("strategy_id belongs to scope STRATEGY, and only to it")
        return self

    @model_validator(mode="after")
    def _warnings_come_first(self) -> Self:
        for name in ("daily_loss", "drawdown"):
            each = getattr(self, name)
            if each is not None and each.warning is not None and each.warning > each.limit:
                raise ValueError(f"{name}.warning must not be above its limit")
        if self.sharpe is not None and self.sharpe.warning is not None and self.sharpe.warning < self.sharpe.limit:
            raise ValueError("sharpe.warning must not be below its limit")
        return self
