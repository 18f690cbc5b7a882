"""The long chaos run: every test of the fault table once for each seed, and a table of how they ended.

python tests/chaos/report.py --schedules 20000 --out runs/chaos.md 11 12
"""

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from random import SystemRandom

import pytest

ROOT = Path(__file__).parents[2]


class Ends:
    """Collects how each marked test ended, by its row of the fault table."""

    def __init__(self):
        self.rows = {}
        self.ends = defaultdict(list)

    def pytest_collection_modifyitems(self, items):
        for item in items:
            for marker in item.iter_markers("fault"):
                self.rows[item.nodeid] = marker.args[0]

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or (report.when == "setup" and not report.passed):
            self.ends[self.rows.get(report.nodeid, "")].append((report.outcome, report.duration))


def table(results):
    """Markdown with one line for each row of the fault table and one column for each seed."""
    seeds = list(results)
    rows = sorted({row for ends in results.values() for row in ends}, key=_number)
    lines = [f"| fault | {' | '.join(f'seed {seed}' for seed in seeds)} |", "|---" * (len(seeds) + 1) + "|"]
    return "\n".join([*lines, *(f"| {row} | {' | '.join(_cell(results[s][row]) for s in seeds)} |" for row in rows)])


def _number(row):
    first = row.split()[0].strip(":")
    return first[0], int(first[1:])


def _cell(ends):
    counted = {outcome: sum(end[0] == outcome for end in ends) for outcome in ("passed", "failed", "skipped")}
    words = ", ".join(f"{count} {outcome}" for outcome, count in counted.items() if count) or "not run"
    return f"{words} in {sum(seconds for _, seconds in ends):.1f} s"


def run(seed, schedules, out):
    """Run every test once in this process and write how they ended."""
    os.environ["ALGOTRADE_CHAOS_SEED"], os.environ["ALGOTRADE_CHAOS_SCHEDULES"] = str(seed), str(schedules)
    ends = Ends()
    where = [str(ROOT / "tests" / part) for part in ("chaos", "stages", "unit/order_plane", "ports")]
    quiet = ["-q", "--show-capture=no", "-p", "no:logging", "--timeout", "3600"]
    code = pytest.main([*quiet, "-m", "fault and not kafka", *where], plugins=[ends])
    out.write_text(json.dumps(ends.ends))
    return int(code)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="*", type=int, help="default: one at random")
    parser.add_argument("--schedules", type=int, default=20_000, help="hostile schedules for each kind of venue")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "chaos.md", help="where the table is written")
    parser.add_argument("--ends", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ends:
        sys.exit(run(options.seeds[0], options.schedules, options.ends))
    results, failed = {}, False
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds or [SystemRandom().randrange(1_000_000)]:
        sys.stdout.write(f"seed {seed}\n")
        sys.stdout.flush()
        ends = options.out.with_suffix(f".{seed}.json")
        words = [sys.executable, __file__, str(seed), "--schedules", str(options.schedules), "--ends", str(ends)]
        failed = subprocess.run(words, check=False).returncode != 0 or failed
        results[seed] = defaultdict(list, json.loads(ends.read_text()) if ends.exists() else {})
        ends.unlink(missing_ok=True)
    text = table(results)
    options.out.write_text(text + "\n")
    sys.stdout.write(f"{text}\nwritten to {options.out}\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()
