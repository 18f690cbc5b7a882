"""Which optimizer, and its parameters, as a person may choose them."""

import math
from collections.abc import Iterable
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from contracts.base import Name, Symbol
from domain.spelling import meant

_ROUNDING = 1e-4
"""How far weights written by hand may be from their sum."""


def _share(confidence: float) -> float:
    if not 0.0 < confidence <= 1.0:
        raise ValueError("must be above 0 and at most 1, which is certainty; leave out what nobody believes")
    return confidence


def _yearly(expected: float) -> float:
    if not -1.0 <= expected <= 1.0:
        raise ValueError("must be a fraction a year, from -1 to 1: 0.08 is 8 %")
    return expected


Confidence = Annotated[float, AfterValidator(_share)]
YearlyReturn = Annotated[float, AfterValidator(_yearly)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MeanVarianceSettings(_Section):
    """Expected returns against risk."""

    name: Literal["mean_variance"] = "mean_variance"
    risk_aversion: Annotated[float, Field(gt=0, description="return given up per unit of annual variance, times 2")] = (
        2.0
    )
    cross_check: Annotated[bool, Field(description="solve every problem a second time with PIQP; slow")] = False


class ViewSettings(_Section):
    """What a person expects: of one symbol or a basket (absolute), or of some over others (relative)."""

    weights: Annotated[
        dict[Symbol, float],
        Field(description="parts by symbol: sum 1 in an absolute view; 1 and -1, together 0, in a relative one"),
    ]
    expected: Annotated[YearlyReturn, Field(description="return a year above cash, as a fraction: 0.08 is 8 %")]
    confidence: Annotated[Confidence, Field(description="above 0, and 1 is certainty (Idzorek)")]

    @field_validator("weights")
    @classmethod
    def _are_parts_of_one(cls, weights: dict[str, float]) -> dict[str, float]:
        longs = math.fsum(weight for weight in weights.values() if weight > 0.0)
        shorts = math.fsum(weight for weight in weights.values() if weight < 0.0)
        if abs(longs - 1.0) <= _ROUNDING and min(abs(shorts), abs(shorts + 1.0)) <= _ROUNDING:
            return weights
        raise ValueError(
            "must sum to 1 in an absolute view, or to 0 in a relative one, its longs to 1 and its shorts to -1; "
            f"these longs sum to {longs:g}, these shorts to {shorts:g}"
        )


class BlackLittermanSettings(_Section):
    """Views on top of what the market's weights imply: those of the signals, of one confidence, and your own."""

    name: Literal["black_litterman"] = "black_litterman"
    risk_aversion: Annotated[float, Field(gt=0, description="the market's and the investor's")] = 2.5
    confidence: Annotated[Confidence, Field(description="in every view of the signals; 1 is certainty (Idzorek)")] = 0.5
    tau: Annotated[float, Field(gt=0, le=1, description="uncertainty of the equilibrium, of the covariance")] = 0.05
    market: Annotated[
        Literal["equal_weight", "inverse_volatility"] | dict[Symbol, Annotated[float, Field(ge=0)]],
        Field(description="stands for the market's weights; or sizes by symbol, such as capitalisations"),
    ] = "equal_weight"
    from_signals: Annotated[bool, Field(description="take what signals expect as views; off leaves only your own")] = (
        True
    )
    views: Annotated[
        dict[Name, ViewSettings], Field(description="your own views by name; see the README, Views of your own")
    ] = {}

    @model_validator(mode="after")
    def _can_be_blended(self) -> Self:
        if not self.from_signals and not self.views:
            raise ValueError("from_signals is off and views is empty: name a view, or leave from_signals on")
        if isinstance(self.market, dict) and not any(self.market.values()):
            raise ValueError("market names no symbol with a size above 0: give sizes, or a rule by its name")
        certain = [view.weights for view in self.views.values() if view.confidence == 1.0]
        if certain and self.from_signals and self.confidence == 1.0:
            raise ValueError(
                "confidence: signals are certain, and so is a view of yours: lower one, or from_signals: false"
            )
        symbols = sorted({symbol for weights in certain for symbol in weights})
        picks = np.array([[weights.get(symbol, 0.0) for symbol in symbols] for weights in certain])
        if certain and np.linalg.matrix_rank(picks) < len(certain):
            raise ValueError("views of confidence 1 repeat or contradict each other: lower the confidence of one")
        return self

    def strangers(self, known: Iterable[str]) -> list[str]:
        """Symbols that are not ``known``, with where each is named and which may be meant."""
        listed = sorted(known)
        named = [(f"views.{name}.weights", symbol) for name, view in self.views.items() for symbol in view.weights]
        named += [("market", symbol) for symbol in (self.market if isinstance(self.market, dict) else ())]
        return [
            f"{symbol} in strategy.strategy.optimizer.{field} ({meant(symbol, listed)})"
            for field, symbol in named
            if symbol not in listed
        ]


class RiskBasedSettings(_Section):
    """Weights from risk alone; expected returns are not read."""

    name: Literal[
        "equal_weight", "inverse_volatility", "risk_parity", "hierarchical_risk_parity", "minimum_variance"
    ] = "inverse_volatility"


OptimizerSettings = Annotated[
    MeanVarianceSettings | BlackLittermanSettings | RiskBasedSettings, Field(discriminator="name")
]
"""From expected returns and risk to weights."""


class FactorRiskSettings(_Section):
    """The leading principal components and what is left of each symbol's own variance."""

    name: Literal["factor"] = "factor"


class SampleRiskSettings(_Section):
    """The sample covariance; needs many more returns than symbols."""

    name: Literal["sample"] = "sample"


class EwmaRiskSettings(_Section):
    """The newest returns count most (RiskMetrics)."""

    name: Literal["ewma"] = "ewma"
    half_life: Annotated[float, Field(gt=0, description="returns after which one counts half")] = 60.0


class LedoitWolfRiskSettings(_Section):
    """The sample covariance shrunk towards equal variances without correlation."""

    name: Literal["ledoit_wolf"] = "ledoit_wolf"


RiskSettings = Annotated[
    FactorRiskSettings | SampleRiskSettings | EwmaRiskSettings | LedoitWolfRiskSettings, Field(discriminator="name")
]
"""From past returns to risk."""


class CostSettings(_Section):
    """What the optimizer expects trades to cost: assumptions that own executions replace as they come in."""

    fixed_bps: Annotated[float, Field(ge=0, le=1000, description="cost of any trade, basis points of its value")] = 2.0
    impact: Annotated[
        float, Field(ge=0, le=10, description="added cost of trading all of a bar's volume, of the value")
    ] = 0.1
    trusted_after: Annotated[
        int, Field(ge=3, description="executions of a symbol after which its learned costs replace these")
    ] = 30
    window: Annotated[int, Field(ge=1, description="bars whose mean volume is expected")] = 21
