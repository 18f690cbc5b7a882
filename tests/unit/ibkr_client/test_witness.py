import socket
import subprocess
import sys

import pytest

from domain.go_live import Evidence
from ibkr_client.witness import Witness, is_gateway, program_at, source_of

GATEWAY = "/usr/local/i4j_jres/bin/java\0-cp\0/root/Jts/ibgateway/1030/jars/x.jar\0install4j.ibgateway.GWClient\0"
REAL = Witness(False, ("DU1", "DF2"), 0.5, GATEWAY, "ib_async 2.1.0")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Evidence.PAPER),
        ({"accounts": ("U1",)}, Evidence.LIVE),
        ({"announced": True}, Evidence.SIMULATED),
        ({"clock_gap": 31.0}, Evidence.SIMULATED),
        ({"clock_gap": float("nan")}, Evidence.SIMULATED),
        ({"program": ""}, Evidence.SIMULATED),
        ({"program": "python\0-m\0ibkr_sim\0ibgateway\0"}, Evidence.SIMULATED),
        ({"accounts": ()}, Evidence.SIMULATED),
        ({"accounts": ("U1", "DU1")}, Evidence.SIMULATED),
    ],
)
def test_what_is_not_shown_to_be_real_is_simulated(changes, expected):
    found, why = source_of(REAL._replace(**changes))
    assert found is expected
    assert bool(why) is (expected is Evidence.SIMULATED)


@pytest.mark.parametrize(
    ("command", "real"),
    [
        (GATEWAY, True),
        ("/opt/java/bin/java\0-jar\0x\0jclient.LoginFrame\0", True),
        ("java\0ibcalpha.ibc.IbcGateway\0", True),
        ("java\0-jar\0kafka.jar\0", False),
        ("/usr/bin/python3\0-m\0ibkr_sim\0", False),
        ("java\0ibgateway.GWClient\0", True),
        ("java\0-cp\0/home/jo/Jts/1030/jars/jts4launch-1030.jar:x.jar\0Main\0", True),
        ("/tmp/ibgateway\0", False),
        ("java\0-cp\0/home/ibgateway/mock.jar\0Mock\0", False),
        ("java\0-jar\0/home/ibgateway/jars/mock.jar\0", False),
        ("java\0Mock\0--like=install4j.ibgateway.GWClient\0", False),
    ],
)
def test_only_the_programs_of_the_broker_count(command, real):
    assert is_gateway(command) is real


def test_the_program_behind_a_port_is_seen():
    listener = (
        "import socket,sys; s=socket.create_server(('127.0.0.1',0)); print(s.getsockname()[1],flush=True); input()"
    )
    command = [sys.executable, "-c", listener]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline())
        found = program_at("127.0.0.1", port)
        assert listener in found
        assert program_at("localhost", port) == found
        process.communicate("\n", timeout=10)


def test_a_port_of_another_machine_or_of_nobody_shows_no_program():
    with socket.create_server(("127.0.0.1", 0)) as mine:
        port = mine.getsockname()[1]
        assert program_at("192.0.2.1", port) == ""
        assert program_at("gateway.example", port) == ""
    assert program_at("127.0.0.1", port) == ""
