"""The validate command runs every variant once, writes each into the ledger, and says what came of it."""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from launcher.cli import app

ROOT = Path(__file__).parents[3]


def _run(*arguments):
    result = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def _config(directory, **validation):
    config = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    config["run"]["directory"] = str(directory / "runs")
    config["data"] |= {
        "sources": [{"files": [str(ROOT / "fixtures" / "bars" / "*.parquet")]}],
        "actions_file": str(ROOT / "fixtures" / "bars" / "actions.csv"),
        "symbols": ["AAPL", "IBM"],
        "start": "2010-01-04",
        "end": "2010-12-31",
    }
    config["data"].pop("listings")
    config["strategy"] |= {"strategy": {"name": "moving_average_cross", "fast": 5, "slow": 20}, "strategy_id": "cross"}
    config["strategy"]["universe"] = list(config["data"]["symbols"])
    config["validation"] = {"blocks": 4, "groups": 4, "train": 60, "test": 20, "repetitions": 100} | validation
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("ALGOTRADE_HOME", str(tmp_path / "home"))


GRID = {"strategy.strategy.fast": [5, 10, 20], "strategy.strategy.slow": [20, 30]}


def test_every_variant_is_a_trial_for_ever(tmp_path):
    pytest.importorskip("arch")
    config = _config(tmp_path, grid=GRID)
    code, said = _run("validate", config, "--to", tmp_path / "page.html")
    assert code == 0, said
    assert "left out: fast=20, slow=20: Value error, fast must be below slow" in said
    assert re.search(r"(REAL|UNPROVEN|LUCK): the best of 5 trials \(5 in the ledger\)", said)
    page = (tmp_path / "page.html").read_text("utf-8")
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page).group(1))
    assert len(figures["growth"]["data"]) == 7  # five trials, the benchmark, the walk
    ledger = tmp_path / "runs" / "trials.jsonl"
    assert len(ledger.read_text("utf-8").splitlines()) == 5
    code, said = _run("backtest", "--config", config)
    assert code == 0, said
    assert len(ledger.read_text("utf-8").splitlines()) == 5  # as configured, it is one of the five
    config = _config(tmp_path, grid={"strategy.strategy.fast": [5, 7]})
    assert "best of 2 trials (6 in the ledger)" in _run("validate", config)[1]


def test_the_configuration_may_be_named_as_with_other_commands(tmp_path):
    config = _config(tmp_path, grid={})
    assert _run("validate", "--config", config) == _run("validate", config)
    for wrong in (["validate"], ["validate", config, "--config", config]):
        code, said = _run(*wrong)
        assert (code, "name one configuration" in said) == (2, True)


def test_the_same_study_says_the_same(tmp_path):
    pytest.importorskip("arch")
    config = _config(tmp_path, grid=GRID)
    first, again = (_run("validate", config, "--to", tmp_path / f"{name}.html")[1] for name in ("a", "b"))
    assert first.replace("a.html", "b.html") == again
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_several_processes_find_and_write_what_one_does(tmp_path):
    pytest.importorskip("arch")
    pages, ledgers = [], []
    for workers in (1, 3):
        directory = tmp_path / str(workers)
        directory.mkdir()
        code, said = _run("validate", _config(directory, grid=GRID, workers=workers), "--to", directory / "page.html")
        assert code == 0, said
        pages.append((directory / "page.html").read_bytes())
        lines = (directory / "runs" / "trials.jsonl").read_text("utf-8").splitlines()
        ledgers.append([json.loads(line)["trial"]["parameters"] for line in lines])
    assert ledgers[0] == ledgers[1]
    assert pages[0] == pages[1]


def _ruinous(directory, units):
    """Units that are sold short with next to no limits: those of 1e5 lose everything."""
    config = _config(directory, grid={"strategy.strategy.units": units})
    settings = yaml.safe_load(config.read_text())
    limits = ("max_order_quantity", "max_order_value", "max_symbol_notional", "max_gross_exposure")
    settings["order"] |= {"limits": dict.fromkeys(limits, 1e12), "volume_cap": None}
    settings["strategy"]["strategy"] |= {"allow_short": True, "bounds": {"gross": 100.0}}
    config.write_text(yaml.safe_dump(settings))
    return config


def test_a_trial_that_is_ruined_is_left_out_by_name_and_counts_for_ever(tmp_path):
    pytest.importorskip("arch")
    code, said = _run("validate", _ruinous(tmp_path, [100.0, 200.0, 1e5]))
    assert code == 0, said
    assert "left out: units=100000.0: equity fell to zero" in said
    assert "best of 2 trials (3 in the ledger)" in said
    written = [
        json.loads(line)["trial"] for line in (tmp_path / "runs" / "trials.jsonl").read_text("utf-8").splitlines()
    ]
    assert [trial["sharpe"] is None for trial in written] == [False, False, True]


def test_a_study_in_which_one_trial_is_left_judges_nothing(tmp_path):
    pytest.importorskip("arch")
    code, said = _run("validate", _ruinous(tmp_path, [100.0, 1e5]))
    assert code == 2
    assert "fewer than two trials kept anything" in said
    assert len((tmp_path / "runs" / "trials.jsonl").read_text("utf-8").splitlines()) == 2


def test_alerts_of_the_trials_are_counted(tmp_path):
    pytest.importorskip("arch")
    code, said = _run("validate", _config(tmp_path, grid={"strategy.strategy.units": [100.0, 1e5]}))
    assert code == 0, said
    assert re.search(r"Alert BOUND_HELD in 1 of 2 trials, times \d+, first 2010-\S+: gross would be", said)


OWN = "def hold(view):\n    return {{'AAPL': {0}}}\n"


def test_an_edited_strategy_of_ones_own_is_another_trial(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = f"edited_{tmp_path.name}"
    config = _config(tmp_path)
    settings = yaml.safe_load(config.read_text())
    settings["strategy"]["strategy"] = {"name": "own", "factory": f"{name}:hold", "bars": 1}
    config.write_text(yaml.safe_dump(settings))
    counts = []
    for weight in (0.1, 0.1, 0.2):
        (tmp_path / f"{name}.py").write_text(OWN.format(weight))
        monkeypatch.delitem(sys.modules, name, raising=False)
        code, said = _run("backtest", "--config", config)
        assert code == 0, said
        counts += re.findall(r"written down so far: (\d+)", said)
    assert counts == ["1", "1", "2"]


def test_without_the_extra_nothing_is_run_and_the_fix_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "arch", None)
    code, said = _run("validate", _config(tmp_path, grid=GRID))
    assert code == 2
    assert "pip install 'algo-trade[validate]'" in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("grid", "named"),
    [
        ({}, "fewer than two variants"),
        ({"strategy.strategy.quick": [1]}, "strategy.strategy.quick is no setting"),
        ({"data.bar_size": ["1d"]}, "data.bar_size is no setting below strategy or order"),
        ({"strategy": [1]}, "strategy is no setting"),
    ],
)
def test_a_grid_that_tries_nothing_is_refused(tmp_path, grid, named):
    code, said = _run("validate", _config(tmp_path, grid=grid))
    assert code == 2
    assert named in said


def test_an_edited_ledger_stops_the_study(tmp_path):
    pytest.importorskip("arch")
    config = _config(tmp_path, grid=GRID)
    ledger = tmp_path / "runs" / "trials.jsonl"
    ledger.parent.mkdir()
    ledger.write_text('{"hash": "0", "trial": {}}\n')
    code, said = _run("validate", config)
    assert code == 1
    assert "restore the file" in said
