"""Requests for bars that nobody waits for any more are cancelled at the gateway."""

import asyncio
from collections import Counter
from types import SimpleNamespace

import pytest

from ibkr_client.connection import Connection, RequestRefused
from ibkr_client.messages import Deaf
from ibkr_client.pacer import Pacer

LIBRARY = SimpleNamespace(Contract=dict)


class Client:
    """A client of a gateway that answers requests for bars with an error, if at all."""

    def __init__(self, inbox, answer):
        self.inbox, self.answer, self.open = inbox, answer, []

    def reqHistoricalData(self, number, *rest):  # noqa: N802
        self.open.append(number)
        if self.answer:
            self.inbox.error(number, *self.answer)

    def reqTickByTickData(self, number, contract, kind, *rest):  # noqa: N802
        self.open.append(kind)

    def cancelHistoricalData(self, number):  # noqa: N802
        self.open.remove(number)
        self.inbox.error(
            number, 162, f"Historical Market Data Service error message:API historical data query cancelled: {number}"
        )


@pytest.fixture
def connect(monkeypatch):
    def connected(*answer):
        clients = []
        monkeypatch.setattr(
            "ibkr_client.connection.new_client",
            lambda library, inbox, read_only: clients.append(Client(inbox, answer)) or clients[0],
        )
        monkeypatch.setattr("ibkr_client.connection._BARS_PATIENCE_SECONDS", 0.1)
        heard = Counter()
        return Connection(LIBRARY, Deaf(), Pacer(), 0.01, heard), clients[0], heard

    return connected


def history(connection):
    return connection.history(1, "SMART", "", "1 D", "1 min")


def keep(connection):
    return connection.keep_bars(1, "SMART", "1 D", "1 min")


@pytest.mark.parametrize("request_bars", [history, keep])
def test_what_is_not_answered_in_time_is_not_left_to_the_gateway(connect, request_bars):
    connection, client, heard = connect()
    with pytest.raises(TimeoutError):
        asyncio.run(request_bars(connection))
    assert client.open == []
    assert heard == {}


@pytest.mark.parametrize("request_bars", [history, keep])
def test_bars_may_take_longer_than_any_other_answer(connect, request_bars):
    connection, client, _ = connect()

    async def answered_late():
        task = asyncio.ensure_future(request_bars(connection))
        await asyncio.sleep(0.03)  # the patience for other answers is a third of that
        client.inbox.bars(["17", str(client.open[0]), "", "", "0"])
        await task

    asyncio.run(answered_late())


@pytest.mark.parametrize("request_bars", [history, keep])
def test_what_is_no_longer_wanted_is_not_left_to_the_gateway(connect, request_bars):
    connection, client, _ = connect()

    async def give_up():
        task = asyncio.ensure_future(request_bars(connection))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(give_up())
    assert client.open == []


@pytest.mark.parametrize("text", ["pacing violation", "HMDS query returned no data"])
def test_what_is_refused_counts_and_updates_of_it_are_not_left_to_the_gateway(connect, text):
    connection, client, heard = connect(162, text)
    with pytest.raises(RequestRefused, match=text):
        asyncio.run(keep(connection))
    assert client.open == []
    assert heard == {162: 1}


def test_trades_are_those_that_bars_of_the_past_are_made_of(connect):
    connection, client, _ = connect()
    asyncio.run(connection.subscribe_trades(1, "SMART"))
    assert client.open == ["Last"]  # AllLast has combos, derivatives and average prices besides
