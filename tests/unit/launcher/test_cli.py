import json
import shlex
from pathlib import Path

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from launcher.cli import app
from launcher.endings import code_of
from launcher.settings import load_settings
from launcher.supervisor import ChildFailed

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("ALGOTRADE_HOME", str(tmp_path / "home"))


def _run(*arguments):
    result = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def _demo_config(directory, **order):
    config = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    config["run"]["directory"] = str(directory / "runs")
    config["data"] |= {
        "sources": [{"files": [str(ROOT / "fixtures" / "bars" / "*.parquet")]}],
        "actions_file": str(ROOT / "fixtures" / "bars" / "actions.csv"),
        "end": "2004-09-30",
    }
    config["order"] |= order
    path = directory / "demo.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A backtest that was run from the command line, and what that said."""
    directory = tmp_path_factory.mktemp("backtest")
    config = _demo_config(directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALGOTRADE_HOME", str(directory / "home"))
        code, said = _run("backtest", "--config", config, "--run-id", "one")
    assert code == 0, said
    return directory, config, said


def test_a_backtest_ends_with_the_path_of_its_report(finished):
    directory, _, said = finished
    assert said.splitlines()[-1] == f"report: {directory}/runs/one/report.html"
    assert (directory / "runs" / "one" / "report.html").is_file()


def test_a_run_is_never_overwritten(finished):
    _, config, _ = finished
    code, said = _run("backtest", "--config", config, "--run-id", "one")
    assert code == 2
    assert "choose another --run-id" in said


def test_report_finds_a_run_by_name_or_directory_and_notices_a_change(finished):
    directory, _, _ = finished
    assert _run("report", "one", "--runs", directory / "runs")[0] == 0
    code, said = _run("report", directory / "runs" / "one")
    assert (code, "report.html" in said) == (0, True)
    summary = directory / "runs" / "one" / "summary.json"
    before = summary.read_bytes()
    summary.write_bytes(before + b"\n")
    code, said = _run("report", directory / "runs" / "one")
    summary.write_bytes(before)
    assert code == 1
    assert "summary.json" in said


def test_report_of_nothing_says_so(tmp_path):
    code, said = _run("report", "nothing", "--runs", tmp_path)
    assert code == 2
    assert "is not a run directory" in said


@pytest.mark.parametrize("command", ["demo", "backtest", "up"])
@pytest.mark.parametrize("name", ["../x", "", "two words", "x" * 49])
def test_a_run_id_that_is_no_file_name_is_refused(tmp_path, command, name):
    code, said = _run(command, "--config", _demo_config(tmp_path), "--run-id", name)
    assert code == 2
    assert "--run-id" in said
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("command", ["demo", "backtest", "up"])
def test_live_mode_is_refused_by_every_command_that_runs(tmp_path, command):
    code, said = _run(command, "--config", _demo_config(tmp_path, mode="live"))
    assert code == 7
    assert "LIVE_API=1" in said


def test_a_wrong_key_is_named_with_the_right_one(tmp_path):
    code, said = _run("backtest", "--config", _demo_config(tmp_path, moed="paper"))
    assert code == 2
    assert "did you mean order.mode?" in said


def test_a_missing_file_is_named(tmp_path):
    code, said = _run("backtest", "--config", tmp_path / "none.yaml")
    assert code == 2
    assert "none.yaml" in said


def test_a_command_in_the_wrong_directory_says_where_paths_count_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (("demo",), ("backtest",), ("up",), ("config", "show"), ("signals",)):
        code, said = _run(*words)
        assert code == 2, words
        assert "config/" in said
        assert "is not there; paths count from the directory you are in" in said
        assert "Error" not in said
    assert list(tmp_path.iterdir()) == []


def _leaves(command, path=()):
    if not hasattr(command, "commands"):
        yield path, command
    for name, each in getattr(command, "commands", {}).items():
        yield from _leaves(each, (*path, name))


def test_help_is_wrapped_where_the_terminal_ends_and_not_before(monkeypatch):
    monkeypatch.setenv("COLUMNS", "2000")
    for path, command in _leaves(get_command(app)):
        said = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "2000"}).output.splitlines()
        for paragraph in (command.help or "").replace("`", "").split("\n\n"):
            assert " ".join(paragraph.split()) in [line.strip() for line in said], path


def test_an_example_of_help_is_a_command_that_can_be_given():
    shown = {path: command.epilog for path, command in _leaves(get_command(app)) if command.epilog}
    assert {("kill", "on"), ("kill", "off"), ("rollback", "run"), ("dlq", "redrive")} <= set(shown)
    for path, epilog in shown.items():
        algotrade, *words = shlex.split(epilog.removeprefix("Example: ").strip("`"))
        assert (algotrade, tuple(words[: len(path)])) == ("algotrade", path)
        command = dict(_leaves(get_command(app)))[path]
        assert command.make_context(path[-1], words[len(path) :]).params, path


def test_no_broker_is_said_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setenv("ALGOTRADE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9")
    monkeypatch.setenv("ALGOTRADE_KAFKA__START_TIMEOUT_SECONDS", "1")
    for arguments in (("demo", "--config", _demo_config(tmp_path), "--kafka", "given"), ("topics", "list")):
        code, said = _run(*arguments)
        assert code == 3
        assert "127.0.0.1:9" in said
        assert "algotrade broker start" in said


def test_without_java_a_real_broker_is_refused_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, said = _run("demo", "--config", _demo_config(tmp_path), "--kafka", "kafka")
    assert code == 3
    assert "install Java 17" in said


@pytest.mark.parametrize(("code", "ends_with"), [(2, 2), (6, 6), (7, 7), (0, 1), (130, 1), (-9, 1), (99, 1)])
def test_a_run_ends_with_the_code_of_the_plane_that_failed_when_it_says_something(code, ends_with):
    assert code_of(ChildFailed("a plane ended", code)) == ends_with


def test_config_show_masks_secrets_and_resolves_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("ALGOTRADE_KAFKA__SASL_PASSWORD", "hush-hush")
    monkeypatch.setenv("ALGOTRADE_ORDER__LIMITS__MAX_ORDER_VALUE", "50000")
    code, said = _run("config", "show", "--config", _demo_config(tmp_path), "--json")
    assert code == 0
    assert "hush-hush" not in said
    shown = json.loads(said)
    assert shown["order"]["limits"]["max_order_value"] == 50_000
    assert set(shown["kafka"]["sasl_password"]) == {"*"}


@pytest.mark.parametrize("name", ["demo", "paper"])
def test_committed_configurations_are_accepted_and_trade_on_paper(name):
    settings = load_settings(ROOT / "config" / f"{name}.yaml", {})
    assert settings.order.mode == "paper"


def test_schemas_are_exported_and_released(tmp_path):
    assert _run("schemas", "export", "--directory", tmp_path, "--release")[0] == 0
    assert (tmp_path / "released" / "bar_event.schema.json").is_file()
    assert _run("schemas", "check", "--directory", tmp_path)[0] == 0
    schema = tmp_path / "released" / "bar_event.schema.json"
    broken = json.loads(schema.read_text())
    broken["properties"]["vwap"] = {"type": "number"}
    broken["required"].append("vwap")
    schema.write_text(json.dumps(broken))
    assert _run("schemas", "check", "--directory", tmp_path)[0] == 1
    code, said = _run("schemas", "export", "--directory", tmp_path, "--release")
    assert code == 1
    assert "bar_event" in said
