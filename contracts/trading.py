"""What we wish to trade and what became of it."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from contracts.base import (
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
    requires,
)

Fraction = Annotated[float, Field(ge=-1e6, le=1e6)]


class Side(StrEnum):
    """Direction of a trade."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """How an order asks to be executed."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"
    ADAPTIVE = "ADAPTIVE"


class TimeInForce(StrEnum):
    """How long an order may work."""

    DAY = "DAY"
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"


class OrderStatus(StrEnum):
    """What an execution report says of its order."""

    SUBMITTED = "SUBMITTED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    PARTIAL_FILL = "PARTIAL_FILL"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    IN_DOUBT = "IN_DOUBT"


TERMINAL_STATUSES = frozenset({OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED})
_REJECTED = OrderStatus.REJECTED  # looking a member up by name costs more than the rest of its check
NEEDS_LIMIT = (OrderType.LIMIT, OrderType.STOP_LIMIT)
NEEDS_STOP = (OrderType.STOP, OrderType.STOP_LIMIT)


class OrderIntent(Message):
    """A wish to trade; at most one broker order ever comes of one ``intent_id``.

    ``quantity`` is in units and positive, prices per unit. ``timestamp`` is the event time of the
    decision; after ``valid_until`` the intent must not be sent. An order plane of another ``account`` refuses it.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                requires("limit_price", when={"order_type": {"enum": list(NEEDS_LIMIT)}}),
                requires("stop_price", when={"order_type": {"enum": list(NEEDS_STOP)}}),
            ]
        }
    )

    event_type: Literal["order_intent"] = "order_intent"
    intent_id: Identifier
    symbol: Symbol
    direction: Side
    quantity: Quantity
    order_type: OrderType
    limit_price: Price | None = None
    stop_price: Price | None = None
    timestamp: Timestamp
    strategy_id: Name = "default"
    time_in_force: TimeInForce = TimeInForce.DAY
    valid_until: Timestamp | None = None
    plan_id: Identifier | None = None
    account: Name | None = None

    @model_validator(mode="after")
    def _prices_match_type(self) -> Self:
        order_type = self.order_type
        if order_type in NEEDS_LIMIT and self.limit_price is None:
            raise PydanticCustomError("limit_price_required", "limit_price is required for LIMIT and STOP_LIMIT")
        if order_type in NEEDS_STOP and self.stop_price is None:
            raise PydanticCustomError("stop_price_required", "stop_price is required for STOP and STOP_LIMIT")
        return self

    @property
    def partition_key(self) -> str:
        """The symbol: one symbol's wishes keep their order."""
        return self.symbol


class ExecutionReport(Message):
    """What became of an intent so far.

    ``filled_quantity``, ``avg_fill_price`` and ``commission`` are cumulative over the order; ``last_*``
    describe the newest execution. ``sequence`` counts the reports of one intent from 1 and ``report_id``
    is derived from both, so a repeated report is recognised. ``journal_id`` and ``journal_seq`` name the order
    plane's journal and how many transactions it held when the report was published; null in a backtest.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                requires("avg_fill_price", when={"filled_quantity": {"exclusiveMinimum": 0}}),
                requires("reject_reason", when={"status": {"const": OrderStatus.REJECTED}}),
            ]
        }
    )

    event_type: Literal["execution_report"] = "execution_report"
    intent_id: Identifier
    order_id: Name
    symbol: Symbol
    status: OrderStatus
    filled_quantity: QuantityOrZero
    avg_fill_price: Price | None = None
    timestamp: Timestamp
    reject_reason: Text | None = None
    report_id: Identifier | None = None
    sequence: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    direction: Side | None = None
    last_quantity: QuantityOrZero = 0.0
    last_price: Price | None = None
    commission: Money = 0.0
    strategy_id: Name = "default"
    journal_id: Name | None = None
    journal_seq: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None

    @model_validator(mode="after")
    def _tells_the_whole_story(self) -> Self:
        if self.avg_fill_price is None and self.filled_quantity > 0:
            raise PydanticCustomError("avg_fill_price_required", "avg_fill_price is required once anything is filled")
        if self.status is _REJECTED and self.reject_reason is None:
            raise PydanticCustomError("reject_reason_required", "reject_reason is required for REJECTED")
        return self

    @property
    def partition_key(self) -> str:
        """The symbol: one symbol's reports keep their order."""
        return self.symbol


class ExecutionCost(Message):
    """What trading a symbol has cost the order plane so far, for whoever weighs a trade against its cost.

    ``slippage`` is the mean cost of its executions against the price at which their intents arrived, as a fraction of
    that price; ``fixed + impact * (quantity / volume)`` is the fitted cost of one, with ``impact_error`` the standard
    error of ``impact`` (null while unknown). Negative is better than the arrival price.
    """

    event_type: Literal["execution_cost"] = "execution_cost"
    symbol: Symbol
    timestamp: Timestamp
    slippage: Fraction
    fixed: Fraction
    impact: Fraction
    impact_error: Annotated[float, Field(ge=0, le=1e6)] | None = None
    observations: Annotated[int, Field(ge=0, le=2**63 - 1)]

    @property
    def partition_key(self) -> str:
        """The symbol: its newest estimate survives compaction."""
        return self.symbol
