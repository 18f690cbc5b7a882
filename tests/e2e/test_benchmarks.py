"""Each benchmark that needs nothing but the project measures what it says, in small; how fast is not asked here."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def measured(name: str, *arguments: str) -> str:
    """What the benchmark printed; a missed target ends it with 1, as does an exception, which prints nothing last."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    return done.stdout


def test_the_memory_bus_trades_every_cross():
    one, ten = measured("memory_bus", "--bars", "4000", "--rounds", "1", "--engines").splitlines()
    # pandas counts 91 crosses of the rolling means of these bars
    assert re.search(r"^1x4000 +ours +[\d,]+ bars/s +91 orders ", one)
    assert re.search(r"^10x400 +ours +[\d,]+ bars/s +\d+ orders ", ten)


def test_the_journal_is_timed_empty_and_with_rows():
    lines = measured("journal", "--rows", "0", "2000").splitlines()
    assert [line.split()[0] for line in lines] == ["0", "2000"]
    assert all(re.search(r"one intent p50 [\d.]+ ms.* batches of 50: [\d,]+/s", line) for line in lines)


def test_a_kill_is_timed_until_everything_is_closed():
    assert re.search(r"last cancel .* \d+ ms, last closing order sent after \d+ ms", measured("kill", "--rounds", "1"))


def test_every_bar_goes_through_three_processes():
    found = json.loads(measured("kafka_throughput", "--broker", "embedded", "--bars", "2000"))
    assert found["bars"] == 2000
    assert found["memory_mb"].keys() == {"order", "strategy", "data"}


def test_relay_and_planes_are_timed_in_turn():
    found = json.loads(
        measured("kafka_latency", "--broker", "embedded", "--rounds", "1", "--messages", "300", "--rate", "50")
    )
    assert 0 < found["relay_p50_ms"] <= found["relay_p99_ms"]
    assert 0 < found["planes_p50_ms"] <= found["planes_p99_ms"]
    assert found["ratio_p50"] == pytest.approx(found["planes_p50_ms"] / found["relay_p50_ms"], rel=0.02)
