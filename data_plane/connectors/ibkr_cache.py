"""Bars that were fetched once, in Parquet files that the replay connector reads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_plane.connectors.ibkr_bars import Window, day
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

    def write(self, symbol: str, window: Window, bars: Sequence[HistoryBar]) -> None:
        """Keep the bars of a window, oldest first, as columns: their closes, or the trading days of daily bars."""
        numbers = np.array([bar[1:] for bar in bars], dtype=np.float64).reshape(len(bars), len(_NUMBERS))
        columns = {
            "symbol": pa.array([symbol] * len(bars), pa.string()),
            "timestamp": self._moments([bar.start for bar in bars]),
            **{name: pa.array(numbers[:, place]) for place, name in enumerate(_NUMBERS)},
        }
        path = self.path(symbol, window)
        unfinished = path.with_suffix(".partial")
        pq.write_table(pa.table(columns), unfinished, compression="zstd")
        unfinished.rename(path)

    def _moments(self, starts: list[str]) -> pa.Array:
        if self._step is None:
            return pa.array([day(start) for start in starts], pa.date32())
        closes = (np.array(starts, dtype=np.str_).astype(np.int64) + int(self._step.total_seconds())) * _MICROS
        return pa.array(closes, pa.timestamp("us", "UTC"))
