"""Bars of Interactive Brokers: the past through a local cache, the present as it happens."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue

from data_plane.connectors.ibkr_bars import windows
from data_plane.connectors.ibkr_cache import BarCache
from data_plane.connectors.ibkr_history import HistoryLoader, HistoryPacer, Progress, Wanted
from data_plane.connectors.ibkr_live import LiveBars
from data_plane.connectors.port import RawBar
from data_plane.connectors.replay import ReplayConnector, SourceFile
from data_plane.settings import RowKind
from ibkr_client.connection import Connection
from ibkr_client.contracts import Contracts, ContractTerms
from ibkr_client.library import load_library
from ibkr_client.lifeline import Address, Lifeline
from ibkr_client.loop_thread import LoopThread
from ibkr_client.messages import Deaf, Hello

_LOAD_SECONDS = 7 * 86_400.0
_SLACK_SECONDS = 60.0


def silent(done: int, of: int, symbol: str) -> None:
    """A progress that nobody watches."""


def backfill(
    address: Address,
    terms: dict[str, ContractTerms],
    wanted: Wanted,
    cache: Path,
    progress: Progress = silent,
    library: str | None = None,
    pause: float = 15.0,
) -> ReplayConnector:
    """Fetch the bars that the cache lacks, and replay them: the rows are those of any other Parquet file.

    Raises:
        RequestRefused, ConnectionLost, TimeoutError: call again; what was fetched stays.
        LibraryMissing: when no client library is installed.
    """
    thread = LoopThread("ibkr-history")
    bars = BarCache(cache, wanted.bar_size)
    loader = HistoryLoader(Contracts(terms), bars, HistoryPacer(), pause)

    async def work() -> None:
        async def ready(connection: Connection, _: Hello) -> None:
            """Nothing to do: each load asks for itself."""

        line = Lifeline(load_library(library), address, Deaf(), ready)
        await line.start()
        try:
            if line.connection is not None:
                await loader.load(line.connection, wanted, progress)
        finally:
            await line.stop()

    try:
        thread.call(work(), _LOAD_SECONDS)
    finally:
        thread.close()
    return replay(bars, wanted)


def replay(cache: BarCache, wanted: Wanted) -> ReplayConnector:
    """What the cache holds of ``wanted``, without asking anybody."""
    last = min(wanted.last, wanted.today)
    files = [
        SourceFile(cache.path(symbol, window), RowKind.BARS, wanted.bar_size, symbol)
        for symbol in wanted.symbols
        for window in windows(wanted.bar_size, wanted.first, last)
        if cache.has(symbol, window)
    ]
    return ReplayConnector(files, wanted.first, wanted.last)


class LiveSource:
    """Live bars for a thread that is not asynchronous.

    ``newest`` are closes that are known already, by symbol; bars after them are given, those of the past first.
    """

    def __init__(
        self,
        address: Address,
        terms: dict[str, ContractTerms],
        symbols: tuple[str, ...],
        bar_size: str,
        clock: Callable[[], datetime],
        newest: dict[str, datetime] | None = None,
        library: str | None = None,
    ) -> None:
        self._rows: SimpleQueue[RawBar] = SimpleQueue()
        self._live = LiveBars(symbols, bar_size, Contracts(terms), self._rows.put, clock)
        self._live.begin_after(newest or {})
        self._address = address
        self._library = library
        self._thread = LoopThread("ibkr-bars")
        self._line: Lifeline | None = None
        try:
            self._thread.call(self._start(), 4 * address.patience + _SLACK_SECONDS)
        except BaseException:
            self._thread.close()
            raise

    @property
    def connects(self) -> int:
        """How often the gateway was connected to."""
        return 0 if self._line is None else self._line.connects

    @property
    def heard(self) -> Counter[int]:
        """Errors and notices of the gateway so far, by code."""
        return Counter() if self._line is None else Counter(self._line.heard)

    def rows(self, timeout: float) -> Iterator[RawBar]:
        """Bars that closed since the last call; waits at most ``timeout`` seconds for the first one."""
        self._thread.call(self._on_time(), self._address.patience)
        with suppress(Empty):
            yield self._rows.get(timeout=timeout)
            while True:
                yield self._rows.get_nowait()

    def close(self) -> None:
        """Disconnect."""
        if self._line is not None:
            line, self._line = self._line, None
            self._thread.call(line.stop(), _SLACK_SECONDS)
            self._thread.close()

    async def _start(self) -> None:
        self._line = Lifeline(load_library(self._library), self._address, self._live, self._live.greet)
        await self._line.start()

    async def _on_time(self) -> None:
        self._live.on_time()
