"""How the planes and the people who watch them steer a run."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from contracts.base import (
    Closed,
    Identifier,
    Message,
    Money,
    Name,
    Price,
    Quantity,
    QuantityOrZero,
    Symbol,
    Text,
    Timestamp,
)
from contracts.trading import Side

Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Partition = Annotated[str, Field(pattern=r"^[!-~]{1,300}$")]
Weight = Annotated[float, Field(ge=-100, le=100)]
"""A fraction of equity."""
Weights = dict[Symbol, Weight]
PartitionOffsets = dict[Partition, Count]
"""Offsets keyed by ``topic/partition``."""


class PlaneName(StrEnum):
    """The planes that report on themselves."""

    DATA = "data"
    STRATEGY = "strategy"
    ORDER = "order"


class KillScope(StrEnum):
    """What a kill switch stops."""

    GLOBAL = "GLOBAL"
    ACCOUNT = "ACCOUNT"
    STRATEGY = "STRATEGY"
    SYMBOL = "SYMBOL"
    """New orders of one symbol, or of all with the target ``*``; what works goes on working."""


class KillAction(StrEnum):
    """What a kill does: REDUCE_ONLY spares orders that only reduce a position, all others refuse and cancel orders."""

    REDUCE_ONLY = "REDUCE_ONLY"
    HALT = "HALT"
    HALT_AND_FLATTEN = "HALT_AND_FLATTEN"
    HALT_AND_INVESTIGATE = "HALT_AND_INVESTIGATE"


class KillSwitchCommand(Message):
    """Latch (``engage``) or release a kill switch; a release needs a named person and a reason.

    ``cause`` is MANUAL, or the automatic guard that gave the command. HALT_AND_FLATTEN also closes positions at the
    market, REDUCE_ONLY refuses and cancels only what does not reduce a position; a SYMBOL is halted all the same.
    HALT_AND_INVESTIGATE, and a cause that still holds, is released only with a ``second_operator``. A release ``ends``
    what its giver was shown: the newest command that holds the switch. When another came since, it is refused.
    """

    event_type: Literal["kill_switch_command"] = "kill_switch_command"
    command_id: Identifier
    timestamp: Timestamp
    engage: bool
    scope: KillScope = KillScope.GLOBAL
    target: Name = "*"
    operator: Name
    reason: Text
    action: KillAction = KillAction.HALT
    cause: Name = "MANUAL"
    second_operator: Name | None = None
    ends: Identifier | None = None

    @property
    def two_persons(self) -> bool:
        """Whether another person stands behind it too; the same name in other letters is the same person."""
        second = self.second_operator
        return second is not None and second.casefold() != self.operator.casefold()


class AlertSeverity(StrEnum):
    """How soon a person must look."""

    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


class RiskAlert(Message):
    """Something a person must know about."""

    event_type: Literal["risk_alert"] = "risk_alert"
    timestamp: Timestamp
    severity: AlertSeverity
    code: Name
    detail: Text
    symbol: Symbol | None = None


class Heartbeat(Message):
    """How far a plane has come.

    ``positions`` are the next offsets it will read, all before them handled and their outputs durable;
    ``ends`` are one past the newest offset it wrote. Together they show whether anything is in flight.
    """

    event_type: Literal["heartbeat"] = "heartbeat"
    timestamp: Timestamp
    plane: PlaneName
    instance: Name
    positions: PartitionOffsets
    ends: PartitionOffsets

    @property
    def partition_key(self) -> str:
        """The plane: the newest heartbeat of each plane survives compaction."""
        return self.plane.value


class RunState(StrEnum):
    """Where a run stands."""

    STARTED = "STARTED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"


class RunMarker(Message):
    """A run of the data plane begins or ends; ``published`` counts its market events."""

    event_type: Literal["run_marker"] = "run_marker"
    timestamp: Timestamp
    run_id: Name
    state: RunState
    published: Count = 0
    quarantined: Count = 0


class PortfolioState(Message):
    """Positions (units), cash and equity (account currency) of one strategy at a moment."""

    event_type: Literal["portfolio_state"] = "portfolio_state"
    timestamp: Timestamp
    strategy_id: Name
    cash: Money
    equity: Money
    positions: dict[Symbol, Annotated[float, Field(ge=-1e15, le=1e15)]]

    @property
    def partition_key(self) -> str:
        """The strategy: its newest state survives compaction."""
        return self.strategy_id


class PlannedTrade(Closed):
    """One line of a rebalance plan; weights are fractions of equity, the price is the close it was sized at."""

    symbol: Symbol
    direction: Side
    quantity: Quantity
    current_weight: Weight
    target_weight: Weight
    reference_price: Price | None = None


class PlanCheck(Closed):
    """One thing a plan was held against before it was proposed."""

    name: Name
    passed: bool
    detail: Text


class SkippedTrade(Closed):
    """A change that was wanted and is not in the plan; ``reason`` is a stable code."""

    symbol: Symbol
    reason: Name
    detail: Text


class RebalancePlan(Message):
    """A set of trades proposed together, in the order they are to be sent.

    ``content_hash`` is the SHA-256 of the plan's canonical text with the hash itself as 64 zeros. Weights are
    what is held and what is aimed at, ``reasons`` say why now. With ``requires_approval`` nothing of it is
    ordered before a `PlanDecision` approves this content.
    """

    event_type: Literal["rebalance_plan"] = "rebalance_plan"
    plan_id: Identifier
    strategy_id: Name
    timestamp: Timestamp
    valid_until: Timestamp
    trades: Annotated[tuple[PlannedTrade, ...], Field(max_length=5000)]
    content_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    requires_approval: bool = True
    equity: Money | None = None
    reasons: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    checks: Annotated[tuple[PlanCheck, ...], Field(max_length=100)] = ()
    skipped: Annotated[tuple[SkippedTrade, ...], Field(max_length=5000)] = ()
    current_weights: Weights = Field(default_factory=dict)
    target_weights: Weights = Field(default_factory=dict)

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.valid_until <= self.timestamp:
            raise PydanticCustomError("valid_until_order", "valid_until must be after timestamp")
        return self

    @property
    def partition_key(self) -> str:
        """The strategy: its plans and their decisions keep their order."""
        return self.strategy_id


class Verdict(StrEnum):
    """What a person said of a plan."""

    APPROVED = "APPROVED"
    REFUSED = "REFUSED"


class PlanDecision(Message):
    """A person approves or refuses the plan whose content has ``content_hash``."""

    event_type: Literal["plan_decision"] = "plan_decision"
    plan_id: Identifier
    strategy_id: Name
    timestamp: Timestamp
    verdict: Verdict
    operator: Name
    reason: Text
    content_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @property
    def partition_key(self) -> str:
        """The strategy: its plans and their decisions keep their order."""
        return self.strategy_id


class PlanState(StrEnum):
    """Where the execution of a plan stands; the last four end it."""

    SELLING = "SELLING"
    BUYING = "BUYING"
    COMPLETED = "COMPLETED"
    REFUSED = "REFUSED"
    EXPIRED = "EXPIRED"
    SUPERSEDED = "SUPERSEDED"


class TradeState(StrEnum):
    """What became of one trade of a plan."""

    PLANNED = "PLANNED"
    ORDERED = "ORDERED"
    FILLED = "FILLED"
    PARTIAL = "PARTIAL"
    UNFILLED = "UNFILLED"
    SKIPPED = "SKIPPED"


class TradeProgress(Closed):
    """One trade of a plan so far, in units; ``reason`` says why less was ordered than planned, or nothing."""

    symbol: Symbol
    direction: Side
    state: TradeState
    planned: Quantity
    ordered: QuantityOrZero = 0.0
    filled: QuantityOrZero = 0.0
    reason: Text | None = None


class PlanProgress(Message):
    """How far the execution of a plan has come; what is not filled when it ends is not ordered again.

    ``weights`` are the fractions of equity held then.
    """

    event_type: Literal["plan_progress"] = "plan_progress"
    plan_id: Identifier
    strategy_id: Name
    timestamp: Timestamp
    state: PlanState
    trades: Annotated[tuple[TradeProgress, ...], Field(max_length=5000)]
    weights: Weights = Field(default_factory=dict)

    @property
    def partition_key(self) -> str:
        """The strategy: its plans, their decisions and their progress keep their order."""
        return self.strategy_id
