"""Faults from the command line."""

import json
import socket

import pytest
from typer.testing import CliRunner

from launcher.cli import app


def fault(text, port):
    return CliRunner().invoke(app, ["ibkr-sim", "fault", text, "--control-port", str(port)])


def test_a_fault_reaches_the_simulator(simulate):
    simulator = simulate()
    done = fault('{"do": "drop_link", "seconds": 0.1}', simulator.control_port)
    assert (done.exit_code, json.loads(done.output)) == (0, {"ok": True})
    state = json.loads(fault('{\n"show": "state"}', simulator.control_port).output)
    assert state["clients"] == []


@pytest.mark.parametrize(
    ("text", "problem"), [('{"do": "nothing_known"}', "drop_link"), ("{do: drop_link}", "this is no JSON")]
)
def test_what_is_no_fault_is_refused_with_the_reason(simulate, text, problem):
    done = fault(text, simulate().control_port)
    assert (done.exit_code, problem in done.output) == (2, True)


def test_nobody_there_is_said_with_what_to_start():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = fault('{"do": "drop_link"}', port)
    assert done.exit_code == 1
    assert f"algotrade ibkr-sim --control-port {port}" in done.output
