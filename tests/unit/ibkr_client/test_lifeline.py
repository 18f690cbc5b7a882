"""A connection that is kept whatever goes wrong while it is made."""

import asyncio
import sqlite3
from itertools import pairwise
from types import SimpleNamespace

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


def test_a_gateway_that_hangs_up_at_once_is_left_alone_ever_longer(monkeypatch):
    connected, lost = [], []

    class HangsUp(Line):
        async def connect(self, *address):
            loop = asyncio.get_running_loop()
            connected.append(loop.time())
            loop.call_soon(self.hang_up)
            return Hello(("DU1",), 1)

        def hang_up(self):
            lost.append(asyncio.get_running_loop().time())
            self.link.lost()

    monkeypatch.setattr(lifeline, "Connection", HangsUp)

    async def greet(connection, hello):
        """Nothing to ask."""

    async def scenario():
        line = Lifeline(None, Address("127.0.0.1", 1, 1, first_wait=0.04), Deaf(), greet)
        await line.start()
        async with asyncio.timeout(5):
            while len(connected) < 4:
                await asyncio.sleep(0.001)
        await line.stop()

    asyncio.run(scenario())
    waits = [again - before for before, again in zip(lost, connected[1:], strict=False)]
    assert all(wait >= 0.04 * 2**number for number, wait in enumerate(waits))


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


class Client:
    """A client of a gateway that tells its time, and takes orders without a word."""

    def __init__(self, inbox):
        self.inbox, self.placed, self.asked = inbox, [], []

    async def connectAsync(self, *rest):  # noqa: N802
        """Nothing to wait for."""

    def reqCurrentTime(self):  # noqa: N802
        self.asked.append(asyncio.get_running_loop().time())
        self.inbox.currentTime(1_720_000_000)

    def placeOrder(self, order_id, contract, form):  # noqa: N802
        self.placed.append(order_id)

    def disconnect(self):
        """Nothing to do."""


def test_an_order_that_waits_for_its_turn_does_not_leave_once_the_gateway_has_lost_its_own_link(monkeypatch):
    clients = []
    monkeypatch.setattr(
        "ibkr_client.connection.new_client",
        lambda library, inbox, read_only: clients.append(Client(inbox)) or clients[0],
    )
    library = SimpleNamespace(Contract=dict, Order=dict)

    async def greet(connection, hello):
        """Nothing to ask."""

    async def scenario():
        line = Lifeline(library, Address("127.0.0.1", 1, 1, rate=2, reserve=1), Deaf(), greet)
        await line.start()
        connection = line.connection
        await connection.place(1, {}, {}, {})
        waits = asyncio.ensure_future(connection.place(2, {}, {}, {}))
        await asyncio.sleep(0)
        clients[0].inbox.error(-1, 1100, "lost")
        with pytest.raises(ConnectionLost):
            await waits
        clients[0].inbox.error(-1, 1102, "back")
        assert await line.ready() is connection
        await connection.place(3, {}, {}, {})
        await line.stop()

    asyncio.run(scenario())
    assert clients[0].placed == [1, 3]


def test_a_gateway_is_not_asked_for_its_time_sooner_than_it_answers_again(monkeypatch):
    clients = []
    monkeypatch.setattr(
        "ibkr_client.connection.new_client",
        lambda library, inbox, read_only: clients.append(Client(inbox)) or clients[0],
    )
    monkeypatch.setattr("ibkr_client.connection._BETWEEN_TIMES_SECONDS", 0.05)

    async def scenario():
        connection = Connection(None, Deaf(), Pacer())
        assert await asyncio.gather(*(connection.server_time() for _ in range(3))) == [1_720_000_000] * 3

    asyncio.run(scenario())
    assert all(later - earlier >= 0.05 for earlier, later in pairwise(clients[0].asked))


def test_a_new_connection_is_greeted_with_the_time_that_it_is_then(monkeypatch):
    told = iter((1_720_000_000, 1_720_086_400))

    class Later(Line):
        async def server_time(self):
            return next(told)

    monkeypatch.setattr(lifeline, "Connection", Later)
    monkeypatch.setattr(lifeline, "_LASTING_SECONDS", 0.0)
    known = []

    async def scenario():
        async def greet(connection, hello):
            known.append(line.clock.told.timestamp())

        line = Lifeline(None, Address("127.0.0.1", 1, 1), Deaf(), greet)
        await line.start()
        line.connection.link.lost()
        await line.ready()
        await line.stop()

    asyncio.run(scenario())
    assert known == [1_720_000_000, 1_720_086_400]


def test_a_connection_that_was_lost_after_a_while_is_made_again_at_once(monkeypatch):
    monkeypatch.setattr(lifeline, "Connection", Line)
    monkeypatch.setattr(lifeline, "_LASTING_SECONDS", 0.05)
    times = []

    async def greet(connection, hello):
        times.append(asyncio.get_running_loop().time())

    async def scenario():
        line = Lifeline(None, Address("127.0.0.1", 1, 1, first_wait=5.0), Deaf(), greet)
        await line.start()
        await asyncio.sleep(0.1)
        line.connection.link.lost()
        async with asyncio.timeout(2):
            while len(times) < 2:
                await asyncio.sleep(0.001)
        await line.stop()

    asyncio.run(scenario())
