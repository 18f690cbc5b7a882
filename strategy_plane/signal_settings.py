"""What a person may choose about signals, ensemble and regimes."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from contracts.base import Name, Symbol
from contracts.market import TableName
from strategy_plane.regime.model import Regime
from strategy_plane.signals.earnings import SurpriseScale
from strategy_plane.signals.order_flow import RECENT
from strategy_plane.signals.realised_variance import Estimator
from strategy_plane.signals.technical import Component

Weight = Annotated[float, Field(ge=0, le=100)]
HalfLife = Annotated[float, Field(gt=0, description="moments after which half of a score's information is used up")]
Moments = Annotated[int, Field(ge=1)]
Period = Annotated[timedelta, Field(gt=timedelta(0))]
FlowAge = Annotated[timedelta, Field(gt=timedelta(0), description="order flow does not count after a longer silence")]


def _module_and_name(reference: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", reference):
        raise ValueError("must be module:name, such as my_signals:Quiet for Quiet in my_signals.py")
    return reference


OwnCode = Annotated[
    str, AfterValidator(_module_and_name), Field(description="module:name, looked up in the working directory")
]
"""A class or function in a file of the user's own."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OrderFlowImbalanceSettings(_Section):
    """Flow of the best quotes in units of queue depth (OFI)."""

    kind: Literal["order_flow_imbalance"] = "order_flow_imbalance"
    window: Annotated[int, Field(ge=1, description="intervals summed")] = 5
    max_age: FlowAge = RECENT
    half_life: HalfLife = 1.0


class QueueImbalanceSettings(_Section):
    """The plain ratio of queue volumes."""

    kind: Literal["queue_imbalance"] = "queue_imbalance"
    window: Annotated[int, Field(ge=1, description="intervals averaged")] = 5
    max_age: FlowAge = RECENT
    half_life: HalfLife = 1.0


class EarningsSurpriseSettings(_Section):
    """Standardised unexpected earnings and revenue (ERN)."""

    kind: Literal["earnings_surprise"] = "earnings_surprise"
    table: Annotated[TableName, Field(description="table of announcements")] = "earnings"
    past: Annotated[int, Field(ge=2, description="quarters whose surprises are the yardstick")] = 8
    scale: Annotated[SurpriseScale, Field(description="what a surprise is divided by: past_surprises or price")] = (
        SurpriseScale.PAST_SURPRISES
    )
    revenue_weight: Annotated[Weight, Field(description="of the revenue surprise; earnings have 1")] = 1.0
    hold: Annotated[Period, Field(description="how long an announcement counts")] = timedelta(days=90)
    half_life: HalfLife = 60.0


class VolatilityPremiumSettings(_Section):
    """Implied minus realised variance of names and market (VRP)."""

    kind: Literal["volatility_premium"] = "volatility_premium"
    table: Annotated[TableName, Field(description="table of implied volatilities")] = "implied_volatility"
    index: Annotated[Symbol | None, Field(description="the market's symbol in the table; none for names only")] = (
        "INDEX"
    )
    window: Annotated[int, Field(ge=2, description="bars of realised variance")] = 21
    past: Annotated[int, Field(ge=42, description="bars of betas, and days the index premium is held against")] = 252
    estimator: Annotated[Estimator, Field(description=f"of realised variance: {', '.join(Estimator)}")] = (
        Estimator.YANG_ZHANG
    )
    index_weight: Annotated[Weight, Field(description="of the market's premium times beta; names have 1")] = 1.0
    half_life: HalfLife = 21.0


class PositioningSettings(_Section):
    """Short interest, days to cover and institutional ownership (POS)."""

    kind: Literal["positioning"] = "positioning"
    short_table: Annotated[TableName, Field(description="table of short interest")] = "short_interest"
    ownership_table: Annotated[TableName, Field(description="table of institutional holdings")] = "ownership"
    ratio_weight: Annotated[Weight, Field(description="of the share of a company that is sold short")] = 1.0
    cover_weight: Annotated[Weight, Field(description="of the days it would take to cover")] = 1.0
    ownership_weight: Annotated[Weight, Field(description="of the change in what institutions own")] = 1.0
    max_age: Annotated[Period, Field(description="how long a report counts")] = timedelta(days=120)
    half_life: HalfLife = 40.0

    @model_validator(mode="after")
    def _measures_something(self) -> Self:
        if not (self.ratio_weight or self.cover_weight or self.ownership_weight):
            raise ValueError("ratio_weight, cover_weight or ownership_weight must be above zero")
        return self


class TechnicalSettings(_Section):
    """Measures of past closes (TSX)."""

    kind: Literal["technical"] = "technical"
    lookback: Annotated[int, Field(ge=3, description="bars back to the start of momentum")] = 252
    skip: Annotated[int, Field(ge=0, description="newest bars left out of momentum")] = 21
    reversal_bars: Annotated[Moments, Field(description="bars of the return that is expected to reverse")] = 5
    trend_bars: Annotated[int, Field(ge=4, description="bars that a line is fitted through")] = 126
    rsi_length: Annotated[int, Field(ge=2, description="bars of the relative strength index (Wilder)")] = 14
    short_bars: Annotated[Moments, Field(description="bars of the short mean")] = 21
    long_bars: Annotated[int, Field(ge=2, description="bars of the long mean that the short one is held against")] = 200
    weights: Annotated[
        dict[Component, Weight], Field(min_length=1, description="components left out count nothing")
    ] = dict.fromkeys(Component, 1.0)
    half_life: HalfLife = 60.0

    @model_validator(mode="after")
    def _measures_something(self) -> Self:
        if self.skip >= self.lookback - 1:
            raise ValueError("skip must be below lookback - 1")
        if self.short_bars >= self.long_bars:
            raise ValueError("short_bars must be below long_bars")
        if not any(self.weights.values()):
            raise ValueError("weights: at least one component needs a weight above zero")
        return self


class SentimentSettings(_Section):
    """News sentiment and analyst revisions (SIF)."""

    kind: Literal["sentiment"] = "sentiment"
    news_table: Annotated[TableName, Field(description="table of scored news")] = "news_sentiment"
    estimate_table: Annotated[TableName, Field(description="table of what analysts expect")] = "analyst_estimates"
    news_weight: Annotated[Weight, Field(description="of news")] = 1.0
    revision_weight: Annotated[Weight, Field(description="of revisions")] = 1.0
    news_half_life_days: Annotated[float, Field(gt=0, description="days after which a piece of news counts half")] = 5.0
    news_window: Annotated[Period, Field(description="how long a piece of news counts")] = timedelta(days=30)
    months: Annotated[int, Field(ge=1, description="monthly revisions summed")] = 7
    max_age: Annotated[Period, Field(description="how long an estimate counts")] = timedelta(days=62)
    half_life: HalfLife = 10.0

    @model_validator(mode="after")
    def _measures_something(self) -> Self:
        if not (self.news_weight or self.revision_weight):
            raise ValueError("news_weight or revision_weight must be above zero")
        return self


class OwnSignalSettings(_Section):
    """A signal of your own: a class or function in your own file that gives a `Signal`."""

    kind: Literal["own"] = "own"
    factory: OwnCode
    parameters: Annotated[dict[str, JsonValue], Field(description="its keyword arguments")] = {}


SignalSettings = Annotated[
    OrderFlowImbalanceSettings
    | QueueImbalanceSettings
    | EarningsSurpriseSettings
    | VolatilityPremiumSettings
    | PositioningSettings
    | TechnicalSettings
    | SentimentSettings
    | OwnSignalSettings,
    Field(discriminator="kind"),
]


_READ_FOR = {
    "table": (),
    "short_table": ("ratio_weight", "cover_weight"),
    "ownership_table": ("ownership_weight",),
    "news_table": ("news_weight",),
    "estimate_table": ("revision_weight",),
}
"""Settings that name a table, and the weights without which it is not read."""


def tables_read(signal: SignalSettings) -> dict[str, str]:
    """The tables that ``signal`` reads, by the setting that names each."""
    chosen = dict(signal)
    return {
        name: chosen[name]
        for name, weights in _READ_FOR.items()
        if name in chosen and (not weights or any(chosen[weight] for weight in weights))
    }


def six_families() -> dict[str, SignalSettings]:
    """The six families with their defaults."""
    return {
        "OFI": OrderFlowImbalanceSettings(),
        "ERN": EarningsSurpriseSettings(),
        "VRP": VolatilityPremiumSettings(),
        "POS": PositioningSettings(),
        "TSX": TechnicalSettings(),
        "SIF": SentimentSettings(),
    }


class TrustSettings(_Section):
    """How what signals have shown becomes weights."""

    half_life: Annotated[float, Field(gt=0, description="outcomes after which one counts half")] = 52.0
    prior_ic: Annotated[float, Field(ge=-1, le=1, description="IC expected before anything is known")] = 0.02
    prior_weight: Annotated[float, Field(ge=0, description="independent outcomes the prior is worth")] = 12.0
    floor: Annotated[float, Field(ge=-1, le=1, description="no signal is trusted less")] = 0.0
    orthogonalise: Annotated[bool, Field(description="signals that say the same share what it is worth")] = True


class ExposureSettings(_Section):
    """What may be held in one regime, as fractions of equity."""

    gross: Annotated[float, Field(ge=0, le=100, description="largest sum of absolute weights")]
    net: Annotated[float, Field(ge=0, le=100, description="largest absolute sum of weights")]


class RegimeSettings(_Section):
    """How the market's regime is told and what it allows."""

    first_fit: Annotated[int, Field(ge=60, description="moments before the first fit; NORMAL until then")] = 252
    refit_every: Annotated[int, Field(ge=1, description="moments between two fits")] = 126
    fit_window: Annotated[int, Field(ge=60, description="newest moments that a fit learns from")] = 1000
    starts: Annotated[int, Field(ge=1, description="restarts of each fit; fewer than ten miss the optimum")] = 10
    seed: Annotated[int, Field(ge=0, description="of the restarts, so that a fit can be repeated")] = 7
    certainty: Annotated[float, Field(gt=0, lt=1, description="probability a new regime needs")] = 0.6
    confirmations: Annotated[int, Field(ge=1, description="moments in a row it needs it for")] = 3
    volatility_bars: Annotated[int, Field(ge=2, description="returns of the market's volatility")] = 21
    correlation_bars: Annotated[int, Field(ge=3, description="returns of the mean correlation")] = 63
    drawdown_bars: Annotated[int, Field(ge=2, description="bars that hold the peak of a drawdown")] = 252
    exposures: Annotated[dict[Regime, ExposureSettings], Field(description="gross and net that each regime allows")] = {
        Regime.CALM: ExposureSettings(gross=2.5, net=1.0),
        Regime.NORMAL: ExposureSettings(gross=2.0, net=0.8),
        Regime.STORM: ExposureSettings(gross=1.0, net=0.4),
    }

    @model_validator(mode="after")
    def _every_regime_has_limits(self) -> Self:
        missing = [regime.value for regime in Regime if regime not in self.exposures]
        if missing:
            raise ValueError(f"exposures: {', '.join(missing)} missing")
        storm = self.exposures[Regime.STORM]
        if any(storm.gross > each.gross or storm.net > each.net for each in self.exposures.values()):
            raise ValueError("exposures: STORM must not allow more gross or net than CALM or NORMAL")
        if self.first_fit > self.fit_window:
            raise ValueError("first_fit must not be above fit_window")
        if max(self.volatility_bars, self.correlation_bars) > self.drawdown_bars:
            raise ValueError("drawdown_bars must be at least volatility_bars and correlation_bars")
        return self


SignalName = Name
"""What a signal is called in records and reports."""
