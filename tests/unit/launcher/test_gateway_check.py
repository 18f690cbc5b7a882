"""What `algotrade up` says when the gateway of Interactive Brokers cannot be used; nothing is started then."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
import yaml
from typer.testing import CliRunner

from launcher import gateway_check
from launcher.cli import app
from order_plane.settings import BrokerName, Mode, OrderSettings

ROOT = Path(__file__).parents[3]


@contextmanager
def server(say: bytes | None) -> Iterator[int]:
    """Takes one connection, sends ``say`` to it and closes it; with None it keeps silent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            link, _ = listener.accept()
            with link:
                if say is not None:
                    link.recv(64)
                    link.sendall(say)
                else:
                    link.settimeout(10)
                    while link.recv(64):
                        pass

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


@pytest.fixture
def up(tmp_path, monkeypatch):
    monkeypatch.setenv("ALGOTRADE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ALGOTRADE_IBKR_LIBRARY", "ib_async")

    def run(port, *options, **order):
        config = yaml.safe_load((ROOT / "config" / "ibkr.yaml").read_text())
        config["run"] = {"directory": str(tmp_path / "runs")}
        config["data"]["ibkr"] |= {"port": port, "cache": str(tmp_path / "cache")}
        config["order"] |= {"ibkr": {"port": port, "paper_ports": [port]}, **order}
        (tmp_path / "ibkr.yaml").write_text(yaml.safe_dump(config))
        result = CliRunner().invoke(app, ["up", "--config", str(tmp_path / "ibkr.yaml"), *options])
        assert not (tmp_path / "home").exists()
        assert len(result.output.strip().splitlines()) == 1
        return result.exit_code, result.output

    return run


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("options", [(), ("--broker", "ibkr"), ("--broker", "paper")])
def test_nobody_there_is_said_with_what_to_start(up, options):
    port = free_port()
    code, said = up(port, *options)
    assert code == 8
    assert f"algotrade ibkr-sim --port {port}" in said


def test_a_gateway_that_hangs_up_is_told_from_one_that_keeps_silent(up, monkeypatch):
    with server(b"") as port:
        code, said = up(port)
        assert (code, "closed the connection" in said) == (8, True)
    monkeypatch.setattr(gateway_check, "_PATIENCE_SECONDS", 0.2)
    with server(None) as port:
        code, said = up(port)
        assert (code, "does not answer" in said) == (8, True)


@pytest.mark.parametrize(
    ("port", "order", "problem"),
    [
        (4001, {"ibkr": {"port": 4001}}, "port 4001 is not one of paper trading"),
        (4003, {"ibkr": {"port": 4003}}, "order.ibkr.paper_ports may name one of a simulator or container"),
        (4002, {"account": "U1234567"}, "the account is not one of paper trading"),
    ],
)
def test_account_port_and_mode_that_do_not_agree_are_a_wrong_configuration(up, port, order, problem):
    code, said = up(port, **order)
    assert code == 2
    assert problem in said


def test_a_missing_library_is_named_with_what_to_install(up, monkeypatch):
    monkeypatch.setenv("ALGOTRADE_IBKR_LIBRARY", "no_library")
    code, said = up(free_port())
    assert code == 2
    assert "install algo-trade[ibkr]" in said


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({}, ""),
        ({"account": "DU7654321"}, "it does not have the account"),
        ({"account": "DU7654321", "broker": BrokerName.PAPER}, ""),
        ({"mode": Mode.LIVE}, "order.mode is live"),
    ],
)
def test_a_simulator_s_bars_are_for_an_account_that_it_has_and_never_for_live_trading(change, refused):
    order = OrderSettings(broker=BrokerName.IBKR, account="DU1234567").model_copy(update=change)
    said = gateway_check.unwelcome(order, ("DU1234567",))
    assert (refused in said, bool(said)) == (True, bool(refused))
