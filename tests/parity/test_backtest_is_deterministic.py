"""Two backtests of one configuration, in two processes that differ in all that must not matter, are the same run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SURROUNDINGS = (
    {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8"},
    {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
)
SIX_SIGNALS = {
    "ALGOTRADE_DATA__END": "2006-02-28",
    "ALGOTRADE_STRATEGY__STRATEGY": '{"name": "signal_ensemble", "regime": {"first_fit": 60, "refit_every": 60}}',
}


@pytest.mark.parametrize(
    ("config", "overrides"),
    [("fixtures/recorded/settings.yaml", {}), ("config/signal_ensemble.yaml", SIX_SIGNALS)],
    ids=["momentum", "six signals"],
)
def test_two_runs_are_byte_identical(config: str, overrides: dict[str, str], tmp_path: Path) -> None:
    first, second = (
        run(config, tmp_path / str(number), surroundings | overrides)
        for number, surroundings in enumerate(SURROUNDINGS)
    )
    assert "manifest.json" in first
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def run(config: str, place: Path, surroundings: dict[str, str]) -> dict[str, bytes]:
    """The files of a run made in ``place``, by name; it knows no commit, which may change between two runs."""
    place.mkdir()
    for folder in ("config", "fixtures"):
        (place / folder).symlink_to(ROOT / folder)
    command = ["backtest", "--config", config, "--run-id", "again"]
    subprocess.run(
        [sys.executable, "-m", "launcher.cli", *command],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT), "GIT_DIR": str(place / "none")} | surroundings,
        check=True,
        timeout=120,
        stdout=subprocess.DEVNULL,
    )
    return {path.name: path.read_bytes() for path in (place / "runs" / "again").iterdir()}
