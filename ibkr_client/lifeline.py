"""Keeps a connection to the gateway: connects, notices when it is gone, and connects again."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import ModuleType

import structlog

from ibkr_client.connection import Connection, ConnectionLost, RequestRefused
from ibkr_client.error_policy import LINK_DOWN, LINK_UP
from ibkr_client.messages import Hello, Listener, Notice
from ibkr_client.pacer import Pacer

_LOG = structlog.get_logger()


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


class Unusable(Exception):
    """The gateway must not be used; connecting again cannot help."""


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
        self._task: asyncio.Task[None] | None = None
        self.connection: Connection | None = None
        self.unusable: Unusable | None = None
        self.connects = 0
        self.heard: Counter[int] = Counter()
        """Errors and notices of all connections, by code."""

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts of the gateway, as the newest connection was told."""
        return self._hello.accounts

    async def start(self) -> None:
        """Connect for the first time, and from then on again and again.

        Raises:
            Unusable: when ``greet`` will not have this gateway.
            ConnectionLost, RequestRefused, TimeoutError: when it cannot be reached.
        """
        await self._connect()
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Disconnect for good."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._let_go()

    def lost(self, link: _Link) -> None:
        """The socket of ``link`` was closed."""
        if link is self._link:
            self.connection = self._held = None
            self._news.set()

    def link_changed(self, link: _Link) -> None:
        """The gateway lost its own link, or has it again: either way nothing is sent until it was greeted."""
        if link is self._link:
            self.connection = None
            if not link.down:
                self._news.set()

    async def _keep(self) -> None:
        wait = self._address.first_wait
        while True:
            await self._news.wait()
            try:
                await (self._connect() if self._held is None else self._welcome(self._held))
                wait = self._address.first_wait
            except Unusable as refusal:
                self.unusable = refusal
                _LOG.critical("the gateway is not used any more", reason=str(refusal))
                return
            except (ConnectionLost, RequestRefused, TimeoutError, OSError) as error:
                self._let_go()
                self._news.set()
                _LOG.warning("no connection to the gateway", reason=str(error), again_in_seconds=wait)
                await asyncio.sleep(wait)
                wait = min(2 * wait, self._address.longest_wait)

    async def _connect(self) -> None:
        self._let_go()
        where = self._address
        self._link = link = _Link(self, self._listener)
        connection = Connection(self._library, link, self._pacer, where.patience, self.heard)
        try:
            self._hello = await connection.connect(where.host, where.port, where.client_id)
            self._held = connection
            await self._welcome(connection)
        except BaseException:
            connection.close()
            self._held = None
            raise
        self.connects += 1

    async def _welcome(self, connection: Connection) -> None:
        """Greet, unless the link is down; whatever changes meanwhile makes it happen again."""
        self._news.clear()
        link = self._link
        if link is None or link.down:
            return
        await self._greet(connection, self._hello)
        if not (self._news.is_set() or link.down):
            self.connection = connection

    def _let_go(self) -> None:
        held, self.connection, self._held, self._link = self._held, None, None, None
        if held is not None:
            held.close()
