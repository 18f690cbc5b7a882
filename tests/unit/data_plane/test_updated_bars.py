"""Bars that the gateway keeps up to date, when its messages come close together."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from data_plane.connectors.ibkr_live import LiveTerms, UpdatedBars
from ibkr_client.contracts import Contracts, ContractTerms, Qualified
from ibkr_client.messages import HistoryBar

OPENED = datetime(2024, 7, 10, 13, 30, tzinfo=UTC)


def bar(minute, volume):
    start = int((OPENED + timedelta(minutes=minute)).timestamp())
    return HistoryBar(str(start), 10.0, 11.0, 9.0, 10.0, volume)


class Gateway:
    """A connection whose updates arrive together with the answer to the request for them."""

    def __init__(self, market, answer, updates):
        self.market, self.answer, self.updates = market, answer, updates

    async def keep_bars(self, contract_id, exchange, duration, bar_size):
        for number, update in self.updates:
            self.market.bar_update(number, update)
        return 5, self.answer

    async def cancel_bars(self, number):
        pass


@pytest.fixture
def given():
    return []


@pytest.fixture
def market(given):
    contracts = Contracts({})
    contracts._found["AAPL"] = Qualified(1, "AAPL", ContractTerms(), ((0.0, 0.01),), 1.0)
    return UpdatedBars(LiveTerms(("AAPL",), "1min"), contracts, given.append, lambda: OPENED)


@pytest.mark.parametrize("updates", [[(5, bar(1, 100.0))], [(5, bar(1, 100.0)), (5, bar(2, 0.5)), (6, bar(3, 1.0))]])
def test_an_update_that_comes_with_the_answer_is_not_lost(market, given, updates):
    async def play():
        await market.greet(Gateway(market, [bar(0, 50.0), bar(1, 90.0)], updates))
        market.bar_update(5, bar(2, 1.0))

    asyncio.run(play())
    assert [(row.timestamp, row.volume) for row in given] == [
        (OPENED + timedelta(minutes=1), 50.0),
        (OPENED + timedelta(minutes=2), 100.0),
    ]


def test_updates_of_subscriptions_that_ended_are_forgotten(market, given):
    async def play():
        await market.greet(Gateway(market, [bar(0, 50.0)], [(4, bar(7, 1.0))]))
        market.bar_update(4, bar(8, 1.0))
        market.bar_update(5, bar(1, 1.0))

    asyncio.run(play())
    assert [row.volume for row in given] == [50.0]
    assert market._early == {}
