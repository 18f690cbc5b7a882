"""Keeps a connection to the gateway: connects, notices when it is gone, and connects again."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import ModuleType

import structlog

from ibkr_client.connection import Connection, ConnectionLost, RequestRefused
from ibkr_client.error_policy import LINK_DOWN, LINK_UP
from ibkr_client.gateway_errors import GatewayRefused
from ibkr_client.messages import Hello, Listener, Notice
from ibkr_client.pacer import Pacer
from kernel.clock import monotonic

_LOG = structlog.get_logger()
_EXPECTED = (ConnectionLost, RequestRefused, TimeoutError, OSError)
_LOOK_SECONDS = 0.02
_LASTING_SECONDS = 1.0
_PULSE_SECONDS = 2.0
"""Between two questions for the time, which tell that a gateway has fallen silent."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the gateway listens, and how often it is tried: the first wait, its longest, in seconds."""

    host: str
    port: int
    client_id: int
    patience: float = 10.0
    first_wait: float = 0.1
    longest_wait: float = 30.0
    rate: int = 40
    reserve: int = 15


class Unusable(GatewayRefused):
    """The gateway must not be used; connecting again cannot help."""


class GatewayClock:
    """The gateway's time between its answers; it never runs backwards."""

    def __init__(self) -> None:
        self._told: datetime | None = None
        self._heard_at = 0.0
        self._shown = datetime.min.replace(tzinfo=UTC)

    @property
    def told(self) -> datetime:
        """The last answer; raises as `now` does."""
        if self._told is None:
            raise RuntimeError("the gateway has not told its time yet")
        return self._told

    def set(self, seconds: int) -> None:
        """Take an answer of the gateway, in seconds since 1970."""
        self._told, self._heard_at = datetime.fromtimestamp(seconds, UTC), monotonic()

    def now(self) -> datetime:
        """Its time in UTC: the last answer and the time since.

        Raises:
            RuntimeError: before the first answer.
        """
        self._shown = max(self._shown, self.told + timedelta(seconds=monotonic() - self._heard_at))
        return self._shown


class _Link:
    """Passes on what one connection says, and tells the lifeline what concerns it."""

    def __init__(self, lifeline: "Lifeline", listener: Listener) -> None:
        self._lifeline = lifeline
        self._listener = listener
        self.order_state = listener.order_state
        self.order_progress = listener.order_progress
        self.execution = listener.execution
        self.commission = listener.commission
        self.bar_update = listener.bar_update
        self.quote = listener.quote
        self.trade = listener.trade
        self.down = False

    def notice(self, notice: Notice) -> None:
        """Look for news of the gateway's own link."""
        if notice.code in LINK_DOWN:
            self.down = True
            self._lifeline.link_changed(self)
        elif notice.code in LINK_UP:
            self.down = False
            self._lifeline.link_changed(self)
        self._listener.notice(notice)

    def lost(self) -> None:
        """The socket was closed."""
        self._lifeline.lost(self)
        self._listener.lost()


class Lifeline:
    """Holds one `Connection` at a time and replaces a lost one, waiting twice as long after each failure.

    One that lasts less than a second is a failure too: whoever hangs up is not stormed.
    ``greet`` is called with every new connection before it may be used, and again after the gateway's own link came
    back, since what happened meanwhile was not told. ``connection`` is None while there is nothing that may be used.
    """

    def __init__(
        self,
        library: ModuleType,
        address: Address,
        listener: Listener,
        greet: Callable[[Connection, Hello], Awaitable[None]],
    ) -> None:
        self._library = library
        self._address = address
        self._listener = listener
        self._greet = greet
        self._pacer = Pacer(address.rate, address.reserve)
        self._news = asyncio.Event()
        self._link: _Link | None = None
        self._held: Connection | None = None
        self._hello = Hello((), 0)
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self.clock = GatewayClock()
        self.connection: Connection | None = None
        self.unusable: Unusable | None = None
        self.connects = 0
        self._since: float | None = None
        self.heard: Counter[int] = Counter()
        """Errors and notices of all connections, by code, but for the answers to cancels of bars."""

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts of the gateway, as the newest connection was told."""
        return self._hello.accounts

    @property
    def market(self) -> str:
        """The name of a simulator's market; empty for any other gateway. It never changes."""
        return self._hello.market

    async def start(self) -> None:
        """Connect for the first time, and from then on again and again.

        Raises:
            Unusable: when ``greet`` will not have this gateway.
            ConnectionLost, RequestRefused, TimeoutError: when it cannot be reached.
        """
        await self._connect()
        self._tasks = (asyncio.create_task(self._keep()), asyncio.create_task(self._watch()))

    async def ready(self) -> Connection:
        """Wait for the connection that may be used.

        Raises:
            Unusable: when there will be none any more.
        """
        while self.connection is None:
            if self.unusable is not None:
                raise self.unusable
            await asyncio.sleep(_LOOK_SECONDS)
        return self.connection

    async def stop(self) -> None:
        """Disconnect for good."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._let_go()

    def lost(self, link: _Link) -> None:
        """The socket of ``link`` was closed."""
        if link is self._link:
            if self._held is not None:
                _LOG.warning("the connection to the gateway is lost")
            self.connection = self._held = None
            self._news.set()

    def link_changed(self, link: _Link) -> None:
        """The gateway lost its own link, or has it again: either way nothing is sent until it was greeted."""
        if link is self._link:
            self.connection = None
            if self._held is not None:
                self._held.suspended = True
            if link.down:
                _LOG.warning("the gateway has lost its own connection")
            else:
                self._news.set()

    async def _keep(self) -> None:
        wait = self._address.first_wait
        while True:
            await self._news.wait()
            try:
                if self._held is None:
                    wait = await self._pause(wait)
                    await self._connect()
                else:
                    await self._welcome(self._held)
                if self.connection is not None:
                    _LOG.info("the gateway can be used again")
            except Unusable as refusal:
                self.unusable = refusal
                _LOG.critical("the gateway is not used any more", reason=str(refusal))
                return
            except Exception as error:  # noqa: BLE001 - whatever it was, without this task there is none ever again
                self._let_go()
                self._news.set()
                reason = (isinstance(error, _EXPECTED) and str(error)) or f"{type(error).__name__}: {error}"
                _LOG.warning("no connection to the gateway", reason=reason, again_in_seconds=wait)
                await asyncio.sleep(wait)
                wait = min(2 * wait, self._address.longest_wait)

    async def _pause(self, wait: float) -> float:
        """Leave a gateway alone that hung up soon; returns how long to wait when the next attempt fails."""
        since, self._since = self._since, None
        if since is None:  # there was no connection since the last wait
            return wait
        if monotonic() - since >= _LASTING_SECONDS:
            return self._address.first_wait
        await asyncio.sleep(wait)
        return min(2 * wait, self._address.longest_wait)

    async def _watch(self) -> None:
        """Ask for the time again and again: whoever does not answer is gone, though the socket may not say so."""
        while True:
            await asyncio.sleep(_PULSE_SECONDS)
            held = self._held
            if held is None:
                continue
            try:
                self.clock.set(await held.server_time())
            except TimeoutError:
                _LOG.warning("the gateway has fallen silent and is connected to again")
                held.close()
            except (ConnectionLost, RequestRefused):
                continue

    async def _connect(self) -> None:
        self._let_go()
        where = self._address
        self._link = link = _Link(self, self._listener)
        connection = Connection(self._library, link, self._pacer, where.patience, self.heard)
        try:
            self._recognise(await connection.connect(where.host, where.port, where.client_id))
            self.clock.set(await connection.server_time())  # how much of the past is missing follows from it
            self._held = connection
            await self._welcome(connection)
        except BaseException:
            connection.close()
            self._held = None
            raise
        self.connects += 1
        self._since = monotonic()

    def _recognise(self, hello: Hello) -> None:
        """Have it for the gateway that it was before."""
        if self.connects and hello.market != self.market:
            raise Unusable(f"{_named(hello.market)} is now where {_named(self.market)} was; start again")
        self._hello = hello

    async def _welcome(self, connection: Connection) -> None:
        """Greet, unless the link is down; whatever changes meanwhile makes it happen again."""
        self._news.clear()
        link = self._link
        if link is None or link.down:
            return
        await self._greet(connection, self._hello)
        if not (self._news.is_set() or link.down):
            self.connection, connection.suspended = connection, False

    def _let_go(self) -> None:
        held, self.connection, self._held, self._link = self._held, None, None, None
        if held is not None:
            held.close()


def _named(market: str) -> str:
    return f"a simulator with the market {market}" if market else "a gateway that is no simulator"
