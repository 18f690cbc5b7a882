"""A run in which nothing was ordered says why, and days of a market that never closes are all counted."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from launcher.cli import app
from launcher.runs import days_in_a_year
from launcher.settings import load_settings

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALGOTRADE_HOME", str(tmp_path / "home"))


def config(directory: Path, **strategy: object) -> Path:
    """The demo's bars of a quarter, for a moving-average cross with other parameters."""
    chosen = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    chosen["run"]["directory"] = str(directory / "runs")
    chosen["data"] |= {
        "sources": [{"files": [str(ROOT / "fixtures" / "bars" / "*.parquet")]}],
        "actions_file": str(ROOT / "fixtures" / "bars" / "actions.csv"),
        "symbols": ["AAPL"],
        "start": "2010-01-04",
        "end": "2010-03-31",
    }
    chosen["data"].pop("listings")
    chosen["strategy"] |= {"universe": ["AAPL"], "strategy": {"name": "ma_crossover", "fast": 2, "slow": 5}} | strategy
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(chosen))
    return path


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"strategy": {"name": "ma_crossover", "fast": 20, "slow": 500}},
            "No order was made: the strategy needs 500 moments before it decides, and there were 61",
        ),
        (
            {"strategy": {"name": "momentum", "winners": 1, "signal": {"lookback": 5, "skip": 1}}},
            "No order was made in 61 moments: the strategy, within its limits, never wanted any",
        ),
        ({}, ""),
    ],
)
def test_a_run_without_an_order_says_why(tmp_path: Path, changes: dict[str, object], why: str):
    path = config(tmp_path, **changes)
    result = CliRunner().invoke(app, ["backtest", "--config", str(path), "--no-trial"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert (why or "No order was made") in result.output or not why
    (run,) = (tmp_path / "runs").iterdir()
    assert json.loads((run / "summary.json").read_text()).get("idle", "") == why
    assert (why in (run / "report.html").read_text()) if why else ("No order" not in result.output)


def test_days_of_a_market_that_never_closes_are_all_counted(tmp_path: Path):
    path = config(tmp_path)
    assert days_in_a_year(load_settings(path, {})) == 252
    assert days_in_a_year(load_settings(path, {"ALGOTRADE_DATA__CALENDAR": "24/7"})) == 365
