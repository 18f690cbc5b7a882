"""Bars from Parquet files, as the project's fixtures hold them."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ibkr_sim.market_time import moment_of
from ibkr_sim.tape import Bar, UnreadableBarsError

_COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")


def read_bars(paths: Iterable[Path]) -> dict[str, list[Bar]]:
    """Bars by symbol, ascending; the symbol is a column of the file, or the file's name.

    ``timestamp`` is a bar's close, or a date for daily bars, which then last from 9:30 to 16:00 in New York.

    Raises:
        UnreadableBarsError: when a file is no Parquet file or lacks a column.
    """
    found: dict[str, list[Bar]] = {}
    for path in paths:
        for symbol, bar in zip(*_rows(path), strict=True):
            found.setdefault(symbol, []).append(bar)
    return {symbol: sorted(bars, key=lambda bar: bar.start) for symbol, bars in sorted(found.items())}


def _rows(path: Path) -> tuple[Sequence[str], list[Bar]]:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise UnreadableBarsError(f"{path.name} cannot be read as Parquet: {type(error).__name__}") from None
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise UnreadableBarsError(f"{path.name} has no column {missing[0]!r}; bars need {', '.join(_COLUMNS)}")
    columns = [table.column(name).to_pylist() for name in _COLUMNS]
    named = "symbol" in table.column_names
    symbols = table.column("symbol").to_pylist() if named else [path.stem] * table.num_rows
    length = _length(columns[0])
    return symbols, [_bar(row, length) for row in zip(*columns, strict=True)]


def _length(stamps: Sequence[date]) -> float:
    """Seconds of one bar: the shortest distance between two; 0 for daily bars."""
    if not stamps or not isinstance(stamps[0], datetime):
        return 0.0
    moments = sorted({stamp.timestamp() for stamp in stamps if isinstance(stamp, datetime)})
    return min((after - before for before, after in pairwise(moments)), default=60.0)


def _bar(row: tuple[date | datetime, float, float, float, float, float], length: float) -> Bar:
    stamp, opened, high, low, close, volume = row
    if isinstance(stamp, datetime):
        end = stamp.timestamp()
        start = end - length
    else:
        start, end = moment_of(stamp, 9, 30), moment_of(stamp, 16)
    trades = max(4, int(end - start if end - start <= 3600 else (end - start) / 60))
    wap = round((opened + high + low + close) / 4, 4)
    return Bar(start, end, opened, high, low, close, float(volume), wap, trades)
