"""What a source of market data gives: plain rows in the order they became known."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import compress, repeat
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from contracts.market import TickType

Keys = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Column = Sequence[Any] | Values
AFTER_ALL = datetime.max.replace(tzinfo=UTC)
UNKNOWN_MOMENT = -(2**63)
"""Moment of a row whose time could not be read; it keeps its place in the file."""
AFTER_ALL = datetime.max.replace(tzinfo=UTC)
"""The horizon of who has no clock."""


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


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of one file as columns, made into rows only when they are asked for.

    ``columns`` are the fields of ``row_type`` in order, numbers as arrays, or finished rows as the only column when it
    is None.
    ``moments`` are microseconds since 1970; ``symbols`` are what rows of one moment are ordered by.
    """

    row_type: type[Any] | None
    columns: tuple[Column, ...]
    moments: Keys
    symbols: list[str]

    def rows(self) -> Iterator[Row]:
        """The rows one by one: built here and dropped by the reader, they never burden the garbage collector."""
        columns = [column.tolist() if isinstance(column, np.ndarray) else column for column in self.columns]
        if self.row_type is None:
            return iter(columns[0])
        return map(tuple.__new__, repeat(self.row_type), zip(*columns, strict=True))

    def row(self, place: int) -> Row:
        """The row at ``place``."""
        values: list[Any] = [
            column.item(place) if isinstance(column, np.ndarray) else column[place] for column in self.columns
        ]
        row: Row = values[0] if self.row_type is None else tuple.__new__(self.row_type, values)
        return row

    def part(self, begin: int, end: int) -> "Chunk":
        """The rows from ``begin`` to before ``end``."""
        if begin == 0 and end >= len(self.symbols):
            return self
        columns = tuple(column[begin:end] for column in self.columns)
        return Chunk(self.row_type, columns, self.moments[begin:end], self.symbols[begin:end])

    def chosen(self, keep: npt.NDArray[np.bool_]) -> "Chunk":
        """The rows that ``keep`` marks."""
        columns = tuple(
            column[keep] if isinstance(column, np.ndarray) else list(compress(column, keep)) for column in self.columns
        )
        return Chunk(self.row_type, columns, self.moments[keep], list(compress(self.symbols, keep)))

    def with_bad_rows(self, bad: Mapping[int, BadRow]) -> "Chunk":
        """The chunk with the rows at some places replaced."""
        if not bad:
            return self
        rows, moments, symbols = list(self.rows()), self.moments.copy(), list(self.symbols)
        for place, row in bad.items():
            rows[place], moments[place], symbols[place] = row, UNKNOWN_MOMENT, ""
        return Chunk(None, (rows,), moments, symbols)


Block = Chunk | Iterator[Row]
"""Consecutive rows: as columns when each is of a later moment than the one before, otherwise one by one."""


class Connector(Protocol):
    """A source of rows.

    Rows come in the order in which they may be published: by time, and within one moment by symbol. Each call
    begins anew and gives the same sequence.
    """

    def blocks(self) -> Iterator[Block]:
        """Yield every row, many at a time."""
        ...

    def rows(self) -> Iterator[Row]:
        """Yield every row."""
        ...
