"""Looks at a gateway once, under the client id that is wanted, and leaves again."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ibkr_client.connection import Connection, RequestRefused
from ibkr_client.contracts import AmbiguousContract, Contracts, ContractTerms
from ibkr_client.error_policy import SIMULATOR
from ibkr_client.library import load_library
from ibkr_client.lifeline import Address
from ibkr_client.loop_thread import LoopThread
from ibkr_client.messages import Deaf
from ibkr_client.pacer import Pacer

_SECONDS_A_SYMBOL = 0.5


class Sight(NamedTuple):
    """What was seen; ``unknown`` says of symbols what is wrong with them."""

    accounts: tuple[str, ...]
    simulated: bool
    unknown: Mapping[str, str]


def look(address: Address, symbols: Sequence[str], terms: Mapping[str, ContractTerms]) -> Sight:
    """Connect, look every symbol up, and disconnect; no message about an order can leave.

    Raises:
        ConnectionLost, RequestRefused, TimeoutError: when the gateway cannot be reached; code 326 for a client id that
            is in use.
        LibraryMissing: when no client library can be imported.
    """
    thread = LoopThread("ibkr-look")
    try:
        return thread.call(
            _look(address, symbols, Contracts(terms)), 3 * address.patience + _SECONDS_A_SYMBOL * len(symbols)
        )
    finally:
        thread.close()


async def _look(address: Address, symbols: Sequence[str], contracts: Contracts) -> Sight:
    heard: Counter[int] = Counter()
    pacer = Pacer(address.rate, 0)
    connection = Connection(load_library(), Deaf(), pacer, address.patience, heard, read_only=True)
    try:
        hello = await connection.connect(address.host, address.port, address.client_id)
        wrong = await asyncio.gather(*(_wrong(connection, contracts, each) for each in symbols))
    finally:
        connection.close()
        await asyncio.sleep(0)  # the socket is closed by the loop
    unknown = {symbol: text for symbol, text in zip(symbols, wrong, strict=True) if text}
    return Sight(hello.accounts, SIMULATOR in heard, unknown)


async def _wrong(connection: Connection, contracts: Contracts, symbol: str) -> str:
    try:
        await contracts.described(connection, symbol)
    except AmbiguousContract as problem:
        return str(problem)
    except RequestRefused as refusal:
        return f"{symbol}: {refusal}"
    return ""
