"""Market data of Interactive Brokers: the past through a local cache, the present as it happens."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

from data_plane.connectors.arrival import InOrder
from data_plane.connectors.ibkr_bars import windows
from data_plane.connectors.ibkr_cache import BarCache, folder
from data_plane.connectors.ibkr_ears import Ears
from data_plane.connectors.ibkr_history import HistoryLoader, HistoryPacer, Step, Wanted
from data_plane.connectors.ibkr_live import UpdatedBars
from data_plane.connectors.ibkr_quotes import Quotes
from data_plane.connectors.ibkr_terms import BEFORE_ALL, LiveTerms
from data_plane.connectors.ibkr_trades import Building, TradeBars
from data_plane.connectors.port import RawBar, RawQuote, RawTick
from data_plane.connectors.replay import ReplayConnector, SourceFile
from data_plane.settings import RowKind
from ibkr_client.connection import Connection, ConnectionLost, RequestRefused
from ibkr_client.contracts import AmbiguousContract, Contracts, ContractTerms
from ibkr_client.gateway_errors import GatewayRefused
from ibkr_client.library import load_library
from ibkr_client.lifeline import Address, Lifeline, Unusable
from ibkr_client.loop_thread import LoopThread
from ibkr_client.messages import Hello

_SLACK_SECONDS = 60.0
_STEP_SECONDS = 0.25


class UnknownSymbol(GatewayRefused):
    """A symbol fits no contract, or several."""


class Batch(NamedTuple):
    """Rows in the order to publish them; ``through`` is the moment up to which every bar has been given.

    ``cut`` says that quotes from here on do not follow those before: some may be missing.
    """

    rows: list[RawBar | RawTick | RawQuote]
    through: datetime
    cut: bool = False


@dataclass(frozen=True, slots=True)
class SourceTerms:
    """What is subscribed and how; with ``building`` bars are built from trades, otherwise the gateway keeps them.

    ``cache`` has a folder for each market. ``pause`` is how long the gateway is left alone after it complained of
    pacing, in seconds. ``unwelcome`` says why the bars of a simulator with some accounts must not be used, if so.
    """

    live: LiveTerms
    cache: Path
    contracts: Mapping[str, ContractTerms] = field(default_factory=dict)
    building: Building | None = None
    quotes: bool = False
    delayed: bool = False
    pause: float = 15.0
    unwelcome: Callable[[Sequence[str]], str] = lambda accounts: ""


class LiveSource:
    """Past and live bars for a thread that is not asynchronous: `backfill`, then `begin`, then `batches`.

    Raises:
        ConnectionLost, RequestRefused, TimeoutError: when the gateway cannot be reached at first.
        UnknownSymbol: for a symbol that fits no contract, or several.
        Unusable: for a simulator that is unwelcome; later on, too, when the gateway becomes another one.
        LibraryMissing: when no client library is installed.
    """

    def __init__(self, address: Address, terms: SourceTerms, library: str | None = None) -> None:
        self._terms = terms
        self._address = address
        self._contracts = Contracts(terms.contracts)
        self._batches: SimpleQueue[Batch] = SimpleQueue()
        self._ears = Ears()
        self._pacer = HistoryPacer()
        self._bars: UpdatedBars | TradeBars | None = None
        self._quotes: Quotes | None = None
        self._order: InOrder | None = None
        self._ending = False
        self._line: Lifeline | None = None
        self._thread = LoopThread("ibkr-data")
        try:
            self._thread.call(self._connect(library), 4 * address.patience + _SLACK_SECONDS)
        except BaseException:
            self.close()
            raise

    @property
    def connects(self) -> int:
        """How often the gateway was connected to."""
        return 0 if self._line is None else self._line.connects

    @property
    def connected(self) -> bool:
        """Whether subscriptions are up."""
        return self._line is not None and self._line.connection is not None

    @property
    def heard(self) -> Counter[int]:
        """Errors and notices of the gateway so far, by code."""
        return Counter() if self._line is None else Counter(self._line.heard)

    def now(self) -> datetime:
        """The gateway's time."""
        return self._lifeline.clock.now()

    def backfill(self, first: date) -> Iterator[Step]:
        """Fetch the bars from ``first`` to yesterday that the cache lacks, and say a few times a second how far it is.

        A lost connection is waited for, and what was fetched stays.

        Raises:
            RequestRefused: what the gateway refuses for good.
            GatewayUnavailable: when it goes on without an answer.
        """
        told: SimpleQueue[Step] = SimpleQueue()
        loader = HistoryLoader(self._contracts, self._cache, self._pacer, self._terms.pause)
        complete = loader.until_complete(self._lifeline.ready, self._wanted(first), told.put)
        work: Future[None] = self._thread.start(complete)
        work.add_done_callback(lambda _: told.put(Step(0, 0, "")))
        while not work.done() or not told.empty():
            try:
                yield told.get(timeout=_STEP_SECONDS)
            except Empty:
                yield Step(0, 0, "", held_back=loader.held_back)
        work.result()

    def past(self, first: date) -> ReplayConnector:
        """What the cache holds from ``first`` to yesterday."""
        return replay(self._cache, self._wanted(first))

    def begin(self, newest: Mapping[str, datetime]) -> None:
        """Subscribe; ``newest`` are closes that are known already, by symbol.

        What follows them is given, oldest first.
        """
        self._thread.call(self._subscribe(newest), 4 * self._address.patience + _SLACK_SECONDS)

    def batches(self, timeout: float) -> Iterator[Batch]:
        """What came since the last call; waits at most ``timeout`` seconds for the first batch.

        Raises:
            Unusable: when another gateway is there than before.
        """
        self._thread.call(self._on_time(), self._address.patience + _SLACK_SECONDS)
        try:
            yield self._batches.get(timeout=timeout)
            while True:
                yield self._batches.get_nowait()
        except Empty:
            return

    def close(self) -> None:
        """Disconnect."""
        line, self._line = self._line, None
        if line is not None:
            self._thread.call(line.stop(), _SLACK_SECONDS)
        self._thread.close()

    @property
    def _lifeline(self) -> Lifeline:
        if self._line is None:
            raise ConnectionLost("the source is closed")
        return self._line

    def _wanted(self, first: date) -> Wanted:
        today = self.now().date()
        return Wanted(self._terms.live.symbols, self._terms.live.bar_size, first, today - timedelta(days=1), today)

    async def _connect(self, library: str | None) -> None:
        self._line = line = Lifeline(load_library(library), self._address, self._ears, self._admit)
        await line.start()
        connection = await line.ready()
        self._cache = BarCache(folder(self._terms.cache, line.market), self._terms.live.bar_size)
        for symbol in self._terms.live.symbols:
            try:
                await self._contracts.qualified(connection, symbol)
            except (AmbiguousContract, RequestRefused) as problem:
                raise UnknownSymbol(
                    f"{symbol}: {problem}; correct data.symbols, or name it in ibkr.contracts"
                ) from None

    async def _admit(self, connection: Connection, hello: Hello) -> None:
        why = self._terms.unwelcome(hello.accounts) if hello.market else ""
        if why:
            raise Unusable(f"bars would be those of a simulator: {why}")
        await self._greet(connection)

    async def _greet(self, connection: Connection) -> None:
        if self._bars is not None:
            await self._bars.greet(connection)
        if self._quotes is not None:
            await self._quotes.greet(connection)
        if self._order is not None:
            self._hand_over()

    async def _subscribe(self, newest: Mapping[str, datetime]) -> None:
        terms, line = self._terms, self._lifeline
        self._order = InOrder(min(newest.get(symbol, BEFORE_ALL) for symbol in terms.live.symbols))
        contracts, pacer = self._contracts, self._pacer

        def told() -> datetime:
            return line.clock.told

        if terms.building is None:
            self._bars = UpdatedBars(terms.live, contracts, self._take_bar, told, pacer)
        else:
            self._bars = TradeBars(terms.live, terms.building, contracts, self._take, told, pacer)
        self._bars.begin_after(newest)
        self._ears.add(self._bars)
        if terms.quotes:
            clock = line.clock.now
            self._quotes = Quotes(terms.live, contracts, self._take, self._cut, clock, delayed=terms.delayed)
            self._ears.add(self._quotes)
        connection = await line.ready()
        with suppress(ConnectionLost):  # the next connection is greeted, too
            await self._greet(connection)

    async def _on_time(self) -> None:
        if self._lifeline.unusable is not None:
            raise self._lifeline.unusable
        if self._quotes is not None:
            self._quotes.on_time()
        self._hand_over()

    def _cut(self) -> None:
        if self._order is not None:
            self._batches.put(Batch([], self._order.through, cut=True))

    def _take(self, row: RawBar | RawTick | RawQuote) -> None:
        if isinstance(row, RawBar):
            self._take_bar(row)
        elif self._order is not None:
            self._batches.put(Batch([row], self._order.through))

    def _take_bar(self, row: RawBar) -> None:
        if self._order is not None and isinstance(row.timestamp, datetime):
            self._order.add(row.timestamp, row)
            self._hand_over()

    def _hand_over(self) -> None:
        """Give what nothing earlier can come before any more."""
        order, bars = self._order, self._bars
        if order is None or bars is None or self._ending:
            return
        self._ending = True
        try:  # of all symbols, before the clock is taken for the end of any
            bars.on_time()
        finally:
            self._ending = False
        before = order.through
        rows: list[RawBar | RawTick | RawQuote] = [*order.until(bars.horizon)]
        if rows or order.through > before:
            self._batches.put(Batch(rows, order.through))


def replay(cache: BarCache, wanted: Wanted) -> ReplayConnector:
    """What the cache holds of ``wanted``, without asking anybody."""
    last = min(wanted.last, wanted.today)
    files = [
        SourceFile(cache.path(symbol, closed), RowKind.BARS, wanted.bar_size, symbol)
        for symbol in wanted.symbols
        for window in windows(wanted.bar_size, wanted.first, last)
        if cache.has(symbol, closed := window.until(wanted.today))
    ]
    return ReplayConnector(files, wanted.first, wanted.last)
