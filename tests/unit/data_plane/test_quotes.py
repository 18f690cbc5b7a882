"""Quotes of a gateway that takes them away: they are asked for again, and flow is not summed over the gap."""

import asyncio
from datetime import UTC, datetime

import pytest
from virtual_time import run

from data_plane.connectors.ibkr_quotes import Quotes
from data_plane.connectors.ibkr_terms import LiveTerms
from ibkr_client.contracts import Contracts, ContractTerms, Qualified
from ibkr_client.messages import Notice, QuoteChange

NOW = datetime(2024, 7, 10, 14, tzinfo=UTC)
SYMBOLS = ("AAPL", "MSFT")


class Known(Contracts):
    """Finds every symbol."""

    async def qualified(self, connection, symbol):
        return Qualified(1, symbol, ContractTerms(), ((0.0, 0.01),), 1.0)


class Gateway:
    """Takes subscriptions to as many symbols as there are lines."""

    def __init__(self):
        self.number, self.taken = 0, []

    async def subscribe_quotes(self, contract_id, exchange, *, delayed):
        await asyncio.sleep(0.001)
        assert len(self.taken) < len(SYMBOLS)
        self.number += 1
        self.taken.append(self.number)
        return self.number

    async def cancel_quotes(self, number):
        await asyncio.sleep(0)
        self.taken.remove(number)


@pytest.fixture
def told():
    return []


@pytest.fixture
def quotes(told):
    terms = LiveTerms(SYMBOLS, "1min", again_seconds=0.02)
    return Quotes(terms, Known({}), told.append, lambda: told.append("cut"), lambda: NOW, delayed=False)


def quote(quotes, number):
    for field in ("bid", "bid_size", "ask", "ask_size"):
        quotes.quote(QuoteChange(number, field, 10.0))


@pytest.mark.parametrize("code", [354, 10089, 10186, 10197])
def test_quotes_that_were_taken_away_are_asked_for_again(quotes, told, code):
    gateway = Gateway()

    async def play():
        await quotes.greet(gateway)
        quotes.notice(Notice(1, code, "no"))
        quotes.on_time()
        quote(quotes, 1)
        await asyncio.sleep(0.03)
        assert gateway.taken == [1, 2]
        quotes.on_time()
        await asyncio.sleep(0.005)
        quote(quotes, 3)
        await asyncio.sleep(0)

    run(play())
    assert gateway.taken == [2, 3]
    assert told[0] == "cut"
    assert [row.symbol for row in told[1:]] == ["AAPL"]


def test_a_greeting_that_meets_another_request_subscribes_each_symbol_once(quotes):
    gateway = Gateway()

    async def play():
        await quotes.greet(gateway)
        quotes.notice(Notice(1, 10197, "no"))
        await asyncio.sleep(0.03)
        quotes.on_time()
        await asyncio.sleep(0)
        await quotes.greet(gateway)

    run(play())
    assert len(gateway.taken) == len(SYMBOLS)
    assert sorted(gateway.taken) == sorted(quotes._known)


@pytest.mark.parametrize("end", [1100, 2103, None])
def test_a_cut_is_told_before_what_follows_it(quotes, told, end):
    async def play():
        await quotes.greet(Gateway())
        quotes.notice(Notice(-1, 2104, "a farm is fine"))
        if end is None:
            quotes.lost()
        else:
            quotes.notice(Notice(-1, end, "gone"))

    run(play())
    assert told == ["cut"]


@pytest.mark.parametrize("end", [1100, 2103])
def test_a_quote_after_a_cut_has_no_number_from_before_it(quotes, told, end):
    async def play():
        await quotes.greet(Gateway())
        quote(quotes, 1)
        await asyncio.sleep(0)
        quotes.notice(Notice(-1, end, "gone"))
        quotes.quote(QuoteChange(1, "bid", 9.0))
        await asyncio.sleep(0)
        quote(quotes, 1)
        await asyncio.sleep(0)

    run(play())
    assert [each if each == "cut" else (each.bid_price, each.ask_price) for each in told] == [
        (10.0, 10.0),
        "cut",
        (10.0, 10.0),
    ]


@pytest.mark.parametrize("code", [2105, 2157])
def test_trouble_of_other_farms_leaves_quotes_alone(quotes, told, code):
    async def play():
        await quotes.greet(Gateway())
        quote(quotes, 1)
        await asyncio.sleep(0)
        quotes.notice(Notice(-1, code, "broken"))
        quotes.quote(QuoteChange(1, "bid", 9.0))
        await asyncio.sleep(0)

    run(play())
    assert [(each.bid_price, each.ask_price) for each in told] == [(10.0, 10.0), (9.0, 10.0)]
