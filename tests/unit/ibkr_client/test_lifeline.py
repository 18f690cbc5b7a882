"""A connection that is kept whatever goes wrong while it is made."""

import asyncio
import sqlite3

import pytest

from ibkr_client import lifeline
from ibkr_client.connection import Connection, ConnectionLost
from ibkr_client.lifeline import Address, Lifeline
from ibkr_client.messages import Deaf, Hello
from ibkr_client.pacer import Pacer


class Line:
    """A connection that can always be made."""

    def __init__(self, library, link, *rest):
        self.link = link

    async def connect(self, host, port, client_id):
        return Hello(("DU1",), 1)

    async def server_time(self):
        return 1_720_000_000

    def close(self):
        """Nothing to do."""


@pytest.mark.parametrize(
    "trouble", [sqlite3.OperationalError("disk I/O error"), TypeError("a bug"), ConnectionLost("x")]
)
def test_whatever_goes_wrong_with_a_new_connection_it_is_tried_again(monkeypatch, trouble):
    monkeypatch.setattr(lifeline, "Connection", Line)
    troubles = [None, trouble, None]

    async def greet(connection, hello):
        wrong = troubles.pop(0)
        if wrong is not None:
            raise wrong

    async def scenario():
        line = Lifeline(None, Address("127.0.0.1", 1, 1, first_wait=0.001), Deaf(), greet)
        await line.start()
        line.connection.link.lost()
        async with asyncio.timeout(5):
            while line.connection is None:
                await asyncio.sleep(0.001)
        await line.stop()

    asyncio.run(scenario())
    assert troubles == []


class Summaries:
    """A client whose socket is cut while it waits for a summary."""

    def reqAccountSummary(self, number, group, tags):  # noqa: N802
        raise ConnectionError("Not connected")

    cancelAccountSummary = reqAccountSummary  # noqa: N815


def test_a_link_that_is_cut_during_a_summary_is_a_lost_connection(monkeypatch):
    client = Summaries()
    client.cancelAccountSummary = lambda number: client.reqAccountSummary(number, "", "")
    monkeypatch.setattr("ibkr_client.connection.new_client", lambda *rest, read_only: client)
    connection = Connection(None, Deaf(), Pacer())
    with pytest.raises(ConnectionLost):
        asyncio.run(connection.account_values())
