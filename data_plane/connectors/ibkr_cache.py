"""Bars that were fetched once, in Parquet files that the replay connector reads."""

from bisect import bisect_left
from collections.abc import Sequence
from glob import escape
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_plane.connectors.ibkr_bars import Window, day, epoch
from data_plane.session_grid import step_of
from ibkr_client.gateway_errors import GatewayRefused
from ibkr_client.messages import HistoryBar

_NUMBERS = ("open", "high", "low", "close", "volume")
_MICROS = 1_000_000
_GATEWAY = "gateway"


class SeveralMarkets(GatewayRefused):
    """Bars of several simulators are there, and nothing says whose are meant."""


def folder(cache: Path, market: str) -> Path:
    """Where the bars of a simulator's market are, or with no name those of a gateway that is no simulator.

    They have a folder each, so that made-up bars never become the history of an account, or of another made-up market.
    """
    return cache / (f"simulator-{market}" if market else _GATEWAY)


def kept(cache: Path, bar_size: str) -> Path:
    """The folder with bars of that size: the gateway's when there are any, else the only simulator's.

    Raises:
        FileNotFoundError: when there are none.
        SeveralMarkets: when there are several simulators'.
    """
    found = sorted({path.parent for path in cache.glob(f"*/{bar_size}/*.parquet")})
    if not found:
        raise FileNotFoundError(f"{cache} holds no {bar_size} bars yet; algotrade up --broker ibkr fetches them")
    ours = [path for path in found if path.parent == folder(cache, "")] or found
    if len(ours) > 1:
        names = ", ".join(path.parent.name for path in ours)
        raise SeveralMarkets(f"{cache} holds bars of several markets ({names}); remove those that are not meant")
    return ours[0]


class BarCache:
    """One file for each symbol, bar size and window; a window without bars has a file too, and is not asked for again.

    A window that was not over has a shorter name, so that nobody takes it for the whole, until a longer one replaces
    it. Files appear whole: what a broken run was writing is not there.
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

    def has_bars_before(self, symbol: str, window: Window) -> bool:
        """Whether there are bars of an earlier window."""
        begins = f"{symbol}.{window.first:%Y%m%d}"
        earlier = (path for path in self._directory.glob(f"{escape(symbol)}.????????-*.parquet") if path.name < begins)
        return any(pq.read_metadata(path).num_rows for path in sorted(earlier, reverse=True))

    def write(self, symbol: str, window: Window, bars: Sequence[HistoryBar]) -> int:
        """Keep those of ``bars``, oldest first, that begin in ``window``; returns how many.

        They are kept as columns, with their closes, or the trading days of daily bars.
        """
        starts, *numbers = zip(*bars, strict=True) if bars else [()] * (1 + len(_NUMBERS))
        moments, first, beyond = self._moments(starts, window)
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
        for shorter in set(self._directory.glob(f"{escape(symbol)}.{window.first:%Y%m%d}-*.parquet")) - {path}:
            shorter.unlink()
        return beyond - first

    def _moments(self, starts: Sequence[str], window: Window) -> tuple[pa.Array, int, int]:
        """The closes of bars that begin at ``starts``, and where those of ``window`` begin and end."""
        if self._step is None:
            days = [day(start) for start in starts]
            return pa.array(days, pa.date32()), bisect_left(days, window.first), bisect_left(days, window.beyond)
        seconds = np.array([int(start) for start in starts], np.int64)
        first, beyond = np.searchsorted(seconds, [epoch(window.first), epoch(window.beyond)])
        closes = (seconds + int(self._step.total_seconds())) * _MICROS
        return pa.array(closes, pa.timestamp("us", "UTC")), int(first), int(beyond)
