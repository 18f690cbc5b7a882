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
