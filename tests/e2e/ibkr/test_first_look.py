"""What `algotrade up` finds at a gateway that answers and cannot be traded with: one line, and nothing is started."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from launcher.cli import app
from launcher.gateway_check import check_gateway
from launcher.settings import load_settings

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def up(tmp_path, monkeypatch, ibkr_library, simulator):
    monkeypatch.setenv("ALGOTRADE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ALGOTRADE_IBKR_LIBRARY", ibkr_library.__name__)

    def run(data_port=None, symbols=("AAPL", "MSFT"), **order):
        config = yaml.safe_load((ROOT / "config" / "ibkr.yaml").read_text())
        config["run"] = {"directory": str(tmp_path / "runs")}
        config["data"]["ibkr"] |= {"port": data_port or simulator.port, "cache": str(tmp_path / "cache")}
        config["data"]["symbols"], config["strategy"]["universe"] = [*symbols], [*symbols]
        config["order"] |= {"ibkr": {"port": simulator.port, "paper_ports": [simulator.port]}, **order}
        (tmp_path / "ibkr.yaml").write_text(yaml.safe_dump(config))
        result = CliRunner().invoke(app, ["up", "--config", str(tmp_path / "ibkr.yaml")])
        assert not (tmp_path / "home").exists()
        (line,) = result.output.strip().splitlines()
        return result.exit_code, line

    return run


def test_an_account_that_is_not_there_is_said(up):
    code, said = up(account="DU7654321")
    assert (code, "the gateway does not have the account" in said) == (2, True)


def test_every_symbol_that_fits_no_contract_is_said_at_once(up):
    code, said = up(symbols=("AAPL", "NOPE", "NADA"))
    assert code == 2
    assert "NOPE" in said
    assert "NADA" in said
    assert "AAPL" not in said


def test_a_symbol_that_only_the_order_plane_cannot_find_is_said(up, simulator):
    gateway = {"port": simulator.port, "paper_ports": [simulator.port], "contracts": {"MSFT": {"symbol": "GONE"}}}
    code, said = up(ibkr=gateway)
    assert (code, "MSFT" in said, "order.ibkr.contracts" in said) == (2, True, True)


@pytest.mark.parametrize("client_id", [1, 2])
def test_a_client_id_that_is_in_use_is_said(up, desk, simulator, client_id):
    desk.broker(simulator, client_id=client_id)
    code, said = up()
    assert (code, f"client id {client_id} is in use" in said) == (8, True)


def test_a_gateway_that_fits_is_left_as_it_was(tmp_path, simulator, ibkr_library, monkeypatch, until):
    monkeypatch.setenv("ALGOTRADE_IBKR_LIBRARY", ibkr_library.__name__)
    config = yaml.safe_load((ROOT / "config" / "ibkr.yaml").read_text())
    config["data"]["ibkr"] |= {"port": simulator.port}
    config["order"]["ibkr"] |= {"port": simulator.port, "paper_ports": [simulator.port]}
    (tmp_path / "ibkr.yaml").write_text(yaml.safe_dump(config))
    check_gateway(load_settings(tmp_path / "ibkr.yaml", {}))
    until(lambda: simulator.state()["clients"] == [])
    assert simulator.state()["orders"] == []
