"""What the signals have shown, from the command line, and the README's worked example."""

import json
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from launcher.cli import app

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text("utf-8")


def block(language: str, holding: str) -> str:
    """The README's block of code that holds some text."""
    (found,) = (each for each in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if holding in each)
    return found


@pytest.fixture
def config(tmp_path: Path):
    def write(**strategy: object) -> Path:
        settings = yaml.safe_load((ROOT / "config" / "signal_ensemble.yaml").read_text("utf-8"))
        settings["data"]["end"] = "2005-03-31"
        settings["strategy"]["strategy"] |= strategy
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(settings))
        return path

    return write


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("ALGOTRADE_HOME", str(tmp_path / "home"))

    def call(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["signals", *map(str, arguments)], env={"COLUMNS": "200"})
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    return call


def test_the_example_in_the_readme_works(run, config, tmp_path, monkeypatch):
    (tmp_path / "my_signals.py").write_text(block("python", "class Quiet"))
    monkeypatch.syspath_prepend(tmp_path)
    above, line = block("yaml", "my_signals:Quiet").splitlines()[-2:]
    six = (ROOT / "config" / "signal_ensemble.yaml").read_text("utf-8")
    assert f"{above}\n" in six
    seven = yaml.safe_load(six.replace(above, f"{above}\n{line}"))["strategy"]["strategy"]
    code, said = run("--config", config(**seven), "--json", tmp_path / "found.json")
    assert code == 0, said
    assert "QUIET" in said
    assert "before costs" in said
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["signals"].keys() == {"OFI", "ERN", "VRP", "POS", "TSX", "SIF", "QUIET"}
    assert found["signals"]["QUIET"]["observations"] > 20
    assert [span[0] for span in found["regimes"]] == ["NORMAL"]  # too short for a fit
    assert len(found["generated"]) == 7
    assert "made-up tables, from which anything earned is luck: analyst_estimates, earnings" in said
    assert found["weights"][0][1].keys() == found["signals"].keys()


def test_all_six_families_run_on_the_shipped_tables(run, config):
    code, said = run("--config", config(signals=families()))
    assert code == 0, said
    for name in families():
        (line,) = (line for line in said.splitlines() if f" {name} " in line)
        assert int(line.split("│")[2]) > 0, line


def families() -> dict[str, object]:
    """The six, with windows that fit into half a year."""
    short = {"lookback": 40, "skip": 5, "trend_bars": 30, "long_bars": 40, "rsi_length": 3}
    return {
        "OFI": {"kind": "order_flow_imbalance"},
        "ERN": {"kind": "earnings_surprise"},
        "VRP": {"kind": "volatility_premium", "past": 42},
        "POS": {"kind": "positioning"},
        "TSX": {"kind": "technical", **short},
        "SIF": {"kind": "sentiment"},
    }


def test_only_an_ensemble_has_signals(run):
    code, said = run("--config", "config/demo.yaml")
    assert code == 2
    assert "momentum_mean_variance" in said


def test_a_table_without_knowledge_time_ends_with_a_line_that_says_what_to_do(run, config, tmp_path):
    path = config()
    settings = yaml.safe_load(path.read_text())
    (tmp_path / "bad.csv").write_text("symbol,event_time,eps\nIBM,2004-09-30,1\n")
    settings["data"]["tables"] |= {"earnings": {"files": [str(tmp_path / "bad.csv")]}}
    path.write_text(yaml.safe_dump(settings))
    code, said = run("--config", path)
    assert code == 2
    assert "tables.earnings.columns.knowledge_time" in said
