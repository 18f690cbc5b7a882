"""What a source of market data gives: plain rows in the order they became known."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import NamedTuple, Protocol

from contracts.market import TickType


class RawBar(NamedTuple):
    """One bar as the source says it: raw prices as traded, ``volume`` in units, not yet trusted.

    ``timestamp`` is the close in UTC, or for a daily bar its trading day. ``source`` and ``line`` tell where it was
    read: the file's name and its line (CSV) or row (Parquet), counted from 1.
    """

    symbol: str
    timestamp: datetime | date
    open: float
    high: float
    low: float
    close: float
    volume: float
    bar_size: str
    source: str
    line: int


class RawTick(NamedTuple):
    """One trade as the source says it; ``size`` in units, ``timestamp`` in UTC."""

    symbol: str
    timestamp: datetime
    price: float
    size: float
    tick_type: TickType
    source: str
    line: int


class RawQuote(NamedTuple):
    """The best bid and ask as the source says them; sizes in units, ``timestamp`` in UTC."""

    symbol: str
    timestamp: datetime
    bid_price: float
    bid_size: float
    ask_price: float
    ask_size: float
    source: str
    line: int


class RawFact(NamedTuple):
    """One row of a point-in-time table as the source says it: ``timestamp`` is when it became known, in UTC.

    ``event_time`` is what it is about; ``values`` holds the numeric columns that are filled in.
    """

    table: str
    symbol: str
    timestamp: datetime
    event_time: datetime
    values: Mapping[str, float]
    source: str
    line: int


class BadRow(NamedTuple):
    """A row that could not be read; ``reason`` is a sentence that does not repeat the input."""

    source: str
    line: int
    reason: str


Row = RawBar | RawTick | RawQuote | RawFact | BadRow


class Connector(Protocol):
    """A source of rows.

    Rows come in the order in which they may be published: by time, and within one moment by symbol.
    """

    def rows(self) -> Iterator[Row]:
        """Yield every row from the beginning; each call yields the same sequence."""
        ...
