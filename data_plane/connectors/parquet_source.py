"""Rows of a Parquet file, a chunk of columns at a time."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts.market import TickType
from data_plane.connectors.layout import (
    MICROS_PER_DAY,
    NUMBERS,
    SourceFile,
    UnreadableSourceError,
    chunk_of,
)
from data_plane.connectors.port import BadRow, Chunk, Keys, Values
from data_plane.settings import RowKind
from domain.bar_run import Moments

_TICK_TYPES = {kind.value: kind for kind in TickType}


def parquet_chunks(source: SourceFile, chunk_rows: int) -> Iterator[Chunk]:
    """The file's rows in its own order; a row is named by its number from 1.

    A missing number becomes NaN, which the gates refuse; a row without a time becomes a `BadRow`.

    Raises:
        UnreadableSourceError: when a column is missing or has a type that cannot be read.
    """
    with pq.ParquetFile(source.path) as file:
        present = set(file.schema_arrow.names)
        numbers = NUMBERS[source.kind]
        wanted = [name for name in ("symbol", "tick_type", "timestamp", *numbers) if source.column(name) in present]
        for name in ("timestamp", *numbers):
            if name not in wanted:
                raise UnreadableSourceError(
                    f"{source.path.name}: no column {source.column(name)!r}; name the file's column in sources.columns"
                )
        line, theirs = 1, [source.column(name) for name in wanted]
        for batch in file.iter_batches(batch_size=chunk_rows, columns=theirs, use_threads=False):
            yield _chunk(source, {name: batch.column(source.column(name)) for name in wanted}, line, batch.num_rows)
            line += batch.num_rows


def _chunk(source: SourceFile, columns: dict[str, pa.Array], line: int, length: int) -> Chunk:
    symbols = _texts(columns.get("symbol"), source.symbol, length)
    stamps, moments = _stamps(source, columns["timestamp"])
    numbers = [_floats(source, name, columns[name]) for name in NUMBERS[source.kind]]
    name = source.path.name
    timeless: list[int] = np.flatnonzero(columns["timestamp"].is_null()).tolist()
    bad = {place: BadRow(name, line + place, "timestamp is missing") for place in timeless}
    kinds: list[TickType] = []
    if source.kind is RowKind.TICKS:
        found = [_TICK_TYPES.get(text) for text in _texts(columns.get("tick_type"), TickType.TRADE.value, length)]
        reason = "tick_type is not TRADE, BID, ASK or LAST"
        bad |= {i: BadRow(name, line + i, reason) for i, kind in enumerate(found) if kind is None}
        kinds = [kind or TickType.TRADE for kind in found]
    lines = range(line, line + length)
    return chunk_of(source, symbols, stamps, moments, numbers, kinds, lines).with_bad_rows(bad)


def _texts(column: pa.Array | None, default: str, length: int) -> list[str]:
    if column is None:
        return [default] * length
    coded = column if pa.types.is_dictionary(column.type) else column.cast(pa.string()).dictionary_encode()
    # Each text is made once; a missing one has the place -1, the last.
    texts = np.array([*(text or "" for text in coded.dictionary.cast(pa.string()).to_pylist()), ""], object)
    found: list[str] = texts[pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)].tolist()
    return found


def _floats(source: SourceFile, name: str, column: pa.Array) -> Values:
    try:
        values: Values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        raise UnreadableSourceError(f"{source.path.name}: column {source.column(name)!r} is not numeric") from None
    return values


def _stamps(source: SourceFile, column: pa.Array) -> tuple[Sequence[Any], Keys]:
    if pa.types.is_date(column.type):
        days: list[date | None] = column.to_pylist()
        ordinals = pc.fill_null(column.cast(pa.date32()).cast(pa.int32()), 0).to_numpy(zero_copy_only=False)
        return [day or date.min for day in days], ordinals.astype(np.int64) * MICROS_PER_DAY
    if not pa.types.is_timestamp(column.type):
        raise UnreadableSourceError(
            f"{source.path.name}: column {source.column('timestamp')!r} is neither date nor timestamp"
        )
    moments: Keys = pc.fill_null(column.cast(pa.timestamp("us")).cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    if column.type.tz is None and source.timezone != "UTC":
        local = pd.DatetimeIndex(moments.view("M8[us]"))
        moments = local.tz_localize(
            source.zone, ambiguous=np.ones(len(local), dtype=bool), nonexistent="shift_forward"
        ).asi8
    moments = moments + source.shift // timedelta(microseconds=1)
    return Moments(moments.view("m8[us]")), moments
