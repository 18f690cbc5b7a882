"""The bars of a run, streamed to a Parquet file in canonical order with memory that does not grow."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

ROWS_PER_GROUP = 10_000
SCHEMA = pa.schema(
    [
        ("timestamp", pa.timestamp("us", "UTC")),
        ("symbol", pa.string()),
        ("bar_size", pa.string()),
        *((name, pa.float64()) for name in ("open", "high", "low", "close", "volume")),
    ]
)
ORDER = [("timestamp", "ascending"), ("symbol", "ascending"), ("bar_size", "ascending")]

Series = tuple[str, str]
"""Symbol and bar size."""


def parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer whose bytes depend on the rows alone: fixed options, no metadata of the writing program's state.

    Only texts repeat enough for a dictionary; for prices it costs three times the time and space is lost.
    """
    texts = [column.name for column in schema if pa.types.is_string(column.type)]
    return pq.ParquetWriter(
        path, schema, version="2.6", compression="zstd", compression_level=1, use_dictionary=texts, store_schema=False
    )


class BarFile:
    """Appends blocks of bars; `close` leaves one file, sorted by time, symbol and bar size, each bar once.

    Blocks that arrive in canonical order (a backtest) go straight to disk. When they do not (partitions of a
    topic interleave, or messages repeat), `close` reads the file back once, sorts it and writes it again, to
    the same bytes as if they had.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = parquet_writer(path, SCHEMA)
        self._pending: pa.Table = SCHEMA.empty_table()
        self._newest: tuple[int, Series] | None = None
        self._canonical = True

    def append(
        self, at: NDArray[np.int64], codes: NDArray[np.int32], values: NDArray[np.float64], series: Sequence[Series]
    ) -> None:
        """Add bars: moments (µs since 1970), indices into ``series``, and rows of open, high, low, close, volume.

        Raises:
            RuntimeError: when the file is closed.
        """
        if not len(at):
            return
        if self._writer is None:
            raise RuntimeError("the bar file is closed; observe bars before the run is written")
        at, codes, values = self._sorted(at, codes, values, series)
        self._pending = pa.concat_tables([self._pending, _table(at, codes, values, series)])
        whole = len(self._pending) // ROWS_PER_GROUP * ROWS_PER_GROUP
        if whole:
            self._writer.write_table(self._pending.slice(0, whole), row_group_size=ROWS_PER_GROUP)
            self._pending = self._pending.slice(whole)

    def close(self) -> Path:
        """Write what is pending, bring the file into canonical order if it is not, and return its path."""
        if self._writer is not None:
            if len(self._pending):
                self._writer.write_table(self._pending, row_group_size=ROWS_PER_GROUP)
            self._writer.close()
            self._writer, self._pending = None, SCHEMA.empty_table()
            if not self._canonical:
                _rewrite(self._path)
        return self._path

    def _sorted(
        self, at: NDArray[np.int64], codes: NDArray[np.int32], values: NDArray[np.float64], series: Sequence[Series]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
        ranks = np.empty(len(series), np.int32)
        ranks[sorted(range(len(series)), key=series.__getitem__)] = np.arange(len(series), dtype=np.int32)
        rank = ranks[codes]
        if not _ascends(at, rank):
            order = np.lexsort((rank, at))
            at, codes, values, rank = at[order], codes[order], values[order], rank[order]
            self._canonical &= _ascends(at, rank)
        first = (int(at[0]), series[codes[0]])
        if self._newest is not None and first <= self._newest:
            self._canonical = False
        self._newest = (int(at[-1]), series[codes[-1]])
        return at, codes, values


def _ascends(at: NDArray[np.int64], rank: NDArray[np.int32]) -> bool:
    later = np.diff(at)
    return bool(np.all((later > 0) | ((later == 0) & (np.diff(rank) > 0))))


def _table(
    at: NDArray[np.int64], codes: NDArray[np.int32], values: NDArray[np.float64], series: Sequence[Series]
) -> pa.Table:
    taken = pa.array(codes)
    texts = [pa.array([one[part] for one in series], pa.string()).take(taken) for part in (0, 1)]
    numbers = [pa.array(np.ascontiguousarray(column)) for column in values.T]
    return pa.Table.from_arrays([pa.array(at).cast(SCHEMA.field(0).type), *texts, *numbers], schema=SCHEMA)


def _rewrite(path: Path) -> None:
    rows = pq.read_table(path, schema=SCHEMA)
    rows = rows.append_column("_arrival", pa.array(np.arange(len(rows))))
    rows = rows.sort_by([*ORDER, ("_arrival", "ascending")]).drop_columns(["_arrival"]).combine_chunks()
    with parquet_writer(path, SCHEMA) as writer:
        writer.write_table(rows.filter(pa.array(_first_of_each(rows))), row_group_size=ROWS_PER_GROUP)


def _first_of_each(rows: pa.Table) -> NDArray[np.bool_]:
    """Which rows of a sorted table differ from the one before in time, symbol or bar size."""
    new = np.zeros(len(rows), np.bool_)
    new[:1] = True
    for name in ("timestamp", "symbol", "bar_size"):
        column = rows[name].combine_chunks()
        new[1:] |= np.asarray(pa.compute.not_equal(column[1:], column[:-1]))
    return new
