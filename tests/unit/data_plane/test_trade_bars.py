"""Bars from trades where the gateway will not give any: nobody is kept waiting."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from data_plane.bars import TickAggregator
from data_plane.connectors.ibkr_live import LiveTerms
from data_plane.connectors.ibkr_trades import Building, TradeBars
from data_plane.session_grid import SessionGrid
from domain.calendar import always_open
from ibkr_client.contracts import Contracts, ContractTerms, Qualified
from ibkr_client.messages import Notice

START = datetime(2024, 7, 10, 13, 30, tzinfo=UTC)


class Known(Contracts):
    """Finds every symbol."""

    async def qualified(self, connection, symbol):
        return Qualified(1, symbol, ContractTerms(), ((0.0, 0.01),), 1.0)


class Gateway:
    """Takes every subscription."""

    async def subscribe_trades(self, contract_id, exchange):
        return 5


@pytest.mark.parametrize("code", [101, 200, 321, 354, 420, 10089, 10186, 10189, 10190, 10197])
def test_a_symbol_without_trades_holds_no_other_up(code):
    grid = SessionGrid(always_open(date(2024, 7, 1), date(2024, 7, 31)), "1min")
    terms = LiveTerms(("AAPL",), "1min")
    now = START + timedelta(minutes=3)
    bars = TradeBars(terms, Building(grid, TickAggregator(grid, "1min")), Known({}), lambda row: None, lambda: now)
    bars.begin_after({"AAPL": START})

    async def play():
        await bars.greet(Gateway())
        assert bars.horizon == START
        bars.notice(Notice(5, 2109, "a warning"))
        assert bars.horizon == START
        bars.notice(Notice(5, code, "no"))
        assert bars.horizon == now - terms.grace

    asyncio.run(play())
