"""Faults from the command line."""

import json
import socket

import pytest
from typer.testing import CliRunner

from ibkr_sim.command import SYMBOLS
from ibkr_sim.market import Market
from ibkr_sim.synthetic_bars import minute_bars
from ibkr_sim.tape import Tape
from ibkr_sim.wire import frame, frames, join, split
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


def test_the_line_that_says_that_it_is_ready_ends_with_the_name_of_its_market(simulate):
    market = Market([Tape(symbol, minute_bars(symbol, 7), 7) for symbol in SYMBOLS])
    assert simulate().said.endswith(f", market {market.name}\n")


def test_a_stepped_market_stands_still_until_it_is_told_to_go_on(simulate):
    simulator = simulate("--stepped", "--speed", "10")
    first = simulator.state()["market_time"]
    assert simulator.state()["market_time"] == first
    answer = json.loads(fault('{"go": 6}', simulator.control_port).output)
    assert answer == {"ok": True, "market_time": first + 60.0}
    assert simulator.state()["market_time"] == first + 60.0
    refused = fault('{"go": -1}', simulator.control_port)
    assert (refused.exit_code, "go takes 0 to" in refused.output) == (2, True)


@pytest.mark.parametrize(("options", "told"), [(("--stepped",), 3), ((), 1)])
def test_the_time_is_told_whenever_it_is_asked_only_where_it_stands_still(simulate, options, told):
    simulator, heard, buffer = simulate(*options), [], bytearray()
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as link:
        asked = [["71", "2", "1", ""], *[["49", "1"]] * 3, ["17", "1"]]
        link.sendall(b"API\0" + frame(b"v157..176") + b"".join(frame(join(each)) for each in asked))
        while heard.count("15") < 2:  # the accounts, at the start and as the answer to the last question
            buffer += link.recv(1 << 16)
            heard += [split(payload)[0] for payload in frames(buffer)]
    assert heard.count("49") == told


def test_a_market_that_goes_by_itself_takes_no_steps(simulate):
    refused = fault('{"go": 6}', simulate().control_port)
    assert (refused.exit_code, "--stepped" in refused.output) == (2, True)


def test_stepped_needs_a_way_to_be_told():
    done = CliRunner().invoke(app, ["ibkr-sim", "--port", "0", "--stepped"])
    assert (done.exit_code, "--control-port" in done.output) == (2, True)
