"""The bars and the rules that every engine trades: a moving-average cross on a seeded random walk.

Long ``QUANTITY`` units while the mean of the last 20 closes is above that of the last 50, flat otherwise;
a market order at the next bar's open, 1 bp of slippage against it, $1 commission for each order.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FAST, SLOW, QUANTITY, CASH, COMMISSION, SLIPPAGE_BPS = 20, 50, 100, 1_000_000.0, 1.0, 1.0
START = datetime.fromisoformat("2020-01-01T00:00:00+00:00")
NAMES = ("open", "high", "low", "close", "volume")


def write_bars(directory: Path, symbols: int, bars: int, seed: int = 7) -> list[Path]:
    """One Parquet file of minute bars for each symbol, always the same for the same arguments."""
    directory.mkdir(parents=True, exist_ok=True)
    start_us = int(START.timestamp() * 1e6)
    times = start_us + 60_000_000 * np.arange(1, bars + 1, dtype=np.int64)
    paths = []
    for number in range(symbols):
        rng = np.random.default_rng([seed, number])
        close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 2e-4, bars)))
        opens = np.concatenate([[100.0], close[:-1]]) * (1 + rng.normal(0.0, 2e-5, bars))
        high = np.maximum(opens, close) * (1 + np.abs(rng.normal(0.0, 1e-4, bars)))
        low = np.minimum(opens, close) * (1 - np.abs(rng.normal(0.0, 1e-4, bars)))
        columns = {
            "symbol": pa.array([f"S{number}"] * bars).dictionary_encode(),
            "timestamp": pa.array(times, pa.timestamp("us", tz="UTC")),
            "open": opens,
            "high": high,
            "low": low,
            "close": close,
            "volume": np.full(bars, 1e6),
        }
        path = directory / f"S{number}.parquet"
        pq.write_table(pa.table(columns), path)
        paths.append(path)
    return paths


def read_frame(path: Path):
    """The bars of one file as a pandas frame indexed by close time."""
    frame = pq.read_table(path).to_pandas()
    return frame.set_index("timestamp")[list(NAMES)]


def measured(run: Callable[[list[Path]], tuple[int, int, float]]) -> None:
    """Run one engine on the files named on the command line and print its figures as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+", type=Path)
    files = parser.parse_args().files
    before = time.process_time()
    bars, orders, equity = run(files)
    print(
        json.dumps(
            {
                "bars": bars,
                "orders": orders,
                "equity": round(equity, 2),
                "process_cpu_s": round(time.process_time() - before, 3),
                "run_cpu_s": round(TIMES["run"], 3),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


TIMES: dict[str, float] = {}


class timed:  # noqa: N801 - reads as a verb where it is used
    """Count the CPU seconds of the engine's own run, without loading bars."""

    def __enter__(self):
        self._start = time.process_time()

    def __exit__(self, *error):
        TIMES["run"] = TIMES.get("run", 0.0) + time.process_time() - self._start
