"""Market data made by a seeded generator: the same seed always gives the same rows."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from data_plane.session_grid import SessionGrid
from domain.calendar import SessionCalendar
from domain.exchange_sessions import load_calendar

_TICK = 0.01
_MOMENT = pa.timestamp("us", "UTC")
_DAY_VOLATILITY = 0.02


def bar_closes(calendar: SessionCalendar, bar_size: str, limit: int | None = None) -> list[datetime]:
    """The close of every bar in the sessions of ``calendar``, the first ``limit`` of them."""
    grid = SessionGrid(calendar, bar_size)
    closes: list[datetime] = []
    at = grid.following(calendar.opens[0])
    while at is not None and (limit is None or len(closes) < limit):
        closes.append(at)
        at = grid.following(at)
    return closes


def bars(rng: np.random.Generator, symbol: str, closes: Sequence[datetime], first_price: float) -> pa.Table:
    """Bars of a geometric random walk in whole cents, each opening where the one before closed.

    The volatility of one bar is what makes 2 % in 390 of them; volumes are log-normal whole units.
    """
    count = len(closes)
    steps = rng.normal(0.0, _DAY_VOLATILITY / np.sqrt(390), size=count)
    path = _in_cents(first_price * np.exp(np.concatenate([[0.0], np.cumsum(steps)])))
    opened, closed = path[:-1], path[1:]
    reach = rng.exponential(_DAY_VOLATILITY / np.sqrt(390) / 2, size=(2, count))
    highs = _in_cents(np.maximum(opened, closed) * (1 + reach[0]))
    lows = _in_cents(np.minimum(opened, closed) * (1 - reach[1]))
    return pa.table(
        {
            "symbol": pa.array([symbol] * count, pa.string()),
            "timestamp": pa.array(closes, _MOMENT),
            "open": opened,
            "high": np.maximum(highs, np.maximum(opened, closed)),
            "low": np.minimum(lows, np.minimum(opened, closed)),
            "close": closed,
            "volume": np.ceil(rng.lognormal(8.0, 0.6, size=count)),
        }
    )


def book(
    rng: np.random.Generator, symbol: str, begin: datetime, length: timedelta, first_price: float, events: int
) -> tuple[pa.Table, pa.Table]:
    """Best quotes and trades of one symbol over ``length``, as ``events`` random events of a one-cent-wide book.

    An event adds to, cancels from or trades against one side; a side that runs out moves the mid by one cent.
    """
    offsets = np.sort(rng.integers(0, length // timedelta(microseconds=1), size=events))
    moments = [begin + timedelta(microseconds=int(offset)) for offset in offsets]
    choices = rng.random(size=events)
    sides = rng.integers(0, 2, size=events)
    sizes = rng.integers(1, 9, size=events) * 100
    depth = [800, 800]
    bid_cents = round(first_price / _TICK)
    quotes: list[tuple[datetime, int, int, int]] = []
    trades: list[tuple[datetime, float, int]] = []
    for at, choice, side, size in zip(moments, choices.tolist(), sides.tolist(), sizes.tolist(), strict=True):
        if choice < 0.5:
            depth[side] += size
        else:
            taken = min(size, depth[side])
            depth[side] -= taken
            if choice >= 0.75:
                trades.append((at, round((bid_cents + side) * _TICK, 2), taken))
        if not depth[side]:
            bid_cents += 1 if side else -1
            depth = [800, 800]
        quotes.append((at, bid_cents, depth[0], depth[1]))
    return _quote_table(symbol, quotes), _trade_table(symbol, trades)


def write_fixtures(seeds: Path, directory: Path) -> None:
    """Write the generated fixtures that the YAML file ``seeds`` describes into ``directory``."""
    described = yaml.safe_load(seeds.read_text("utf-8"))
    directory.mkdir(parents=True, exist_ok=True)
    _write_bars(described["minute_bars"], directory)
    _write_book(described["book"], directory)


def _write_bars(described: Mapping[str, Any], directory: Path) -> None:
    calendar = load_calendar(described["calendar"], described["first"], described["last"])
    closes = bar_closes(calendar, described["bar_size"])
    for symbol, entry in described["symbols"].items():
        table = bars(np.random.default_rng(entry["seed"]), symbol, closes, entry["first_price"])
        _write(table, directory / f"minute_bars_{symbol}.parquet")


def _write_book(described: Mapping[str, Any], directory: Path) -> None:
    day: date = described["day"]
    opened = load_calendar(described["calendar"], day, day).opens[0]
    length = timedelta(minutes=described["minutes"])
    for symbol, entry in described["symbols"].items():
        rng = np.random.default_rng(entry["seed"])
        quotes, trades = book(rng, symbol, opened, length, entry["first_price"], described["events"])
        _write(quotes, directory / f"quotes_{symbol}.parquet")
        _write(trades, directory / f"trades_{symbol}.parquet")


def _write(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd", compression_level=19)


def _in_cents(prices: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.maximum(np.round(prices, 2), _TICK)


def _quote_table(symbol: str, quotes: Sequence[tuple[datetime, int, int, int]]) -> pa.Table:
    return pa.table(
        {
            "symbol": pa.array([symbol] * len(quotes), pa.string()),
            "timestamp": pa.array([at for at, _, _, _ in quotes], _MOMENT),
            "bid_price": pa.array([round(cents * _TICK, 2) for _, cents, _, _ in quotes], pa.float64()),
            "bid_size": pa.array([float(size) for _, _, size, _ in quotes], pa.float64()),
            "ask_price": pa.array([round((cents + 1) * _TICK, 2) for _, cents, _, _ in quotes], pa.float64()),
            "ask_size": pa.array([float(size) for _, _, _, size in quotes], pa.float64()),
        }
    )


def _trade_table(symbol: str, trades: Sequence[tuple[datetime, float, int]]) -> pa.Table:
    return pa.table(
        {
            "symbol": pa.array([symbol] * len(trades), pa.string()),
            "timestamp": pa.array([at for at, _, _ in trades], _MOMENT),
            "price": pa.array([price for _, price, _ in trades], pa.float64()),
            "size": pa.array([float(size) for _, _, size in trades], pa.float64()),
            "tick_type": pa.array(["TRADE"] * len(trades), pa.string()),
        }
    )
