"""The command that runs a backtest, and what it leaves."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from typer.testing import CliRunner

from backtest.artifacts import load, verify
from launcher.cli import app
from launcher.settings import load_settings
from launcher.tried import write_down

HEADER = "symbol,timestamp,open,high,low,close,volume\n"


@pytest.fixture
def backtest(tmp_path, monkeypatch):
    """Runs a source of the given lines; its directory and what was said."""
    monkeypatch.setenv("ALGOTRADE_HOME", str(tmp_path / "home"))

    def call(
        name: str, *lines: str, symbols: tuple[str, ...] = ("A",), options: tuple[str, ...] = (), **strategy: object
    ):
        source = tmp_path / "bars.csv"
        source.write_text(HEADER + "".join(f"{line}\n" for line in lines))
        config = {
            "data": {
                "sources": [{"files": [str(source)]}],
                "bar_size": "1d",
                "calendar": "24/7",
                "symbols": list(symbols),
                "start": "2024-01-01",
                "end": "2024-02-01",
            },
            "strategy": {
                "strategy": {"name": "moving_average_cross", "fast": 1, "slow": 2},
                "universe": ["A"],
                "initial_cash": 1000.0,
            }
            | strategy,
            "run": {"directory": str(tmp_path / "runs")},
        }
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        done = CliRunner().invoke(app, ["backtest", "--config", str(path), "--run-id", name, *options])
        return tmp_path / "runs" / name, done

    return call


GOOD = tuple(f"A,2024-01-{day:02d},10,11,9,{10 + day / 10},100" for day in range(1, 9))


def test_a_backtest_says_which_rows_it_refused(backtest):
    bad = "A,2024-01-09,10,9,11,10,100"
    directory, done = backtest("dirty", *GOOD, bad)
    assert done.exit_code == 0, done.output
    (found,) = map(json.loads, (directory / "quarantine.jsonl").read_text().splitlines())
    assert (found["source"], found["line"], found["reason"], found["refused"]) == ("bars.csv", 10, "OHLC", True)
    assert str(directory / "quarantine.jsonl") in done.output.replace("\n", "")
    assert verify(directory) == ()


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (None, "data.actions_file: 'actions.csv' is no file; check the path and the working directory"),
        ("A,2024-01-35,split,2", "actions.csv line 2: needs symbol, ex_date"),
        ("A,2024-01-03,split,-2", "A 2024-01-03: split must be above 0"),
        ("A,2024-01-03,dividend,200", "A: a dividend of 200 that takes effect on 2024-01-03 must be smaller"),
    ],
)
def test_corporate_actions_that_cannot_be_used_are_told_in_one_line(backtest, tmp_path, monkeypatch, row, told):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALGOTRADE_DATA__ACTIONS_FILE", "actions.csv")
    if row:
        (tmp_path / "actions.csv").write_text(f"symbol,ex_date,kind,value\n{row}\n")
    _, done = backtest("x", *GOOD)
    assert done.exit_code == 2, done.output
    assert done.output.startswith(told), done.output


def test_the_findings_are_no_part_of_what_is_compared(backtest):
    clean, done = backtest("clean", *GOOD)
    assert done.exit_code == 0, done.output
    assert not Path(clean / "quarantine.jsonl").exists()
    assert "quarantine" not in done.output
    dirty, _ = backtest("dirty", *GOOD, "A,2024-01-09,10,9,11,10,100")
    assert load(clean).summary["digests"] == load(dirty).summary["digests"]
    again, _ = backtest("again", *GOOD, "A,2024-01-09,10,9,11,10,100")
    assert (again / "quarantine.jsonl").read_bytes() == (dirty / "quarantine.jsonl").read_bytes()


def test_a_backtest_says_what_its_strategy_was_alarmed_about(backtest):
    no_weights = {"name": "own", "factory": "builtins:repr", "bars": 1}
    directory, done = backtest("alarmed", *GOOD, strategy=no_weights)
    assert done.exit_code == 0, done.output
    told = load(directory).summary["alerts"]["OWN_STRATEGY"]
    assert told["count"] == len(GOOD)
    said = f"Alert OWN_STRATEGY, times 8, first {told['first'][:16]}: the strategy must return weights by symbol"
    assert said in done.output.replace("\n", "")
    quiet, done = backtest("quiet", *GOOD)
    assert load(quiet).summary["alerts"] == {}
    assert "Alert" not in done.output


def test_a_backtest_says_which_symbols_never_had_a_bar(backtest):
    directory, done = backtest("partly", *GOOD, symbols=("A", "B"), universe=["A", "B"])
    assert done.exit_code == 0, done.output
    assert load(directory).summary["unseen"] == ["B"]
    assert "Symbols without a bar: B" in done.output
    assert "asked for and had no bar: B" in (directory / "report.html").read_text("utf-8")


def test_a_backtest_is_a_trial_once(backtest):
    ran = [
        ("one", (), {}),
        ("same", (), {}),
        ("other", (), {"cash_buffer": 0.1}),
        ("smoke", ("--no-trial",), {"cash_buffer": 0.2}),
    ]
    said = []
    for name, options, strategy in ran:
        directory, done = backtest(name, *GOOD, options=options, **strategy)
        assert done.exit_code == 0, done.output
        said.append(re.findall(r"trials of default written down so far: (\d+)", done.output))
    assert said == [["1"], ["1"], ["2"], []]
    ledger = directory.parent / "trials.jsonl"
    assert len(ledger.read_text("utf-8").splitlines()) == 2


def test_a_backtest_that_loses_everything_is_a_trial_too(backtest):
    directory, _ = backtest("ruined", *GOOD, options=("--no-trial",))
    run = load(directory)
    lost = run.tables.equity["equity"].to_numpy() - 1_000.0
    place = run.tables.equity.schema.get_field_index("equity")
    ruined = replace(run.tables, equity=run.tables.equity.set_column(place, "equity", pa.array(lost)))
    settings = load_settings(directory.parents[1] / "config.yaml", {})
    assert write_down(settings, replace(run, tables=ruined), "f" * 64) == 1
    (line,) = (directory.parent / "trials.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["trial"]["sharpe"] is None


def test_an_edited_ledger_is_said_after_the_run_was_written(backtest):
    directory, done = backtest("one", *GOOD)
    (directory.parent / "trials.jsonl").write_text('{"hash": "0", "trial": {}}\n')
    directory, done = backtest("two", *GOOD)
    assert done.exit_code == 1
    assert "trials.jsonl:1 cannot be read; restore the file" in done.output.replace("\n", "")
    assert verify(directory) == ()
