"""Several files as one sequence in time."""

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from data_plane.connectors.port import UNKNOWN_MOMENT, Block, Chunk, Keys

NO_HORIZON = int(np.iinfo(np.int64).max)


class _Pending:
    """What has been read of one file and not been given yet.

    A row's key is the latest moment read so far, so a row out of order in its file keeps its place there. A row later
    than ``horizon`` is not believed: it stays behind the row before it, and holds up none.
    """

    def __init__(self, chunks: Iterator[Chunk], horizon: int) -> None:
        self._horizon = horizon
        self._unread = chunks
        self._chunks: deque[Chunk] = deque()
        self.newest = int(np.iinfo(np.int64).min)
        self.ended = False
        self._last_symbol = ""

    @property
    def holds_rows(self) -> bool:
        """Whether rows are left to give."""
        return bool(self._chunks)

    def read(self) -> None:
        """Add the file's next chunk."""
        chunk = next(self._unread, None)
        if chunk is None:
            self.ended = True
        elif len(chunk.moments):
            believed = np.where(chunk.moments <= self._horizon, chunk.moments, self.newest)
            keys = np.maximum.accumulate(np.maximum(believed, self.newest))
            self.newest = int(keys[-1])
            self._chunks.append(Chunk(chunk.row_type, chunk.columns, keys, self._named(chunk)))

    def _named(self, chunk: Chunk) -> list[str]:
        """The symbols to order by: a row that could not be read stays behind the row before it."""
        symbols = chunk.symbols
        for place in np.flatnonzero(chunk.moments == UNKNOWN_MOMENT).tolist():
            symbols[place] = symbols[place - 1] if place else self._last_symbol
        self._last_symbol = symbols[-1]
        return symbols

    def take(self, before: int | None) -> list[Chunk]:
        """The rows with keys below ``before``, all when None."""
        taken = []
        while self._chunks:
            chunk = self._chunks.popleft()
            length = len(chunk.moments)
            count = length if before is None else int(np.searchsorted(chunk.moments, before))
            if count:
                taken.append(chunk.part(0, count))
            if count < length:
                self._chunks.appendleft(chunk.part(count, length))
                break
        return taken


def merged(files: Sequence[Iterator[Chunk]], horizon: int = NO_HORIZON) -> Iterator[Block]:
    """Every row of every file by time, then symbol, then file and place in it.

    What claims to be later than ``horizon``, in microseconds since 1970, keeps its place in its file instead.

    The order does not depend on how the files are cut into chunks: rows of one moment are only given together. Rows
    stay columns where each has a moment of its own and is later than the one before.
    """
    pending = [_Pending(chunks, horizon) for chunks in files]
    while pending:
        complete = _read_up(pending)
        yield from _in_order([chunk for file in pending for chunk in file.take(complete)])
        pending = [file for file in pending if file.holds_rows or not file.ended]


def _read_up(pending: Sequence[_Pending]) -> int | None:
    """Read the files that hold the others back; returns the moment before which every row is at hand."""
    unfinished = [file for file in pending if not file.ended]
    behind = min((file.newest for file in unfinished), default=0)
    for file in unfinished:
        if file.newest <= behind:
            file.read()
    return min((file.newest for file in unfinished if not file.ended), default=None)


def _in_order(chunks: Sequence[Chunk]) -> Iterator[Block]:
    if not chunks:
        return
    moments = np.concatenate([chunk.moments for chunk in chunks])
    if (np.diff(moments) > 0).all():
        yield from chunks
        return
    symbols = [symbol for chunk in chunks for symbol in chunk.symbols]
    order = np.lexsort((_ranks(symbols), moments))
    origin = np.repeat(np.arange(len(chunks)), [len(chunk.moments) for chunk in chunks])
    if (np.diff(order[np.argsort(origin[order], kind="stable")]) > 0).all():  # no file is out of order in itself
        readers = [chunk.rows() for chunk in chunks]
        yield map(next, map(readers.__getitem__, origin[order].tolist()))
    else:
        rows = [row for chunk in chunks for row in chunk.rows()]
        yield map(rows.__getitem__, order.tolist())


def _ranks(symbols: Sequence[str]) -> Keys:
    """Places of the symbols in the order of their names."""
    rank = {symbol: number for number, symbol in enumerate(sorted(set(symbols)))}
    return np.fromiter(map(rank.__getitem__, symbols), dtype=np.int64, count=len(symbols))
