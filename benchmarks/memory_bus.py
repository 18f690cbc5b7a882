"""The three stages on the memory bus beside other engines, on the same bars with the same trades, in one run.

One symbol with 1,000,000 minute bars, and ten with 100,000 each; moving averages 20/50, a market order at the next
open, $1 an order and 1 bp of slippage. Every engine runs in a process of its own, in turn, over several rounds. The
figure is the median CPU time of the engine's own run, without loading its data (ours reads its file while it runs).
Our run is the whole one: gates, contracts, pre-trade controls, journal facts, fills, and the record of equity.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
REQUIRED = {"backtesting": 1.5, "nautilus": 7.0, "backtrader": 18.0}
"""How many times faster than each engine ours must be."""


def ours(files: list[Path]) -> tuple[int, int, float]:
    """The workload on this project's engine."""
    import workload
    from backtest.run_record import RunRecord
    from backtest.simulation import simulate
    from data_plane.settings import DataSettings, GateSettings, SourceSettings
    from order_plane.settings import Mode, OrderSettings, ThrottleSettings
    from strategy_plane.settings import MovingAverageCrossSettings, StrategySettings

    symbols = tuple(path.stem for path in files)
    data = DataSettings(
        sources=(SourceSettings(files=tuple(map(str, files))),),
        bar_size="1min",
        calendar="24/7",
        adjust=False,
        symbols=symbols,
        gates=GateSettings(stale_repeats=0),
    )
    cross = MovingAverageCrossSettings(fast=workload.FAST, slow=workload.SLOW, units=float(workload.QUANTITY))
    strategy = StrategySettings(strategy=cross, bar_size="1min", initial_cash=workload.CASH, universe=symbols)
    order = OrderSettings(mode=Mode.SIMULATION, calendar="24/7", volume_cap=None, throttle=ThrottleSettings(burst=1e6))
    record = RunRecord(workload.CASH)
    with workload.timed():
        simulate(data, strategy, order, record)
    tables = record.tables()
    filled = sum(status == "FILLED" for status in tables.orders["status"].to_pylist())
    return record.counts["bars"], filled, float(tables.equity["equity"][-1].as_py())


def run(engine: str, python: str, files: list[Path]) -> dict:
    """One engine in a fresh process."""
    script = [__file__, "--engine", "ours"] if engine == "ours" else [str(HERE / "peers" / f"run_{engine}.py")]
    done = subprocess.run(
        [sys.executable if engine == "ours" else python, *script, *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{engine} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(name: str, engines: list[str], python: str, files: list[Path], rounds: int) -> bool:
    """Interleave the engines over ``rounds`` and print a line for each; False when a ratio is missed."""
    times: dict[str, list[float]] = {engine: [] for engine in engines}
    last: dict[str, dict] = {}
    for _ in range(rounds):
        for engine in engines:
            last[engine] = run(engine, python, files)
            times[engine].append(last[engine]["run_cpu_s"])
    own = statistics.median(times["ours"])
    passed = True
    for engine in engines:
        median = statistics.median(times[engine])
        ratio = median / own
        required = REQUIRED.get(engine) if name == "1x1000000" else None
        verdict = "" if required is None else ("PASS" if ratio >= required else "FAIL")
        passed &= verdict != "FAIL"
        found = last[engine]
        print(
            f"{name}  {engine:12s} {found['bars'] / median:>12,.0f} bars/s  {found['orders']:>7,} orders  "
            f"equity {found['equity']:>12,.2f}  {found['peak_mb']:>5} MB  ours is {ratio:5.2f}x  {verdict}",
            flush=True,
        )
    return passed


def main() -> None:
    """Write the bars, run the engines, compare."""
    sys.path.insert(0, str(HERE / "peers"))
    import workload

    if sys.argv[1:3] == ["--engine", "ours"]:
        del sys.argv[1:3]
        workload.measured(ours)
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", default=".venv-peers/bin/python", help="python that has the other engines")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--engines", nargs="*", default=["backtesting", "nautilus", "backtrader"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        one = workload.write_bars(Path(folder) / "one", 1, arguments.bars)
        ten = workload.write_bars(Path(folder) / "ten", 10, arguments.bars // 10)
        passed = compare(f"1x{arguments.bars}", ["ours", *arguments.engines], arguments.peers, one, arguments.rounds)
        compare(f"10x{arguments.bars // 10}", ["ours"], arguments.peers, ten, arguments.rounds)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
