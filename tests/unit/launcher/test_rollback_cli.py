"""Rollback against an order plane that is late, busy, or not there at all."""

import json
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from uuid import UUID

import pytest
from typer.testing import CliRunner

from contracts.control import KillAction, KillSwitchCommand
from contracts.market import BarEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderType, Side, TimeInForce
from kernel.clock import monotonic
from kernel.kafka_bus import KafkaBus
from kernel.kafka_errors import BrokerUnavailable
from kernel.kafka_settings import KafkaSettings
from launcher.cli import app
from launcher.running import FILE, Running
from order_plane.command_channel import SOCKET, CommandChannel
from order_plane.command_fields import kills_among
from order_plane.composition import build_simulation
from order_plane.operator_commands import operator_commands
from order_plane.settings import OrderSettings

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
WHO = ("--operator", "ada", "--reason", "drill")
PLANE = "runs/run-1"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ALGOTRADE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def stage():
    """An order plane with one resting order."""
    found = build_simulation(OrderSettings(mode="simulation"))
    bar = BarEvent(symbol="AAPL", timestamp=NOON, open=100.0, high=100.0, low=100.0, close=100.0, volume=1.0)
    terms = {"quantity": 1.0, "order_type": OrderType.LIMIT, "limit_price": 95.0, "time_in_force": TimeInForce.GTC}
    wish = OrderIntent(intent_id=UUID(int=1), symbol="AAPL", direction=Side.BUY, timestamp=NOON, **terms)
    found.handlers[BarEvent](bar)
    found.handlers[OrderIntent](wish)
    found.settle()
    return found


@pytest.fixture
def serve(home, stage):
    """Lets the plane of the run, or one in ``place``, listen after ``late`` seconds.

    When ``busy`` it answers nobody before a kill came.
    """
    stop, threads = threading.Event(), []

    def life(late, busy, place):
        stop.wait(late)
        channel = CommandChannel(home / place / SOCKET, operator_commands(stage, lambda said: None))
        while busy and not stop.wait(0.01) and not kills_among(channel.waiting()):
            pass
        while not stop.wait(0.01):
            channel.poll()
        channel.close()

    def start(late=0.0, busy=False, place=PLANE):
        threads.append(threading.Thread(target=life, args=(late, busy, place)))
        threads[0].start()
        while not (late or (home / place / SOCKET).exists()):
            stop.wait(0.005)

    yield start
    stop.set()
    for thread in threads:
        thread.join()


@pytest.fixture
def process(home):
    """A local run: a process that does nothing."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"]) as found:
        # A process that nobody waits for seems to live on.
        threading.Thread(target=lambda: found.wait(120), daemon=True).start()
        running = Running("run-1", found.pid, "127.0.0.1:1", "nowhere")
        (home / FILE).write_text(json.dumps(asdict(running)), "utf-8")
        yield found
        with suppress(ProcessLookupError):
            found.kill()


def run(home, *words, place=PLANE):
    result = CliRunner().invoke(app, ["rollback", *words, "--state", str(home / place)])
    return result.exit_code, " ".join(result.output.split())


@pytest.mark.parametrize("life", [{"late": 0.7}, {"busy": True}])
def test_a_plane_that_is_late_or_busy_is_stopped(home, stage, serve, life):
    serve(**life)
    code, text = run(home, "cancel-all", *WHO, "--wait", "30")
    assert (code, text) == (0, "PASS cancel-all")
    assert stage.desk.open_orders == ()
    assert [each.action for each in stage.desk.switch.engaged] == [KillAction.HALT]


def test_without_a_plane_the_command_is_on_control_and_the_run_is_left_alone(home, process, embedded_settings):
    where = ("--bootstrap", embedded_settings.bootstrap_servers, "--prefix", embedded_settings.topic_prefix)
    with KafkaBus(embedded_settings, "order", [KillSwitchCommand], [ExecutionReport]) as bus:
        assert bus.wait_ready(30)
        code, text = run(home, "run", *WHO, "--wait", "0.2", *where)
        heard, until = [], monotonic() + 30
        while len(heard) < 2 and monotonic() < until:
            heard += [received.message for received in bus.poll(0.2)]
    assert [(each.engage, each.action) for each in heard] == [
        (True, KillAction.HALT),
        (True, KillAction.HALT_AND_FLATTEN),
    ]
    assert code == 1
    assert "published; the order plane carries it out when it reads it" in text
    assert "failed: cancel-all, flatten, verify, report, disconnect" in text
    assert process.poll() is None


def test_without_a_plane_and_without_kafka_it_says_that_nothing_was_told(home, monkeypatch):
    def unavailable(command, kafka: KafkaSettings):
        raise BrokerUnavailable(kafka.bootstrap_servers, "nobody is there")

    monkeypatch.setattr("launcher.latching.publish", unavailable)
    code, text = run(home, "cancel-all", *WHO, "--wait", "0", "--bootstrap", "127.0.0.1:1")
    assert (code, "Kafka could not be told" in text) == (1, True)


def test_a_run_is_not_ended_while_nothing_is_latched(home, stage, serve, process):
    serve()
    code, text = run(home, "disconnect", "--wait", "5")
    assert (code, "was left running" in text) == (1, True)
    assert process.poll() is None
    assert run(home, "cancel-all", *WHO)[0] == 0
    assert run(home, "disconnect", "--wait", "30") == (0, "PASS disconnect")
    assert process.wait(10)


def test_the_run_here_is_not_ended_for_an_order_plane_elsewhere(home, stage, serve, process):
    serve(place="elsewhere")
    assert run(home, "cancel-all", *WHO, place="elsewhere")[0] == 0
    code, text = run(home, "disconnect", "--wait", "5", place="elsewhere")
    assert (code, "is not that of the run run-1" in text) == (1, True)
    assert process.poll() is None


def test_only_a_switch_that_stops_everything_verifies(home, stage, serve):
    serve()
    run(home, "cancel-all", *WHO)
    assert run(home, "verify") == (0, "PASS verify")
    tell = ("--state", str(home / PLANE), *WHO)
    assert CliRunner().invoke(app, ["kill", "off", *tell]).exit_code == 0
    for less in (("--scope", "STRATEGY", "--target", "default"), ("--reduce-only",)):
        assert CliRunner().invoke(app, ["kill", "on", *less, *tell]).exit_code == 0
        assert run(home, "verify") == (1, "FAIL verify: no kill switch stops all")


@pytest.mark.parametrize(
    ("beyond", "said"),
    [({"AAPL": 10.0}, 'held at the venue beside what is known here: {"AAPL": 10.0}'), (None, "has not said")],
)
def test_what_only_the_venue_holds_is_neither_flat_nor_verified(home, stage, serve, beyond, said):
    serve()
    run(home, "cancel-all", *WHO)
    stage.desk.books.beyond = beyond
    for words in (("verify",), ("flatten", *WHO, "--wait", "0.1")):
        code, text = run(home, *words)
        assert (code, said in text) == (1, True)


def test_a_dry_run_says_what_is_not_yet_as_it_should_be(home, stage, serve, process):
    serve()
    code, text = run(home, "run", *WHO, "--dry-run")
    assert code == 0
    assert "would act on 1 open orders" in text
    assert "verify would say now: 1 orders open" in text
    assert "no kill switch stops all" in text
    assert f"would end the run run-1, process {process.pid}" in text
    assert "PASS verify" not in text
    assert len(stage.desk.open_orders) == 1
    assert process.poll() is None


@pytest.mark.parametrize("words", [("run", *WHO), ("cancel-all", *WHO), ("flatten", *WHO), ("disconnect",)])
def test_a_dry_run_waits_for_nobody(home, process, monkeypatch, words):
    """Without a plane it would look again and again, were there a moment to lose."""
    monkeypatch.setattr("launcher.rollback_cli._PAUSE", None)
    code, text = run(home, *words, "--dry-run", "--wait", "600")
    assert (code, "no order plane" in text) == (1, True)
    assert process.poll() is None


@pytest.mark.parametrize("step", ["cancel-all", "flatten"])
def test_the_dry_run_of_a_step_is_not_called_the_step(home, stage, serve, step):
    serve()
    code, text = run(home, step, *WHO, "--dry-run")
    assert code == 0
    assert text.endswith(f"PASS dry run of {step}: nothing was done")
    assert len(stage.desk.open_orders) == 1
