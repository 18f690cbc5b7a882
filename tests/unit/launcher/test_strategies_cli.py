"""The command that lists strategies knows every one that a configuration can name."""

import json

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from launcher.cli import app
from launcher.strategies_cli import known, parameters
from strategy_plane.settings import SignalEnsembleSettings, StrategySettings


def _run(*arguments, columns=200):
    result = CliRunner().invoke(app, ["strategies", *arguments], env={"COLUMNS": str(columns)})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_every_strategy_is_listed_with_what_it_does():
    code, said = _run("list")
    assert code == 0
    for name, model in known().items():
        assert name in said
        assert (model.__doc__ or "").splitlines()[0] in said
    assert {"moving_average_cross", "momentum_mean_variance"} <= known().keys()


@pytest.mark.parametrize("name", sorted(known()))
def test_every_parameter_of_every_strategy_is_explained(name: str):
    code, said = _run("show", name)
    assert code == 0
    rows = [line for line in said.splitlines() if "strategy.strategy." in line]
    assert rows
    assert [row for row in rows if not row.rpartition("│")[2].strip()] == []


def test_a_shown_name_is_one_that_a_configuration_can_set():
    said = _run("show", "moving_average_cross")[1]
    assert "strategy.strategy.fast" in said
    chosen = {"name": "moving_average_cross", "fast": 3, "slow": 9}
    assert StrategySettings.model_validate({"strategy": chosen}).strategy.fast == 3


def test_each_signal_of_the_ensemble_is_shown_as_a_configuration_would_say_it():
    rows = [line.split("│") for line in _run("show", "signal_ensemble")[1].splitlines() if "signals.OFI" in line]
    shown = {row[0].strip().removeprefix("strategy.strategy.signals.OFI."): json.loads(row[1]) for row in rows}
    assert shown == {"kind": "order_flow_imbalance", "window": 5, "max_age": "P7D", "half_life": 1.0}


@pytest.mark.parametrize("name", ["signal_ensemble", "momentum_mean_variance"])
def test_every_form_of_a_setting_is_shown_with_every_parameter_explained(name: str):
    for setting in known()[name].model_fields.keys() - {"name"}:
        code, said = _run("show", name, setting)
        assert code == 0, setting
        rows = [line for line in said.splitlines() if "strategy.strategy." in line]
        assert [row for row in rows if not row.rpartition("│")[2].strip()] == [], setting
    assert "strategy.strategy.optimizer.views.NAME.confidence" in _run("show", name, "optimizer")[1]


@pytest.mark.parametrize("words", [("signal_ensemble",), ("momentum_mean_variance", "optimizer")])
def test_nothing_is_cut_in_a_narrow_terminal(words):
    narrow = _run("show", *words, columns=80)[1]
    assert "…" not in narrow
    assert "below strategy.strategy" in narrow
    told = {line.split("│")[0].strip() for line in narrow.splitlines() if "│" in line}
    wide = [line.split("│")[0].strip() for line in _run("show", *words)[1].splitlines() if "strategy.strategy." in line]
    assert {name.removeprefix("strategy.strategy.") for name in wide} <= told


def test_each_kind_of_signal_can_be_looked_up():
    said = _run("show", "signal_ensemble", "signals")[1]
    for kind in ("earnings_surprise", "queue_imbalance", "own"):
        assert f"kind: {kind}." in said
    assert "strategy.strategy.signals.NAME.revenue_weight" in said


def test_a_setting_that_is_not_there_is_refused_with_the_nearest():
    code, said = _run("show", "momentum_mean_variance", "optimiser")
    assert code == 2
    assert "did you mean optimizer?" in said
    assert "did you mean momentum?" in _run("show", "momentun")[1]


class _Part(BaseModel):
    size: float = 1.0
    length: int = 5


class _Whole(BaseModel):
    part: _Part = _Part(size=2.5)
    factory: str


def test_a_section_is_shown_with_the_defaults_that_the_one_above_gives_it():
    shown = {path: default for path, default, _ in parameters(_Whole, "x")}
    assert shown == {"x.part.size": "2.5", "x.part.length": "5", "x.factory": "required"}


def test_what_is_shown_of_the_ensemble_is_what_it_does_when_nothing_is_chosen():
    said = {}
    for path, default, _ in parameters(SignalEnsembleSettings, "strategy.strategy"):
        if ".NAME" in path:  # of what a person may name, nothing is there by default
            continue
        at, place = said, path.split(".")[2:]
        for step in place[:-1]:
            at = at.setdefault(step, {})
        at[place[-1]] = json.loads(default)
    assert SignalEnsembleSettings.model_validate(said) == SignalEnsembleSettings()
    rows = [line.split("│") for line in _run("show", "signal_ensemble")[1].splitlines() if ".limits." in line]
    rows = [row for row in rows if ".NAME" not in row[0]]
    shown = {row[0].strip().rpartition(".")[2]: json.loads(row[1]) for row in rows}
    assert shown == SignalEnsembleSettings().limits.model_dump(mode="json")


def test_an_unknown_name_is_refused():
    code, said = _run("show", "perpetuum_mobile")
    assert code == 2
    assert "strategies list" in said
