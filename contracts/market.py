"""What the market did: bars, ticks, order flow, and the completeness of one moment."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from contracts.base import Message, Price, QuantityOrZero, Symbol, Timestamp

BarSize = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}(s|min|h|d)$")]
Volume = QuantityOrZero
Flow = Annotated[float, Field(ge=-1e15, le=1e15)]
TableName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
FactField = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
FactValue = Annotated[float, Field(ge=-1e15, le=1e15)]


class TickType(StrEnum):
    """Which side of the market a tick describes."""

    TRADE = "TRADE"
    BID = "BID"
    ASK = "ASK"
    LAST = "LAST"


class BarEvent(Message):
    """One closed bar; ``timestamp`` is the close of the bar.

    Prices are per unit of the instrument in its currency, ``volume`` in units.
    """

    event_type: Literal["bar_event"] = "bar_event"
    symbol: Symbol
    timestamp: Timestamp
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Volume
    bar_size: BarSize = "1min"

    @model_validator(mode="after")
    def _range_holds(self) -> Self:
        low, high = self.low, self.high
        if low <= self.open <= high and low <= self.close <= high:
            return self
        if high < max(self.open, low, self.close):
            raise PydanticCustomError("ohlc_high", "high must be at least open, low and close")
        raise PydanticCustomError("ohlc_low", "low must be at most open and close")

    @property
    def partition_key(self) -> str:
        """The symbol: one symbol's events keep their order."""
        return self.symbol


class TickEvent(Message):
    """One trade or one side of the best quote."""

    event_type: Literal["tick_event"] = "tick_event"
    symbol: Symbol
    timestamp: Timestamp
    price: Price
    size: QuantityOrZero
    tick_type: TickType

    @property
    def partition_key(self) -> str:
        """The symbol: one symbol's events keep their order."""
        return self.symbol


class OFIEvent(Message):
    """Order-flow imbalance over one interval ending at ``timestamp``.

    ``ofi_value`` is the flow of Cont, Kukanov and Stoikov (2014) in units; ``volume_imbalance`` is the
    queue state (bid - ask) / (bid + ask) in [-1, 1] from ``bid_volume`` and ``ask_volume``.
    """

    event_type: Literal["ofi_event"] = "ofi_event"
    symbol: Symbol
    timestamp: Timestamp
    ofi_value: Flow
    volume_imbalance: Annotated[float, Field(ge=-1, le=1)]
    bid_volume: Volume
    ask_volume: Volume

    @property
    def partition_key(self) -> str:
        """The symbol: one symbol's events keep their order."""
        return self.symbol


class SliceEvent(Message):
    """Every bar the universe will get for ``timestamp`` has been published: time to decide.

    ``symbols`` have a bar at this moment, ``missing`` were expected and have none. A ``late`` moment was over long
    before it could be told, as in what was fetched of the past: learn from it, and decide nothing.
    """

    event_type: Literal["slice_event"] = "slice_event"
    timestamp: Timestamp
    bar_size: BarSize
    symbols: Annotated[tuple[Symbol, ...], Field(max_length=5000)]
    missing: Annotated[tuple[Symbol, ...], Field(max_length=5000)] = ()
    late: bool = False


class FactEvent(Message):
    """One row of a point-in-time table, such as an earnings announcement, when it became known.

    ``timestamp`` is the knowledge time: nobody may use the row before it. ``event_time`` is what the row is about
    (the end of a quarter, the day of a report). Symbol and ``event_time`` are a table's key: a later row with the same
    ones replaces an earlier one, so two items of news about one symbol need two times to count both.
    ``values`` are numbers by column name, in the units that the table's readers state; an absent column is unknown.

    All facts share the key of the slices, so that a slice comes after every fact that was known by then.
    """

    event_type: Literal["fact_event"] = "fact_event"
    table: TableName
    symbol: Symbol
    timestamp: Timestamp
    event_time: Timestamp
    values: Annotated[dict[FactField, FactValue], Field(min_length=1, max_length=64)]
