"""What is looked at before a run on this machine begins."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_plane.corporate_actions import InvalidActionError
from kernel import process
from kernel.embedded_broker import WIDEST_WINDOW
from kernel.kafka_settings import KafkaSettings
from kernel.settings import ConfigurationError
from launcher.cli import app
from launcher.local import _FINAL, KafkaChoice, check_window
from launcher.plane_cli import _EXPECTED
from launcher.running import announced
from launcher.settings import load_settings
from order_plane.journals.port import JournalError, JournalHeld, JournalUnavailable

ROOT = Path(__file__).parents[3]


def configured(mode, window):
    return load_settings(ROOT / "config/demo.yaml", {}, overrides={"data.pace.mode": mode, "data.pace.window": window})


@pytest.mark.parametrize("mode", ["window", "realtime"])
def test_a_window_that_the_embedded_broker_cannot_hold_is_refused(mode):
    check_window(configured(mode, WIDEST_WINDOW), KafkaChoice.EMBEDDED)
    with pytest.raises(ConfigurationError, match=r"data\.pace\.window .* set it to 5000 or less"):
        check_window(configured(mode, WIDEST_WINDOW + 1), KafkaChoice.EMBEDDED)


def test_a_kafka_that_keeps_everything_takes_any_window():
    check_window(configured("window", 10_000_000), KafkaChoice.KAFKA)
    check_window(configured("window", 10_000_000), KafkaChoice.GIVEN)


def test_lock_step_never_runs_ahead_whatever_the_window():
    check_window(configured("lockstep", 10_000_000), KafkaChoice.EMBEDDED)


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    """Runs a command on bars of minutes whose runs and state would be kept in ``tmp_path``."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("ALGOTRADE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ALGOTRADE_RUN__DIRECTORY", str(tmp_path / "runs"))
    return lambda *arguments: CliRunner().invoke(app, [*arguments, "--config", "config/paper.yaml"])


@pytest.mark.parametrize("command", ["up", "demo"])
def test_the_command_refuses_it_before_anything_is_started(tmp_path, monkeypatch, invoke, command):
    monkeypatch.setenv("ALGOTRADE_DATA__PACE__WINDOW", str(WIDEST_WINDOW + 1))
    done = invoke(command)
    assert done.exit_code == 2
    assert "data.pace.window" in done.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_name_of_a_run_that_is_alive_is_refused_before_anything_is_started(tmp_path, invoke, command):
    with announced(tmp_path / "home", "mine", KafkaSettings()):
        done = invoke(command, "--run-id", "mine")
        assert (done.exit_code, "the run mine is alive" in done.output) == (2, True)
        assert [each.name for each in tmp_path.rglob("*")] == ["home", "running.json"]


def test_a_run_that_goes_on_beside_a_new_one_is_named_with_how_to_reach_it(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("ALGOTRADE_HOME", str(tmp_path))
    monkeypatch.setenv("ALGOTRADE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("ALGOTRADE_KAFKA__START_TIMEOUT_SECONDS", "1")
    with announced(tmp_path, "up-1", KafkaSettings(bootstrap_servers="127.0.0.1:4711", topic_prefix="up-1.")):
        done = CliRunner().invoke(app, ["up", "--config", "config/paper.yaml", "--kafka", "given"])
    assert done.exit_code == 3
    told = done.output.splitlines()[0]
    assert told.startswith(f"the run up-1 (process {os.getpid()}) goes on beside this one")
    assert f"--state {tmp_path}/runs/up-1" in told
    assert "--bootstrap 127.0.0.1:4711 --prefix up-1." in told


def test_a_plane_whose_database_is_away_is_started_again_and_one_whose_journal_is_refused_is_not():
    def final(error):
        return process.run(raising(error), _EXPECTED) in _FINAL

    assert [final(kind("x")) for kind in (JournalUnavailable, JournalError, JournalHeld)] == [False, True, True]


def raising(error):
    def main(stop):
        raise error

    return main


def test_a_data_plane_whose_files_cannot_be_used_is_not_started_again():
    assert process.run(raising(InvalidActionError), _EXPECTED) == process.ExitCode.CONFIGURATION
