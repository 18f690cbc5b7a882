"""How an engine rebalances and how much risk it takes, as a person may choose."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from strategy_plane.strategies.port import Frequency

Fraction = Annotated[float, Field(ge=0, le=100)]


class RebalancingSettings(BaseModel):
    """Plans: when they are made, how far they go and who must agree."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    every: Annotated[Frequency, Field(description="the first moment of each such period is a rebalance")] = (
        Frequency.MONTHLY
    )
    drift_band: Annotated[
        Fraction, Field(description="a weight that moves further since the last plan calls for a new one; 0 never")
    ] = 0.0
    turnover_cap: Annotated[
        Fraction, Field(description="sum of absolute weight changes of one plan; the gate of a regime comes first")
    ] = 100.0
    within_cash: Annotated[bool, Field(description="buy only what cash pays for")] = True
    cost_allowance: Annotated[
        float,
        Field(ge=0, le=0.5, description="part of a purchase's value kept for its commission and the next bar's move"),
    ] = 0.005
    requires_approval: Annotated[bool, Field(description="order nothing before a person approves the plan")] = False
    valid_for: Annotated[
        timedelta, Field(gt=timedelta(0), le=timedelta(days=366), description="after this a plan has run out")
    ] = timedelta(days=5)


class PositionRiskSettings(BaseModel):
    """Positions no larger than their average true range allows."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    risk: Annotated[float, Field(gt=0, le=1, description="fraction of equity that such a move may cost")] = 0.01
    window: Annotated[int, Field(ge=1, le=1000, description="true ranges averaged (Wilder)")] = 14
    multiple: Annotated[float, Field(gt=0, le=100, description="average true ranges that the price moves")] = 2.0


class VolatilityTargetSettings(BaseModel):
    """Weights scaled so that the portfolio has a chosen volatility."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    annual: Annotated[float, Field(gt=0, le=10, description="annual volatility aimed at")] = 0.1
    window: Annotated[int, Field(ge=2, description="returns it is estimated from")] = 60
    half_life: Annotated[float, Field(gt=0, description="bars after which a return counts half")] = 20.0
    largest: Annotated[float, Field(gt=0, le=10, description="weights are never scaled up beyond this")] = 1.0
    periods_per_year: Annotated[float, Field(gt=0, description="bars in a year")] = 252.0
