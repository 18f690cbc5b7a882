"""Best quotes from the numbers that the gateway tells one by one."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from data_plane.connectors.ibkr_live import REFUSED
from data_plane.connectors.port import RawQuote
from ibkr_client.connection import Connection
from ibkr_client.contracts import Contracts
from ibkr_client.messages import Listener, Notice, QuoteChange

_LOG = structlog.get_logger()
_FIELDS = ("bid", "bid_size", "ask", "ask_size")


class Quotes(Listener):
    """Gives a quote when its numbers have changed, once all four are known; those that come together change together.

    The gateway does not say when a quote changed, so its time is that of ``clock`` when it came. ``delayed`` takes
    delayed quotes where the account has no subscription.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        contracts: Contracts,
        give: Callable[[RawQuote], None],
        clock: Callable[[], datetime],
        *,
        delayed: bool,
    ) -> None:
        self._symbols = symbols
        self._contracts = contracts
        self._give = give
        self._clock = clock
        self._delayed = delayed
        self._known: dict[int, tuple[str, dict[str, float]]] = {}
        self._changed: set[int] = set()

    async def greet(self, connection: Connection) -> None:
        """Subscribe everything anew; a symbol that is refused has no quotes."""
        old, self._known = self._known, {}
        for number in old:
            await connection.cancel_quotes(number)
        for symbol in self._symbols:
            try:
                contract = await self._contracts.qualified(connection, symbol)
                number = await connection.subscribe_quotes(
                    contract.contract_id, contract.terms.exchange, delayed=self._delayed
                )
            except REFUSED as error:
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
            _LOG.warning("quotes", symbol=self._known[notice.number][0], code=notice.code, text=notice.text)

    def lost(self) -> None:
        """Subscriptions end with their connection."""
        self._known.clear()
