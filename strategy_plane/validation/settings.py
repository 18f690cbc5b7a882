"""What is tried when a strategy is judged, and how sure the judgement must be."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from contracts.base import Name


class ValidationSettings(BaseModel):
    """The trials of a study; every combination of the grid is one, and so is the configuration itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    grid: Annotated[
        dict[str, tuple[JsonValue, ...]],
        Field(description="values to try by dotted name, such as strategy.strategy.fast"),
    ] = Field(default_factory=dict)
    family: Annotated[
        Name | None, Field(description="trials of a family count together for ever; by default the strategy_id")
    ] = None
    ledger: Annotated[Path, Field(description="append-only file of every trial, in the directory of the runs")] = Path(
        "trials.jsonl"
    )
    benchmark: Annotated[
        Literal["equal_weight", "cash"],
        Field(description="what the SPA test asks trials to beat: all symbols in equal parts, or nothing at all"),
    ] = "equal_weight"
    workers: Annotated[int, Field(ge=1, le=64, description="trials run at a time, each in a process of its own")] = 2
    confidence: Annotated[float, Field(gt=0.5, lt=1, description="asked of deflated Sharpe, track record and SPA")] = (
        0.95
    )
    overfitting: Annotated[float, Field(gt=0, lt=1, description="largest probability of overfitting that passes")] = 0.2
    blocks: Annotated[int, Field(ge=2, le=20, description="even number of blocks of time for CSCV")] = 16
    repetitions: Annotated[int, Field(ge=100, le=100_000, description="bootstrap samples of the SPA test")] = 1000
    seed: Annotated[int, Field(ge=0, description="of the bootstrap")] = 1
    groups: Annotated[int, Field(ge=3, le=16, description="groups of time for combinatorial cross-validation")] = 8
    tested: Annotated[int, Field(ge=1, description="of them tested at a time")] = 2
    embargo: Annotated[int, Field(ge=0, description="periods left out after each tested group")] = 5
    train: Annotated[int, Field(ge=2, description="periods a walk-forward choice is made from")] = 504
    test: Annotated[int, Field(ge=1, description="periods it is then held")] = 63
    periods_per_year: Annotated[float, Field(gt=0, description="days in a year of returns")] = 252.0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.blocks % 2:
            raise ValueError("blocks must be even")
        if self.tested >= self.groups:
            raise ValueError("tested must be below groups")
        return self
