"""A gateway that takes a connection and says nothing, or hangs up: each is told for what it is, and nothing else is."""

import asyncio
import gc

import pytest

from ibkr_client.connection import Connection, ConnectionLost
from ibkr_client.library import load_library
from ibkr_client.messages import Deaf
from ibkr_client.pacer import Pacer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


async def tried(library, *, hangs_up):
    """What connecting raised, and what the event loop had to complain of."""
    complaints, patience = [], 5.0 if hangs_up else 0.2
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))

    async def serve(reader, writer):
        await reader.read(64)
        while not hangs_up and await reader.read(64):
            pass
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        connection = Connection(load_library(library.__name__), Deaf(), Pacer(), patience)
        try:
            await connection.connect("127.0.0.1", server.sockets[0].getsockname()[1], 1)
        except (ConnectionLost, TimeoutError) as error:
            found = type(error), str(error)
        del connection
        gc.collect()
        await asyncio.sleep(0.05)
        return found, complaints


@pytest.mark.parametrize(
    ("hangs_up", "kind", "says"), [(False, TimeoutError, "does not answer"), (True, ConnectionLost, "closed")]
)
def test_a_handshake_that_fails_says_how_and_leaves_nothing_behind(ibkr_library, hangs_up, kind, says):
    (raised, text), complaints = asyncio.run(tried(ibkr_library, hangs_up=hangs_up))
    assert (raised, says in text, complaints) == (kind, True, [])
