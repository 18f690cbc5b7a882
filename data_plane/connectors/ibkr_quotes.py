"""Best quotes from the numbers that the gateway tells one by one."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime

import structlog

from data_plane.connectors.ibkr_live import REFUSED
from data_plane.connectors.ibkr_terms import LiveTerms
from data_plane.connectors.port import RawQuote
from ibkr_client.connection import Connection, ConnectionLost
from ibkr_client.contracts import Contracts
from ibkr_client.error_policy import FARM_BROKEN, LINK_DOWN, Farm, ends_request
from ibkr_client.messages import Listener, Notice, QuoteChange

_LOG = structlog.get_logger()
_FIELDS = ("bid", "bid_size", "ask", "ask_size")


class Quotes(Listener):
    """Gives a quote when its numbers have changed, once all four are known; those that come together change together.

    The gateway does not say when a quote changed, so its time is that of ``clock`` when it came. ``cut`` is called when
    quotes from now on do not follow those before. ``delayed`` takes delayed ones where the account has no subscription.
    """

    def __init__(
        self,
        terms: LiveTerms,
        contracts: Contracts,
        give: Callable[[RawQuote], None],
        cut: Callable[[], None],
        clock: Callable[[], datetime],
        *,
        delayed: bool,
    ) -> None:
        self._terms = terms
        self._contracts = contracts
        self._give = give
        self._cut = cut
        self._clock = clock
        self._delayed = delayed
        self._known: dict[int, tuple[str, dict[str, float]]] = {}
        self._changed: set[int] = set()
        self._left_over: list[int] = []
        self._refused: dict[str, float] = {}
        self._connection: Connection | None = None
        self._subscribing = asyncio.Lock()
        self._asking: asyncio.Task[None] | None = None

    async def greet(self, connection: Connection) -> None:
        """Subscribe everything anew; a symbol that is refused has no quotes until it is asked for again."""
        self._connection = connection
        self._left_over += self._known
        self._known.clear()
        self._refused.clear()
        await self._subscribe(connection, self._terms.symbols)

    def on_time(self) -> None:
        """Ask again for what was refused a while ago."""
        connection, now = self._connection, asyncio.get_running_loop().time()
        due = [symbol for symbol, at in self._refused.items() if now - at > self._terms.again_seconds]
        if connection is not None and due and (self._asking is None or self._asking.done()):
            for symbol in due:
                del self._refused[symbol]
            self._asking = asyncio.get_running_loop().create_task(self._quietly(connection, due))

    async def _quietly(self, connection: Connection, symbols: Iterable[str]) -> None:
        try:
            await self._subscribe(connection, symbols)
        except ConnectionLost:
            _LOG.info("the connection was lost while quotes were asked for")

    async def _subscribe(self, connection: Connection, symbols: Iterable[str]) -> None:
        async with self._subscribing:
            while self._left_over and connection is self._connection:
                await connection.cancel_quotes(self._left_over.pop())
            for symbol in symbols:
                if symbol not in (known for known, _ in self._known.values()):
                    await self._listen(connection, symbol)

    async def _listen(self, connection: Connection, symbol: str) -> None:
        try:
            contract = await self._contracts.qualified(connection, symbol)
            number = await connection.subscribe_quotes(
                contract.contract_id, contract.terms.exchange, delayed=self._delayed
            )
        except REFUSED as error:
            self._refused[symbol] = asyncio.get_running_loop().time()
            _LOG.warning("quotes were refused", symbol=symbol, reason=str(error) or type(error).__name__)
        else:
            self._known[number] = symbol, {}

    def quote(self, change: QuoteChange) -> None:
        """Take one number."""
        known = self._known.get(change.number)
        if known is None or known[1].get(change.field) == change.value:
            return
        known[1][change.field] = change.value
        if change.number not in self._changed:
            self._changed.add(change.number)
            asyncio.get_running_loop().call_soon(self._tell, change.number)

    def _tell(self, number: int) -> None:
        self._changed.discard(number)
        symbol, known = self._known.get(number, ("", {}))
        if len(known) == len(_FIELDS) and 0 < known["bid"] <= known["ask"]:
            bid, bid_size, ask, ask_size = map(known.__getitem__, _FIELDS)
            self._give(RawQuote(symbol, self._clock(), bid, bid_size, ask, ask_size, "ibkr", 0))

    def notice(self, notice: Notice) -> None:
        """Say which symbol has no quotes, and why."""
        if notice.number in self._known:
            symbol, _ = self._known[notice.number]
            _LOG.warning("quotes", symbol=symbol, code=notice.code, text=notice.text)
            if ends_request(notice.code):
                del self._known[notice.number]
                self._left_over.append(notice.number)
                self._refused[symbol] = asyncio.get_running_loop().time()
                self._cut()
        elif notice.code in LINK_DOWN or FARM_BROKEN.get(notice.code) is Farm.MARKET:
            for _, known in self._known.values():  # a quote is not made of numbers from before and after it
                known.clear()
            self._cut()

    def lost(self) -> None:
        """Subscriptions end with their connection."""
        self._connection = None
        self._known.clear()
        self._left_over.clear()
        self._cut()
