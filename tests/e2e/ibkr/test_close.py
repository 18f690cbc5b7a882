"""The last bar of a session, which no other bar follows: it ends by the gateway's clock, for all symbols at once."""

import time
from datetime import UTC, date, datetime

import pytest

from data_plane.bars import TickAggregator
from data_plane.connectors.ibkr import LiveSource, SourceTerms
from data_plane.connectors.ibkr_terms import LiveTerms
from data_plane.connectors.ibkr_trades import Building
from data_plane.connectors.port import RawBar
from data_plane.session_grid import SessionGrid
from domain.exchange_sessions import load_calendar
from ibkr_client.lifeline import Address

CLOSE = datetime(2024, 7, 10, 20, tzinfo=UTC)
SYMBOLS = ("AAPL", "IBM", "MSFT")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(params=["updates", "trades"])
def building(request):
    grid = SessionGrid(load_calendar("XNYS", date(2024, 7, 1), date(2024, 7, 31)), "1min")
    return Building(grid, TickAggregator(grid, "1min")) if request.param == "trades" else None


def test_no_symbol_s_last_bar_of_a_session_is_called_missing(simulate, ibkr_library, building, tmp_path):
    simulator = simulate("--start", "20240710 15:58:30", "--speed", "30")
    address = Address("127.0.0.1", simulator.port, 8, patience=10.0)
    terms = SourceTerms(LiveTerms(SYMBOLS, "1min"), tmp_path, building=building)
    source, deadline, given = LiveSource(address, terms, ibkr_library.__name__), time.monotonic() + 30, []
    try:
        source.begin(dict.fromkeys(SYMBOLS, datetime(2024, 7, 10, 19, 58, tzinfo=UTC)))
        through = datetime.min.replace(tzinfo=UTC)
        while through < CLOSE and time.monotonic() < deadline:
            for batch in source.batches(0.2):
                given += [(row.timestamp, row.symbol) for row in batch.rows if isinstance(row, RawBar)]
                through = batch.through
                if through >= CLOSE:
                    break
    finally:
        source.close()
    assert given[-3:] == [(CLOSE, symbol) for symbol in SYMBOLS]
