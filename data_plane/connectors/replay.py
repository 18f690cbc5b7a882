"""Recorded market data from Parquet and CSV files."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import chain

from data_plane.connectors.csv_source import csv_chunks
from data_plane.connectors.layout import MICROS_PER_DAY, SourceFile, UnreadableSourceError, moment_of
from data_plane.connectors.merge import NO_HORIZON, merged
from data_plane.connectors.parquet_source import parquet_chunks
from data_plane.connectors.port import AFTER_ALL, UNKNOWN_MOMENT, Block, Chunk, Row

__all__ = ["ReplayConnector", "SourceFile", "UnreadableSourceError"]

_CHUNK_ROWS = 20_000
_ROWS_IN_HAND = 200_000


class ReplayConnector:
    """Reads files again and again in the same order, each a chunk at a time, so memory stays flat.

    Rows from ``start`` to ``end`` (UTC days, both included) are given; a row that cannot be read is always given, and
    one later than ``horizon`` where it stands in its file.
    """

    def __init__(
        self,
        files: Sequence[SourceFile],
        start: date | None = None,
        end: date | None = None,
        chunk_rows: int | None = None,
        horizon: datetime | None = None,
    ) -> None:
        self._horizon = NO_HORIZON if horizon is None or horizon == AFTER_ALL else moment_of(horizon)
        self._files = tuple(files)
        self._first = UNKNOWN_MOMENT if start is None else moment_of(start)
        self._beyond = 2**63 - 1 if end is None else moment_of(end) + MICROS_PER_DAY
        self._chunk_rows = chunk_rows or max(256, min(_CHUNK_ROWS, _ROWS_IN_HAND // max(len(files), 1)))

    def blocks(self) -> Iterator[Block]:
        """Yield every row by time, then symbol, many at a time.

        Raises:
            UnreadableSourceError: naming a file that is not what its settings say.
        """
        return merged([self._chunks(source) for source in self._files], self._horizon)

    def rows(self) -> Iterator[Row]:
        """Yield every row by time, then symbol; raises as `blocks` does."""
        return chain.from_iterable(block.rows() if isinstance(block, Chunk) else block for block in self.blocks())

    def _chunks(self, source: SourceFile) -> Iterator[Chunk]:
        name = source.path.name
        if name.endswith((".csv", ".csv.gz")):
            chunks = csv_chunks(source, self._chunk_rows)
        elif name.endswith(".parquet"):
            chunks = parquet_chunks(source, self._chunk_rows)
        else:
            raise UnreadableSourceError(f"{name}: only .parquet, .csv and .csv.gz files can be replayed")
        return map(self._within_period, chunks)

    def _within_period(self, chunk: Chunk) -> Chunk:
        moments = chunk.moments
        keep = ((moments >= self._first) & (moments < self._beyond)) | (moments == UNKNOWN_MOMENT)
        if keep.all():
            return chunk
        return chunk.chosen(keep)
