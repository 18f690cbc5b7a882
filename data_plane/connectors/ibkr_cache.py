"""Bars that were fetched once, in Parquet files that the replay connector reads."""

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_plane.connectors.ibkr_bars import Window, day, epoch
from data_plane.session_grid import step_of
from ibkr_client.messages import HistoryBar

_NUMBERS = ("open", "high", "low", "close", "volume")
_MICROS = 1_000_000


class BarCache:
    """One file for each symbol, bar size and window; a window without bars has a file too, and is not asked for again.

    Files appear whole: what a broken run was writing is not there.
    """

    def __init__(self, directory: Path, bar_size: str) -> None:
        self._step = step_of(bar_size)
        self._directory = directory / bar_size
        self._directory.mkdir(parents=True, exist_ok=True)

    def path(self, symbol: str, window: Window) -> Path:
        """Where the bars of a window are."""
        return self._directory / f"{symbol}.{window.first:%Y%m%d}-{window.beyond:%Y%m%d}.parquet"

    def has(self, symbol: str, window: Window) -> bool:
        """Whether a window was fetched."""
        return self.path(symbol, window).exists()

    def write(self, symbol: str, window: Window, bars: Sequence[HistoryBar], asked: Window) -> int:
        """Keep those of ``bars``, oldest first, that begin in the window that was ``asked`` for; returns how many.

        They are kept as columns, with their closes, or the trading days of daily bars.
        """
        starts, *numbers = zip(*bars, strict=True) if bars else [()] * (1 + len(_NUMBERS))
        moments, first, beyond = self._moments(starts, asked)
        columns = {
            "symbol": pa.repeat(pa.scalar(symbol, pa.string()), beyond - first),
            "timestamp": moments[first:beyond],
            **{name: np.array(each, np.float64)[first:beyond] for name, each in zip(_NUMBERS, numbers, strict=True)},
        }
        path = self.path(symbol, window)
        unfinished = path.with_suffix(".partial")
        # Numbers hardly repeat: a dictionary of them would cost time and room.
        pq.write_table(pa.table(columns), unfinished, compression="zstd", use_dictionary=["symbol"])
        unfinished.rename(path)
        return beyond - first

    def _moments(self, starts: Sequence[str], asked: Window) -> tuple[pa.Array, int, int]:
        """The closes of bars that begin at ``starts``, and where those of ``asked`` begin and end."""
        if self._step is None:
            days = [day(start) for start in starts]
            return pa.array(days, pa.date32()), bisect_left(days, asked.first), bisect_left(days, asked.beyond)
        seconds = np.array([int(start) for start in starts], np.int64)
        first, beyond = np.searchsorted(seconds, [epoch(asked.first), epoch(asked.beyond)])
        closes = (seconds + int(self._step.total_seconds())) * _MICROS
        return pa.array(closes, pa.timestamp("us", "UTC")), int(first), int(beyond)
