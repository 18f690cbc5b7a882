"""Bars of a simulator, of another one, and of an account are three markets: no cache and no run holds two of them."""

import socket
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml

from data_plane.connectors import ibkr_cache
from data_plane.connectors.ibkr import LiveSource, SourceTerms
from data_plane.connectors.ibkr_terms import LiveTerms
from ibkr_client.lifeline import Address, Unusable
from ibkr_sim.synthetic_bars import minute_bars

ROOT = Path(__file__).parents[3]
MONDAY = date(2024, 7, 8)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def connect(ibkr_library, tmp_path):
    made = []

    def connected(port, **changes):
        terms = SourceTerms(LiveTerms(("AAPL",), "1min"), tmp_path / "cache", **changes)
        made.append(
            LiveSource(Address("127.0.0.1", port, 8, first_wait=0.05, patience=10.0), terms, ibkr_library.__name__)
        )
        return made[-1]

    yield connected
    for source in made:
        source.close()


def closes(source):
    for _ in source.backfill(MONDAY):
        pass
    return [row.close for row in source.past(MONDAY).rows()]


def expected(seed):
    return [bar.close for bar in minute_bars("AAPL", seed)][:780]


def test_two_seeds_of_a_simulator_share_no_cache_and_one_finds_its_own_again(simulate, connect, tmp_path):
    assert closes(connect(simulate("--seed", "1").port)) == expected(1)
    assert closes(connect(simulate("--seed", "2").port)) == expected(2)
    again = simulate("--seed", "1")
    again.fault(do="pacing_violation", times=1_000)  # whoever asked would wait for long
    assert closes(connect(again.port)) == expected(1)
    folders = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert len(folders) == 2
    with pytest.raises(ibkr_cache.SeveralMarkets):
        ibkr_cache.kept(tmp_path / "cache", "1min")


def test_a_simulator_that_is_unwelcome_is_refused_with_the_reason(simulator, connect):
    with pytest.raises(Unusable, match="a simulator: not DU1234567"):
        connect(simulator.port, unwelcome=lambda accounts: f"not {', '.join(accounts)}")


def test_a_source_ends_when_another_market_takes_the_place_of_its_own(simulate, connect, until):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    first = simulate("--port", str(port), "--seed", "1")
    source = connect(port)
    source.begin({"AAPL": datetime(2024, 7, 10, 13, 30, tzinfo=UTC)})
    first.process.terminate()
    first.process.wait(10)
    simulate("--port", str(port), "--seed", "2")

    def ended():
        try:
            list(source.batches(0.1))
        except Unusable as refusal:
            return str(refusal)
        return ""

    until(ended)
    assert "is now where a simulator with the market" in ended()


def test_a_data_plane_alone_refuses_a_simulator_without_the_account_that_is_traded(
    simulator, embedded_settings, tmp_path, ibkr_library, monkeypatch
):
    monkeypatch.setenv("ALGOTRADE_IBKR_LIBRARY", ibkr_library.__name__)
    config = yaml.safe_load((ROOT / "config" / "ibkr.yaml").read_text())
    config["run"] = {"directory": str(tmp_path / "runs"), "health": {"data_port": 0}}
    config["data"]["ibkr"] |= {"port": simulator.port, "cache": str(tmp_path / "cache")}
    config["order"]["account"] = "DU7654321"
    kafka = {"bootstrap_servers", "topic_prefix", "embedded"}
    config["kafka"] = embedded_settings.model_dump(mode="json", include=kafka)
    (tmp_path / "ibkr.yaml").write_text(yaml.safe_dump(config))
    plane = [sys.executable, "-m", "launcher.plane_cli", "data", "--config", str(tmp_path / "ibkr.yaml")]
    done = subprocess.run(
        [*plane, "--state", str(tmp_path / "state")], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "bars would be those of a simulator: it does not have the account" in done.stdout + done.stderr
    assert not list(tmp_path.glob("cache/*/*/*.parquet"))
