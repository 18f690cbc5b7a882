"""Which optimizer, and its parameters, as a person may choose them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MeanVarianceSettings(_Section):
    """Expected returns against risk."""

    name: Literal["mean_variance"] = "mean_variance"
    risk_aversion: Annotated[float, Field(gt=0, description="return given up per unit of annual variance, times 2")] = (
        2.0
    )
    cross_check: Annotated[bool, Field(description="solve every problem a second time with PIQP; slow")] = False


class BlackLittermanSettings(_Section):
    """Expected returns as views of one confidence on top of what the market's weights imply."""

    name: Literal["black_litterman"] = "black_litterman"
    risk_aversion: Annotated[float, Field(gt=0, description="the market's and the investor's")] = 2.5
    confidence: Annotated[float, Field(gt=0, le=1, description="in every view; 1 is certainty (Idzorek)")] = 0.5
    tau: Annotated[float, Field(gt=0, le=1, description="uncertainty of the equilibrium, of the covariance")] = 0.05
    market: Annotated[
        Literal["equal_weight", "inverse_volatility"], Field(description="stands for the market's weights")
    ] = "equal_weight"


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
