"""The import rules of pyproject.toml hold, and would notice if they were broken."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

VIOLATIONS = {
    "layers": ("strategy_plane/history.py", "import order_plane.desk"),
    "purity": ("domain/money.py", "import time"),
    "frames": ("order_plane/lifecycle.py", "import pandas"),
    "kafka-bus": ("order_plane/execution.py", "import kernel.kafka_bus"),
    "kafka-client": ("data_plane/store.py", "import confluent_kafka"),
    "ibkr-sim": ("ibkr_sim/draws.py", "import kernel.plane"),
    "ibkr-library": ("order_plane/brokers/ibkr.py", "import ib_insync"),
    "connectors": ("data_plane/connectors/csv_source.py", "import data_plane.connectors.parquet_source"),
    "brokers": ("order_plane/brokers/fills.py", "import order_plane.journals.port"),
    "controls": ("order_plane/risk/halt.py", "import order_plane.risk.rate"),
    "strategies": (
        "strategy_plane/strategies/moving_average_cross.py",
        "import strategy_plane.strategies.momentum_mean_variance",
    ),
    "signals": ("strategy_plane/signals/sentiment.py", "import strategy_plane.signals.positioning"),
    "cycles": ("contracts/base.py", "import contracts.topics"),
}
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


@pytest.fixture(scope="module")
def copy(root: Path, linter: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages alone, in another place."""
    place = tmp_path_factory.mktemp("copy")
    shutil.copy(root / "pyproject.toml", place)
    for package in linter["root_packages"]:
        shutil.copytree(root / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    return place


def test_every_rule_holds_and_each_would_notice_a_violation(copy: Path, linter: dict[str, Any]) -> None:
    names = {contract["id"]: contract["name"] for contract in linter["contracts"]}
    assert set(VIOLATIONS) == set(names)
    assert _verdicts(copy) == dict.fromkeys(names.values(), "KEPT")
    for file, line in VIOLATIONS.values():
        with (copy / file).open("a", encoding="utf-8") as text:
            text.write(f"\n{line}\n")
    assert _verdicts(copy) == dict.fromkeys(names.values(), "BROKEN")


def test_the_tools_know_every_package(root: Path, pyproject: dict[str, Any], linter: dict[str, Any]) -> None:
    folders = sorted(path.parent.name for path in root.glob("*/__init__.py"))
    tool = pyproject["tool"]
    assert sorted(linter["root_packages"]) == folders
    assert sorted(tool["hatch"]["build"]["targets"]["wheel"]["packages"]) == folders
    assert sorted(tool["mypy"]["packages"]) == folders
    assert sorted(tool["coverage"]["run"]["source"]) == folders


def _verdicts(place: Path) -> dict[str, str]:
    """What the linter says of each rule; each folder is linted as if it were the installed project."""
    done = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache", "--no-logo"],
        cwd=place,
        env={"PATH": "", "PYTHONPATH": str(place), "NO_COLOR": "1", "COLUMNS": "500"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    summary = done.stdout.partition("Broken contracts")[0]
    verdicts = {}
    for line in summary.splitlines():
        words = line.partition(" (")[0].rsplit(" ", 1)
        if words[-1] in ("KEPT", "BROKEN"):
            verdicts[words[0]] = words[-1]
    assert verdicts, done.stdout + done.stderr
    return verdicts
