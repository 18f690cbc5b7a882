"""Two backtests of one configuration, in two processes that differ in all that must not matter, are the same run."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SURROUNDINGS = (
    {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8"},
    {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
)


def test_two_runs_are_byte_identical(tmp_path: Path) -> None:
    first, second = (run(tmp_path / str(number), surroundings) for number, surroundings in enumerate(SURROUNDINGS))
    assert "manifest.json" in first
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def run(place: Path, surroundings: dict[str, str]) -> dict[str, bytes]:
    """The files of a run made in ``place``, by name; it knows no commit, which may change between two runs."""
    place.mkdir()
    (place / "fixtures").symlink_to(ROOT / "fixtures")
    command = ["backtest", "--config", "fixtures/recorded/settings.yaml", "--run-id", "again"]
    subprocess.run(
        [sys.executable, "-m", "launcher.cli", *command],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT), "GIT_DIR": str(place / "none")} | surroundings,
        check=True,
        timeout=120,
        stdout=subprocess.DEVNULL,
    )
    return {path.name: path.read_bytes() for path in (place / "runs" / "again").iterdir()}
