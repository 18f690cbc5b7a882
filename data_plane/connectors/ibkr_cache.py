"""Bars that were fetched once, in Parquet files that the replay connector reads."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_plane.connectors.ibkr_bars import Window
from data_plane.connectors.port import RawBar

_NUMBERS = ("open", "high", "low", "close", "volume")


class BarCache:
    """One file for each symbol, bar size and window; a window without bars has a file too, and is not asked for again.

    Files appear whole: what a broken run was writing is not there.
    """

    def __init__(self, directory: Path, bar_size: str) -> None:
        self._directory = directory / bar_size
        self._directory.mkdir(parents=True, exist_ok=True)

    def path(self, symbol: str, window: Window) -> Path:
        """Where the bars of a window are."""
        return self._directory / f"{symbol}.{window.first:%Y%m%d}-{window.beyond:%Y%m%d}.parquet"

    def has(self, symbol: str, window: Window) -> bool:
        """Whether a window was fetched."""
        return self.path(symbol, window).exists()

    def write(self, symbol: str, window: Window, rows: Sequence[RawBar]) -> None:
        """Keep the bars of a window, oldest first."""
        daily = not any(isinstance(row.timestamp, datetime) for row in rows)
        moment = pa.date32() if daily and rows else pa.timestamp("us", "UTC")
        columns = {
            "symbol": pa.array([symbol] * len(rows), pa.string()),
            "timestamp": pa.array([row.timestamp for row in rows], moment),
            **{name: pa.array([float(getattr(row, name)) for row in rows], pa.float64()) for name in _NUMBERS},
        }
        path = self.path(symbol, window)
        unfinished = path.with_suffix(".partial")
        pq.write_table(pa.table(columns), unfinished, compression="zstd")
        unfinished.rename(path)
