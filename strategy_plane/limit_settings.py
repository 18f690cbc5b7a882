"""What a strategy may hold, as a person may choose."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.base import Name, Symbol

Fraction = Annotated[float, Field(ge=0, le=100)]
"""A fraction of equity: 1.0 is all of it."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class BoundSettings(_Section):
    """What may be held in the end, whatever scales the weights or counts the units; fractions of equity."""

    gross: Annotated[
        Fraction | None,
        Field(description="largest sum of absolute weights; none is 1, or what exposure asks for"),
    ] = None
    net: Annotated[Fraction | None, Field(description="largest absolute sum of weights; none is gross")] = None


class GroupSettings(_Section):
    """Bounds on some symbols together, such as a sector; fractions of equity."""

    symbols: Annotated[tuple[Symbol, ...], Field(min_length=1, description="its members")]
    low: Annotated[float | None, Field(ge=-100, le=100, description="least sum of weights")] = None
    high: Annotated[float | None, Field(ge=-100, le=100, description="largest sum of weights")] = None
    gross: Annotated[Fraction | None, Field(description="largest sum of absolute weights")] = None

    @model_validator(mode="after")
    def _bounds_agree(self) -> Self:
        for name, bound in (("high", self.high), ("gross", self.gross)):
            if self.low is not None and bound is not None and self.low > bound:
                raise ValueError(f"low must not be above {name}")
        return self


class LimitSettings(_Section):
    """What the optimizer must keep to."""

    gross: Annotated[Fraction, Field(description="sum of absolute weights")] = 1.0
    net: Annotated[Fraction, Field(description="absolute sum of weights")] = 1.0
    box: Annotated[Fraction, Field(description="absolute weight of one symbol")] = 0.3
    turnover: Annotated[Fraction, Field(description="sum of absolute weight changes in one rebalance")] = 2.0
    long_only: Annotated[bool, Field(description="no short positions")] = True
    net_floor: Annotated[float | None, Field(ge=-100, le=100, description="least sum of weights; none is -net")] = None
    volatility: Annotated[float | None, Field(gt=0, le=10, description="annual volatility of the portfolio")] = None
    groups: Annotated[dict[Name, GroupSettings], Field(description="bounds on symbols together, by name")] = {}

    @model_validator(mode="after")
    def _can_be_kept_from_cash(self) -> Self:
        for name in ("net", "gross", "turnover"):
            if self.net_floor is not None and self.net_floor > getattr(self, name):
                raise ValueError(f"net_floor must not be above {name}: from cash nothing could ever be bought")
        for name, group in self.groups.items():
            reach = min(self.gross, self.turnover, self.box * len(group.symbols))
            least, most = group.low, group.high
            if least is not None and least > reach:
                raise ValueError(f"groups.{name}.low cannot be reached from cash within gross, box and turnover")
            if most is not None and most < (0.0 if self.long_only else -reach):
                raise ValueError(f"groups.{name}.high cannot be reached from cash within gross, box and long_only")
        return self


class EnsembleLimitSettings(LimitSettings):
    """What the optimizer must keep to when signals may sell short; a limit not named keeps the default here."""

    gross: Annotated[Fraction, Field(description="sum of absolute weights")] = 2.5
    box: Annotated[Fraction, Field(description="absolute weight of one symbol")] = 0.5
    turnover: Annotated[Fraction, Field(description="sum of absolute weight changes in one rebalance")] = 1.0
    long_only: Annotated[bool, Field(description="no short positions")] = False
