"""Point-in-time tables from Parquet and CSV files, in the order in which their rows became known."""

import csv
import gzip
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq

from data_plane.connectors.layout import UnreadableSourceError
from data_plane.connectors.port import BadRow, Block, RawFact, Row

KNOWLEDGE_TIME, EVENT_TIME, SYMBOL = "knowledge_time", "event_time", "symbol"
Cells = Mapping[str, object]
"""One row by the file's names of its columns."""


class UnknownKnowledgeTimeError(UnreadableSourceError):
    """A table does not say when its rows became known, so nothing can be decided from it without look-ahead."""


@dataclass(frozen=True)
class TableFile:
    """One file of a table; ``columns`` gives the file's name of a column by the platform's name.

    Raises:
        UnknownKnowledgeTimeError: from `header`, when no column holds the knowledge time.
        UnreadableSourceError: from `header`, when another column is missing.
    """

    path: Path
    table: str
    symbol: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    fields: Sequence[str] = ()
    timezone: str = "UTC"

    def column(self, name: str) -> str:
        """The file's name of column ``name``."""
        return self.columns.get(name, name)

    @cached_property
    def zone(self) -> ZoneInfo:
        """Zone of times that name none; raises ValueError for a name that is no zone."""
        try:
            return ZoneInfo(self.timezone)
        except (KeyError, ValueError):
            raise ValueError(f"tables.{self.table}.timezone: {self.timezone!r} is no time zone; use UTC") from None

    @cached_property
    def header(self) -> tuple[str, ...]:
        """The file's names of its columns, checked."""
        found = _header(self.path)
        if self.column(KNOWLEDGE_TIME) not in found:
            raise UnknownKnowledgeTimeError(
                f"table {self.table}: {self.path.name} has no column {self.column(KNOWLEDGE_TIME)!r}, so nobody can "
                "tell when its rows became known; add it, or name the file's column in "
                f"tables.{self.table}.columns.{KNOWLEDGE_TIME}"
            )
        needed = [EVENT_TIME, *self.fields, *([] if self.symbol else [SYMBOL])]
        for name in needed:
            if self.column(name) not in found:
                raise UnreadableSourceError(
                    f"table {self.table}: {self.path.name} has no column {self.column(name)!r}; name the file's "
                    f"column in tables.{self.table}.columns"
                )
        return found

    @cached_property
    def values(self) -> Mapping[str, str]:
        """The file's names of the columns to publish, by the platform's names."""
        ours = {theirs: name for name, theirs in self.columns.items()}
        taken = {self.column(name) for name in (KNOWLEDGE_TIME, EVENT_TIME, SYMBOL)}
        names = self.fields or [ours.get(theirs, theirs) for theirs in self.header if theirs not in taken]
        return {name: self.column(name) for name in names}


class TableSource:
    """Reads tables whole and gives their rows by knowledge time, then table, symbol and place.

    Rows known after ``end`` (a UTC day) are left out; rows known long before the first bar are given, since
    they are known. Every file's header is checked at once.

    Raises:
        UnknownKnowledgeTimeError: naming the table that cannot be registered.
        UnreadableSourceError: naming a file that is not what its settings say.
    """

    def __init__(self, files: Sequence[TableFile], end: date | None = None) -> None:
        self._files = tuple(files)
        for file in self._files:
            if not (file.header and file.values and file.zone):
                raise UnreadableSourceError(f"table {file.table}: {file.path.name} has no column of values")
        self._beyond = None if end is None else datetime.combine(end, time(), UTC) + timedelta(days=1)

    def blocks(self) -> Iterator[Block]:
        """Yield every row, one by one; raises as `rows` does."""
        yield self.rows()

    def rows(self) -> Iterator[Row]:
        """Yield unreadable rows first, then the facts; each call begins anew."""
        facts: list[RawFact] = []
        for file in self._files:
            for line, cells in _records(file.path):
                row = _row(file, line, cells)
                if isinstance(row, RawFact):
                    facts.append(row)
                else:
                    yield row
        facts.sort(key=lambda fact: (fact.timestamp, fact.table, fact.symbol, fact.event_time, fact.source, fact.line))
        for fact in facts:
            if self._beyond is None or fact.timestamp < self._beyond:
                yield fact


def _row(file: TableFile, line: int, cells: Cells) -> RawFact | BadRow:
    try:
        return RawFact(
            table=file.table,
            symbol=file.symbol or str(cells[file.column(SYMBOL)]),
            timestamp=_moment(file, cells, KNOWLEDGE_TIME, _end_of_day),
            event_time=_moment(file, cells, EVENT_TIME, _start_of_day),
            values={name: _number(name, cells[theirs]) for name, theirs in file.values.items()},
            source=file.path.name,
            line=line,
        )
    except (KeyError, ValueError, OverflowError) as error:
        reason = str(error) if type(error) is _BadCellError else "a cell is missing or cannot be read"
        return BadRow(file.path.name, line, reason)


class _BadCellError(ValueError):
    """The text says which rule a cell broke, without repeating the cell."""


def _moment(file: TableFile, cells: Cells, name: str, of_day: Callable[[date, ZoneInfo], datetime]) -> datetime:
    cell = cells[file.column(name)]
    if isinstance(cell, str):
        try:
            cell = date.fromisoformat(cell) if len(cell) == 10 else datetime.fromisoformat(cell)
        except ValueError:
            raise _BadCellError(f"{name} is not an ISO 8601 date or time") from None
    if isinstance(cell, datetime):
        return (cell.replace(tzinfo=file.zone) if cell.tzinfo is None else cell).astimezone(UTC)
    if isinstance(cell, date):
        return of_day(cell, file.zone).astimezone(UTC)
    raise _BadCellError(f"{name} is missing")


def _start_of_day(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def _end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """A day without an hour: nobody can have relied on the news before the day was over."""
    return datetime.combine(day + timedelta(days=1), time(), zone)


def _number(name: str, cell: object) -> float:
    if cell is None or cell == "":
        return math.nan
    if isinstance(cell, str) and (not cell.isascii() or "_" in cell):
        raise _BadCellError(f"{name} is not a number")
    try:
        return float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise _BadCellError(f"{name} is not a number") from None


def is_generated(path: Path) -> bool:
    """Whether a Parquet file says of itself that its values are made up."""
    return path.name.endswith(".parquet") and b"generated" in (pq.read_schema(path).metadata or {})


def _header(path: Path) -> tuple[str, ...]:
    if path.name.endswith(".parquet"):
        return tuple(pq.read_schema(path).names)
    if path.name.endswith((".csv", ".csv.gz")):
        with _text(path) as file:
            return tuple(next(csv.reader(file), ()))
    raise UnreadableSourceError(f"{path.name}: only .parquet, .csv and .csv.gz files can be tables")


def _records(path: Path) -> Iterator[tuple[int, Cells]]:
    """Rows by line (CSV, the header being line 1) or by number from 1 (Parquet)."""
    if path.name.endswith(".parquet"):
        yield from enumerate(pq.read_table(path).to_pylist(), 1)
        return
    with _text(path) as file:
        reader = csv.DictReader(file)
        for cells in reader:
            yield reader.line_num, cells


def _text(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")
