"""One connection to the gateway, from its handshake to its end."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from contextlib import asynccontextmanager, suppress
from types import ModuleType
from typing import Any

from ibkr_client.inbox import (
    COMPLETED_ORDERS,
    CONNECT,
    OPEN_ORDERS,
    POSITIONS,
    TIME,
    ConnectionLost,
    Inbox,
    RequestRefused,
)
from ibkr_client.library import RawClient, execution_filter, name_and_version, new_client, new_contract, new_order
from ibkr_client.messages import (
    AccountValue,
    ContractDetails,
    Execution,
    Hello,
    HistoryBar,
    Listener,
    OrderState,
    Position,
)
from ibkr_client.pacer import Pacer

_FIRST_REQUEST = 1 << 30
"""Requests and orders share one range of numbers; those of requests are above any order id."""
_BETWEEN_TIMES_SECONDS = 1.1
"""A gateway answers the question for its time at most once a second."""
_BARS_PATIENCE_SECONDS = 60.0
"""A gateway fetches bars of the past from elsewhere, and they take longer than anything that it knows itself."""
_SUMMARY = "NetLiquidation,TotalCashValue,BuyingPower"


class Connection:
    """Speaks through one socket; a lost connection is never used again.

    Every method belongs to the event loop it was connected in, waits at most ``patience`` seconds for its answer, for
    bars of the past a minute at least, and raises `RequestRefused`, `ConnectionLost` or TimeoutError. ``heard`` counts
    the errors and notices by code. With ``read_only`` no message about an order leaves: `library.OrdersForbidden` is
    raised instead.
    """

    def __init__(
        self,
        library: ModuleType,
        listener: Listener,
        pacer: Pacer,
        patience: float = 10.0,
        heard: Counter[int] | None = None,
        *,
        read_only: bool = False,
    ) -> None:
        self._library = library
        self._inbox = Inbox(listener, heard)
        self._client: RawClient = new_client(library, self._inbox, read_only=read_only)
        self._pacer = pacer
        self._patience = patience
        self._numbers = _FIRST_REQUEST
        self._locks = {name: asyncio.Lock() for name in (OPEN_ORDERS, COMPLETED_ORDERS, POSITIONS, TIME)}
        self._time_again = 0.0
        self.suspended = False
        """Whether orders and cancels must not leave, not even those that wait for their turn."""

    @property
    def library(self) -> str:
        """Name and version of the client library behind it."""
        return name_and_version(self._library)

    async def connect(self, host: str, port: int, client_id: int) -> Hello:
        """Shake hands; a client id that is in use is refused at once, as `RequestRefused`."""
        refused = self._inbox.expect(CONNECT)
        connecting = asyncio.ensure_future(self._client.connectAsync(host, port, client_id, self._patience))
        both: tuple[asyncio.Future[Any], ...] = (connecting, refused)
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            # A library whose time is up hangs up too: that is no refusal of the gateway's.
            await (connecting if connecting.done() else refused)
        except TimeoutError:
            raise TimeoutError(f"port {port} takes connections and does not answer") from None
        except OSError as error:
            raise ConnectionLost(f"nobody answers on port {port}: {type(error).__name__}") from None
        finally:
            self._inbox.forget(CONNECT)
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)
        return Hello(self._inbox.accounts, self._inbox.first_order_id, self._inbox.market)

    def close(self) -> None:
        """Disconnect; pending requests fail."""
        self._client.disconnect()
        self._inbox.close()

    async def contract_details(self, contract: Mapping[str, object], *, order: bool = False) -> list[ContractDetails]:
        """Every contract that fits ``contract``; error 200 when there is none. With ``order``, one waits for it."""
        wanted, number = new_contract(self._library, contract), self._next_number()
        return await self._ask(number, lambda: self._raw.reqContractDetails(number, wanted), order=order)

    async def market_rule(self, rule: int, *, order: bool = False) -> list[tuple[float, float]]:
        """Price steps as (from this price on, step), lowest first; ``order`` as above."""
        return await self._ask(("rule", rule), lambda: self._raw.reqMarketRule(rule), order=order)

    async def open_orders(self) -> list[OrderState]:
        """Working orders of all clients."""
        return await self._listed(OPEN_ORDERS, self._raw.reqAllOpenOrders)

    async def completed_orders(self) -> list[OrderState]:
        """Orders of all clients that ended today."""
        return await self._listed(COMPLETED_ORDERS, lambda: self._raw.reqCompletedOrders(False))

    async def executions(self, account: str) -> list[Execution]:
        """Executions of today; their commissions come to the listener."""
        wanted = execution_filter(self._library, account)
        return await self._numbered(lambda number: self._raw.reqExecutions(number, wanted))

    async def positions(self) -> list[Position]:
        """What every account holds."""
        found: list[Position] = await self._listed(POSITIONS, self._raw.reqPositions)
        await self.send(self._raw.cancelPositions)
        return found

    async def server_time(self) -> int:
        """The gateway's time, in whole seconds since 1970; who asks soon after another one waits for his turn."""
        clock = asyncio.get_running_loop().time
        async with self._locks[TIME]:
            await asyncio.sleep(max(0.0, self._time_again - clock()))
            try:
                (seconds,) = await self._ask(TIME, self._raw.reqCurrentTime)
            finally:
                self._time_again = clock() + _BETWEEN_TIMES_SECONDS
        return int(seconds)

    async def account_values(self) -> list[AccountValue]:
        """Net liquidation value, cash and buying power of every account."""
        number = self._next_number()
        try:
            return await self._ask(number, lambda: self._raw.reqAccountSummary(number, "All", _SUMMARY))
        finally:
            with suppress(ConnectionError):  # it has ended with its connection
                self._raw.cancelAccountSummary(number)

    async def history(
        self, contract_id: int, exchange: str, end: str, duration: str, bar_size: str, *, regular_hours: bool = True
    ) -> list[HistoryBar]:
        """Bars of trades that end by ``end`` (yyyymmdd-HH:MM:SS in UTC, empty for now)."""
        wanted, number = self._by_number(contract_id, exchange), self._next_number()
        async with self._cancelled_unless_answered(number):
            return await self._ask(
                number,
                lambda: self._raw.reqHistoricalData(
                    number, wanted, end, duration, bar_size, "TRADES", regular_hours, 2, False, []
                ),
                least=_BARS_PATIENCE_SECONDS,
            )

    async def keep_bars(
        self, contract_id: int, exchange: str, duration: str, bar_size: str, *, regular_hours: bool = True
    ) -> tuple[int, list[HistoryBar]]:
        """Bars up to now, and from then on updates to the listener under the number that is returned."""
        wanted, number = self._by_number(contract_id, exchange), self._next_number()
        async with self._cancelled_unless_answered(number, RequestRefused):  # which may not have been of its updates
            bars: list[HistoryBar] = await self._ask(
                number,
                lambda: self._raw.reqHistoricalData(
                    number, wanted, "", duration, bar_size, "TRADES", regular_hours, 2, True, []
                ),
                least=_BARS_PATIENCE_SECONDS,
            )
        return number, bars

    async def cancel_bars(self, number: int) -> None:
        """End a subscription to bars."""
        await self.send(lambda: self._raw.cancelHistoricalData(number))

    async def subscribe_quotes(self, contract_id: int, exchange: str, *, delayed: bool) -> int:
        """Best quotes to the listener under the number that is returned; ``delayed`` takes delayed ones too."""
        wanted, number = self._by_number(contract_id, exchange), self._next_number()
        await self.send(lambda: self._raw.reqMarketDataType(3 if delayed else 1))
        await self.send(lambda: self._raw.reqMktData(number, wanted, "", False, False, []))
        return number

    async def subscribe_trades(self, contract_id: int, exchange: str) -> int:
        """Every trade of the kind that bars are made of to the listener under the number that is returned."""
        wanted, number = self._by_number(contract_id, exchange), self._next_number()
        await self.send(lambda: self._raw.reqTickByTickData(number, wanted, "Last", 0, True))
        return number

    async def cancel_quotes(self, number: int) -> None:
        """End a subscription to quotes."""
        await self.send(lambda: self._raw.cancelMktData(number))

    async def cancel_trades(self, number: int) -> None:
        """End a subscription to trades."""
        await self.send(lambda: self._raw.cancelTickByTickData(number))

    async def place(
        self, order_id: int, contract: Mapping[str, object], order: Mapping[str, object], algo: Mapping[str, str]
    ) -> None:
        """Send a new order; what becomes of it the listener hears.

        Raises:
            ConnectionLost: when nothing was sent.
        """
        wanted = new_contract(self._library, contract)
        form = new_order(self._library, order, algo)
        await self.send(lambda: self._raw.placeOrder(order_id, wanted, form), order=True)

    async def cancel(self, order_id: int) -> None:
        """Ask for an order of this client to be cancelled; raises as `place` does."""
        await self.send(lambda: self._raw.cancelOrder(order_id, ""), order=True)

    async def send(self, call: Callable[[], None], *, order: bool = False) -> None:
        """Send one message in its turn; ConnectionLost when the socket was closed, or an order `suspended`, before."""
        await self._pacer.turn(order=order)
        if order and self.suspended:
            raise ConnectionLost("nothing was sent: the gateway has lost its own link")
        try:
            call()
        except ConnectionError:
            raise ConnectionLost("nothing was sent: there is no connection") from None

    @property
    def _raw(self) -> Any:  # noqa: ANN401 - some twenty requests of an untyped library
        return self._client

    def _by_number(self, contract_id: int, exchange: str) -> object:
        return new_contract(self._library, {"conId": contract_id, "exchange": exchange})

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    @asynccontextmanager
    async def _cancelled_unless_answered(self, number: int, *more: type[Exception]) -> AsyncIterator[None]:
        """Cancel a request for bars that nobody waits for any more: the gateway would go on with it."""
        ended: tuple[type[BaseException], ...] = (TimeoutError, asyncio.CancelledError, *more)
        try:
            yield
        except ended:
            with suppress(ConnectionLost):
                await self.cancel_bars(number)
            raise

    async def _numbered(self, send: Callable[[int], None]) -> list[Any]:
        number = self._next_number()
        return await self._ask(number, lambda: send(number))

    async def _listed(self, name: str, send: Callable[[], None]) -> list[Any]:
        async with self._locks[name]:
            return await self._ask(name, send)

    async def _ask(
        self, key: Hashable, send: Callable[[], None], *, order: bool = False, least: float = 0.0
    ) -> list[Any]:
        """Send a request and wait for its answer as long as the patience is, and for ``least`` seconds anyway."""
        answer = self._inbox.expect(key)
        try:
            await self.send(send, order=order)
            return await asyncio.wait_for(answer, max(self._patience, least))
        finally:
            self._inbox.forget(key)
            if answer.done() and not answer.cancelled():
                answer.exception()  # it may have failed while the request waited for its turn


__all__ = ["Connection", "ConnectionLost", "RequestRefused"]
