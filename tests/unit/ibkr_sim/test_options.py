"""Bars from files, and gateways from options."""

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ibkr_sim.bar_files import read_bars
from ibkr_sim.command import InvalidOptionError, Options, build
from ibkr_sim.faults import FaultScriptError
from ibkr_sim.gateway import GatewayRules
from ibkr_sim.tape import UnreadableBarsError

FIXTURES = Path(__file__).parents[3] / "fixtures"


def options(**changed):
    usual = {
        "port": 0,
        "control_port": None,
        "accounts": ("DU1",),
        "bars": (),
        "symbols": ("AAPL",),
        "start": "",
        "speed": 1.0,
        "faults": None,
        "size_increment": 1.0,
        "rules": GatewayRules(),
    }
    return Options(**(usual | changed))


def test_minute_bars_are_read_with_their_symbols():
    found = read_bars([FIXTURES / "generated" / f"minute_bars_{symbol}.parquet" for symbol in ("BRAV", "ALFA")])
    assert list(found) == ["ALFA", "BRAV"]
    first = found["ALFA"][0]
    assert first.end - first.start == 60.0
    assert datetime.fromtimestamp(first.end, UTC) == datetime(2024, 7, 1, 13, 31, tzinfo=UTC)
    assert (first.open, first.volume) == (120.0, 5502.0)


def test_daily_bars_last_a_session_of_new_york():
    (bars,) = read_bars([FIXTURES / "bars" / "IBM.parquet"]).values()
    assert bars[0].end - bars[0].start == 6.5 * 3600
    assert datetime.fromtimestamp(bars[0].start, UTC).date() == date(2000, 3, 1)


def test_a_gateway_plays_fixture_bars():
    gateway = build(options(bars=(FIXTURES / "generated" / "minute_bars_ALFA.parquet",)))
    assert list(gateway.market.tapes) == ["ALFA"]
    assert gateway.market.tapes["ALFA"].session_at(gateway.market_now)


def test_bars_may_be_played_today():
    gateway = build(options(start="now"))
    at = datetime.fromtimestamp(gateway.market_now, UTC)
    assert abs((datetime.now(UTC) - at).total_seconds()) < 120
    assert gateway.market.open_at("AAPL", gateway.market_now)


def test_a_file_without_bars_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    with pytest.raises(UnreadableBarsError, match="cannot be read as Parquet"):
        read_bars([path])
    pq.write_table(pa.table({"timestamp": [1]}), path)
    with pytest.raises(UnreadableBarsError, match="no column 'open'"):
        read_bars([path])


def test_options_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(InvalidOptionError, match="--start"):
        build(options(start="soon"))
    with pytest.raises(InvalidOptionError, match="nothing to trade"):
        build(options(symbols=()))
    with pytest.raises(InvalidOptionError, match="--faults"):
        build(options(faults=tmp_path / "none.yaml"))
    script = tmp_path / "faults.yaml"
    script.write_text("a: [")
    with pytest.raises(InvalidOptionError, match="not valid YAML"):
        build(options(faults=script))
    script.write_text("- {do: nothing}")
    with pytest.raises(FaultScriptError, match="do"):
        build(options(faults=script))
