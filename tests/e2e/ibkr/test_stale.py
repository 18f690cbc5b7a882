"""A symbol that falls silent shows in the metrics of the data plane, and no longer once it is heard again."""

import re
import socket
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

ROOT = Path(__file__).parents[3]


@pytest.fixture
def gateway(simulate):
    """Minute bars every two seconds."""
    return simulate("--speed", "30")


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def config(tmp_path, gateway, port):
    settings = yaml.safe_load((ROOT / "config" / "ibkr.yaml").read_text())
    settings["run"] = {"directory": str(tmp_path / "runs"), "health": {"data_port": port}}
    settings["data"]["ibkr"] |= {"port": gateway.port, "cache": str(tmp_path / "cache"), "stale_seconds": 90}
    settings["order"]["ibkr"] |= {"port": gateway.port, "paper_ports": [gateway.port]}
    path = tmp_path / "ibkr.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.mark.slow
def test_stale_symbols_are_counted_while_the_gateway_has_no_data(
    session, config, gateway, port, ibkr_library, monkeypatch, until
):
    def stale():
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return float(re.search(r'algotrade_stale_symbols{plane="data"} (\S+)', answer.read().decode())[1])

    monkeypatch.setenv("ALGOTRADE_IBKR_LIBRARY", ibkr_library.__name__)
    run = session("up", "--broker", "ibkr", "--config", str(config), "--run-id", "stale")
    run.wait_for(r"[1-9]\d* fills")
    until(lambda: stale() == 0)
    gateway.fault(do="connectivity", seconds=12.0, data="lost")
    until(lambda: stale() == 3, 12)
    until(lambda: stale() == 0, 30)
