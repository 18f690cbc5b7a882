"""Which columns a kind of row has, and how rows are built from them in bulk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from contracts.market import TickType
from data_plane.connectors.port import Chunk, Keys, RawBar, RawQuote, RawTick, Values
from data_plane.session_grid import step_of
from data_plane.settings import RowKind

NUMBERS: Mapping[RowKind, tuple[str, ...]] = {
    RowKind.BARS: ("open", "high", "low", "close", "volume"),
    RowKind.TICKS: ("price", "size"),
    RowKind.QUOTES: ("bid_price", "bid_size", "ask_price", "ask_size"),
}
"""The numeric columns of each kind of row, in the order of its fields."""

MICROS_PER_DAY = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UnreadableSourceError(ValueError):
    """A file as a whole is not what its settings say."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file and how it is laid out; ``columns`` gives the file's name of a column by the platform's name."""

    path: Path
    kind: RowKind
    bar_size: str
    symbol: str
    columns: Mapping[str, str] = field(default_factory=dict)
    timezone: str = "UTC"
    stamped_at_open: bool = False

    def column(self, name: str) -> str:
        """The file's name of column ``name``."""
        return self.columns.get(name, name)

    @property
    def zone(self) -> ZoneInfo:
        """Zone of timestamps that name none; raises ValueError for a name that is no zone."""
        try:
            return ZoneInfo(self.timezone)
        except (KeyError, ValueError):
            raise ValueError(f"sources.timezone: {self.timezone!r} is no time zone; use a name such as UTC") from None

    @property
    def shift(self) -> timedelta:
        """What to add to a timestamp to have the close of the bar."""
        step = step_of(self.bar_size)
        return step if self.kind is RowKind.BARS and self.stamped_at_open and step is not None else timedelta()


def joined(chunks: Sequence[Chunk]) -> Chunk:
    """Chunks behind each other as one of finished rows."""
    return Chunk(
        None,
        ([row for chunk in chunks for row in chunk.rows()],),
        np.concatenate([chunk.moments for chunk in chunks]),
        [symbol for chunk in chunks for symbol in chunk.symbols],
    )


def moment_of(stamp: datetime | date) -> int:
    """Microseconds from 1970 to ``stamp``, exactly; to the beginning of the UTC day for a date."""
    if isinstance(stamp, datetime):
        return (stamp - _EPOCH) // _MICROSECOND
    return (stamp.toordinal() - _EPOCH.toordinal()) * MICROS_PER_DAY


def chunk_of(
    source: SourceFile,
    symbols: list[str],
    stamps: Sequence[Any],
    moments: Keys,
    numbers: Sequence[Values],
    tick_types: list[TickType],
    lines: Sequence[int],
) -> Chunk:
    """A chunk of the source's kind of rows from its columns, all of one length."""
    name = [source.path.name] * len(symbols)
    if source.kind is RowKind.BARS:
        sizes = [source.bar_size] * len(symbols)
        return Chunk(RawBar, (symbols, stamps, *numbers, sizes, name, lines), moments, symbols)
    if source.kind is RowKind.TICKS:
        return Chunk(RawTick, (symbols, stamps, *numbers, tick_types, name, lines), moments, symbols)
    return Chunk(RawQuote, (symbols, stamps, *numbers, name, lines), moments, symbols)
