"""Rows of a CSV file, a chunk of lines at a time, with a reason for every line that cannot be read."""

import csv
import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from itertools import islice
from typing import TextIO
from zoneinfo import ZoneInfo

import numpy as np

from contracts.market import TickType
from data_plane.connectors.layout import (
    NUMBERS,
    SourceFile,
    UnreadableSourceError,
    chunk_of,
    joined,
    moment_of,
)
from data_plane.connectors.port import UNKNOWN_MOMENT, BadRow, Chunk
from data_plane.settings import RowKind

Record = tuple[int, list[str]]
"""A line number and its cells."""
_TICK_TYPES: Mapping[str, TickType] = {kind.value: kind for kind in TickType}


class _BadCellError(ValueError):
    """Some line of a chunk cannot be read; the text says which rule it broke."""


def csv_chunks(source: SourceFile, chunk_rows: int) -> Iterator[Chunk]:
    """The file's rows in its own order; a row is named by its line, the header being line 1.

    Blank lines are skipped. A line with a missing cell or a cell that cannot be read becomes a `BadRow`.

    Raises:
        UnreadableSourceError: when the file is empty or its header lacks a column.
    """
    with _open_text(source) as file:
        reader = csv.reader(file)
        header = next(reader, [])
        convert = partial(_convert, source, _positions(source, header), len(header), _stamp_parser(source))
        records = _records(reader)
        while chunk := list(islice(records, chunk_rows)):
            yield _chunk(source, chunk, convert)


def _open_text(source: SourceFile) -> TextIO:
    path = source.path
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="")
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def _positions(source: SourceFile, header: list[str]) -> dict[str, int]:
    names = ("timestamp", *NUMBERS[source.kind])
    places = {name: header.index(source.column(name)) for name in names if source.column(name) in header}
    for name in names:
        if name not in places:
            raise UnreadableSourceError(
                f"{source.path.name}: no column {source.column(name)!r}; name the file's column in sources.columns"
            )
    optional = ("symbol", "tick_type")
    return places | {name: header.index(source.column(name)) for name in optional if source.column(name) in header}


def _records(reader: "csv._reader") -> Iterator[Record]:  # type: ignore[name-defined]
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield reader.line_num, []
            continue
        if cells:
            yield reader.line_num, cells


def _chunk(source: SourceFile, records: list[Record], convert: Callable[[list[Record]], Chunk]) -> Chunk:
    try:
        return convert(records)
    except _BadCellError:
        return joined([_row_or_reason(source, record, convert) for record in records])


def _row_or_reason(source: SourceFile, record: Record, convert: Callable[[list[Record]], Chunk]) -> Chunk:
    try:
        return convert([record])
    except _BadCellError as error:
        row = BadRow(source.path.name, record[0], str(error))
        return Chunk(None, ([row],), np.array([UNKNOWN_MOMENT]), [""])


def _convert(
    source: SourceFile,
    places: Mapping[str, int],
    width: int,
    parse_stamp: Callable[[str], datetime | date],
    records: list[Record],
) -> Chunk:
    if any(len(cells) != width for _, cells in records):
        raise _BadCellError("the number of cells is not that of the header")
    columns = list(zip(*(cells for _, cells in records), strict=True))
    symbols = list(columns[places["symbol"]]) if "symbol" in places else [source.symbol] * len(records)
    numbers = [np.array(_floats(name, columns[places[name]])) for name in NUMBERS[source.kind]]
    try:
        stamps = list(map(parse_stamp, columns[places["timestamp"]]))
    except (ValueError, OverflowError):
        raise _BadCellError("timestamp is not an ISO 8601 date or time, or has no hour where one is needed") from None
    kinds = [TickType.TRADE] * len(records)
    if source.kind is RowKind.TICKS and "tick_type" in places:
        kinds = _tick_types(columns[places["tick_type"]])
    moments = np.array([moment_of(stamp) for stamp in stamps], dtype=np.int64)
    return chunk_of(source, symbols, stamps, moments, numbers, kinds, [line for line, _ in records])


def _floats(name: str, texts: Sequence[str]) -> list[float]:
    joined = "".join(texts)
    if not joined.isascii() or "_" in joined:  # float() takes digits of any script, and underscores
        raise _BadCellError(f"{name} is not a number")
    try:
        return list(map(float, texts))
    except ValueError:
        raise _BadCellError(f"{name} is not a number") from None


def _tick_types(texts: Sequence[str]) -> list[TickType]:
    try:
        return [_TICK_TYPES[text] for text in texts]
    except KeyError:
        raise _BadCellError("tick_type is not TRADE, BID, ASK or LAST") from None


def _stamp_parser(source: SourceFile) -> Callable[[str], datetime | date]:
    """How the file's timestamps are read: to UTC, and for bars also to the plain date of a trading day."""
    zone, shift, dates = source.zone, source.shift, source.kind is RowKind.BARS

    def parse(text: str) -> datetime | date:
        if dates and len(text) == 10:
            return date.fromisoformat(text)
        at = datetime.fromisoformat(text)
        if len(text) <= 10:
            raise ValueError
        return _in_utc(at, zone) + shift

    return parse


def _in_utc(at: datetime, zone: ZoneInfo) -> datetime:
    if at.tzinfo is UTC:
        return at
    return (at.replace(tzinfo=zone) if at.tzinfo is None else at).astimezone(UTC)
