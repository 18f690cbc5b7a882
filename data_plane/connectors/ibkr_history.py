"""Fetches past bars window by window, within the gateway's pacing rules, into the cache."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product
from math import inf
from typing import NamedTuple

import structlog

from data_plane.connectors.ibkr_bars import SMALL, Window, windows
from data_plane.connectors.ibkr_cache import BarCache
from data_plane.session_grid import step_of
from ibkr_client.bar_sizes import size_name
from ibkr_client.connection import Connection, ConnectionLost, RequestRefused
from ibkr_client.contracts import Contracts, Qualified
from ibkr_client.error_policy import HISTORY
from ibkr_client.gateway_errors import GatewayUnavailable
from ibkr_client.messages import HistoryBar
from kernel.clock import monotonic

_LOG = structlog.get_logger()
_ATTEMPTS = 5
_AT_ONCE = 4
"""Requests that are open at the same time, so that the gateway works while an answer is decoded and written."""
_BETWEEN_ROUNDS_SECONDS = 0.25
_MOST_SILENT = 5
"""How often in a row requests are not answered before a back-fill ends."""
_DAY = timedelta(days=1)


class Step(NamedTuple):
    """How far a back-fill is: windows ``done``, of how many, the ``symbol`` of the newest; ``done`` 0 while it waits.

    ``symbols`` of ``of_symbols`` are complete, ``bars`` were fetched, and pacing rules hold the next request back for
    another ``held_back`` seconds.
    """

    done: int
    of: int
    symbol: str
    symbols: int = 0
    of_symbols: int = 0
    bars: int = 0
    held_back: float = 0.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Bars of ``symbols`` from ``first`` to ``last``, UTC days, both included; ``today`` is not over yet."""

    symbols: tuple[str, ...]
    bar_size: str
    first: date
    last: date
    today: date


class HistoryPacer:
    """Keeps requests for bars of at most 30 seconds below 60 in ten minutes and six in two seconds.

    The same one is not sent again within ``same_apart`` seconds. All requests of a connection need the same pacer.
    """

    def __init__(self, most: int = 55, within: float = 600.0, apart: float = 0.5, same_apart: float = 15.5) -> None:
        self._most = most
        self._within = within
        self._apart = apart
        self._same_apart = same_apart
        self._sent: deque[float] = deque()
        self._same: dict[Hashable, float] = {}

    def due(self, bar_size: str, request: Hashable) -> float:
        """How many seconds from now ``request`` for bars of ``bar_size`` may be sent; the turn is taken with that.

        Who asks again before his turn has come is told the same one: of the requests that wait for it only one is sent.
        """
        step = step_of(bar_size)
        if step is None or step > SMALL:  # larger bars have no such rule
            return 0.0
        sent, now = self._sent, asyncio.get_running_loop().time()
        before = self._same.get(request, -inf)
        if before > now:
            return before - now
        while sent and now - sent[0] >= self._within:
            sent.popleft()
        due = now
        if len(sent) >= self._most:
            due = sent[-self._most] + self._within
        if sent:
            due = max(due, sent[-1] + self._apart)
        due = max(due, before + self._same_apart)
        self._same[request] = due
        sent.append(due)
        return due - now

    def left(self, request: Hashable) -> None:
        """Say that ``request`` leaves only now, after its turn has come: the same one waits from here on."""
        if request in self._same:
            self._same[request] = asyncio.get_running_loop().time()


class _Away(RequestRefused):
    """A refusal of the kind that passes, time after time."""


class HistoryLoader:
    """Fills the cache; what is there already is not asked for again, so that a broken run goes on where it was.

    ``pause`` is how long the gateway is left alone after it complained of pacing, or has lost the
    service of past bars, in seconds.
    """

    def __init__(self, contracts: Contracts, cache: BarCache, pacer: HistoryPacer, pause: float = 15.0) -> None:
        self._contracts = contracts
        self._cache = cache
        self._pacer = pacer
        self._pause = pause
        self._held_until = 0.0

    @property
    def held_back(self) -> float:
        """Seconds for which pacing rules still hold the next request back."""
        return max(0.0, self._held_until - monotonic())

    async def until_complete(
        self, ready: Callable[[], Awaitable[Connection]], wanted: Wanted, progress: Callable[[Step], None]
    ) -> None:
        """`load` over each connection that is ``ready``, until all is there.

        Raises:
            RequestRefused: what the gateway refuses for good.
            GatewayUnavailable: when it is there and answers for no further window, five times in a row.
        """
        silent = most = 0

        def told(step: Step) -> None:
            nonlocal silent, most
            if step.done > most:
                silent, most = 0, step.done
            progress(step)

        while True:
            connection = await ready()
            try:
                await self.load(connection, wanted, told)
            except (TimeoutError, _Away) as error:
                silent, reason = silent + 1, str(error) or "no answer"
                _LOG.warning("there is no answer to past bars", reason=reason, times=silent, windows=most)
            except ConnectionLost:
                _LOG.info("the connection was lost while past bars were asked for")
            else:
                return
            if silent == _MOST_SILENT:
                raise GatewayUnavailable(
                    "the gateway is connected and does not answer for past bars: look there whether its data farms "
                    "are, and start again; what was fetched stays"
                )
            await asyncio.sleep(_BETWEEN_ROUNDS_SECONDS)

    async def load(self, connection: Connection, wanted: Wanted, progress: Callable[[Step], None]) -> None:
        """Fetch every window that is missing; of the one that is not over yet what lies before today.

        Raises:
            RequestRefused: what the gateway refuses for good, code 200 for a symbol that it does not know.
            ConnectionLost, TimeoutError: call again on another connection; what was fetched stays.
        """
        spans = list(windows(wanted.bar_size, wanted.first, min(wanted.last, wanted.today - _DAY)))
        of = len(spans) * len(wanted.symbols)
        begun: deque[tuple[str, Window, asyncio.Task[int | None]]] = deque()
        done = bars = 0

        async def finish() -> None:
            nonlocal done, bars
            symbol, window, fetching = begun[0]
            fetched = await fetching
            begun.popleft()
            if fetched is None:  # only now the windows before it are there
                self._doubt(symbol, window.until(wanted.today))
            bars += fetched or 0
            done += 1
            progress(Step(done, of, symbol, done // len(spans), len(wanted.symbols), bars, self.held_back))

        try:
            for symbol, window in product(wanted.symbols, spans):
                if len(begun) == _AT_ONCE:
                    await finish()
                fetching = self._fetched(connection, symbol, window, wanted)
                begun.append((symbol, window, asyncio.ensure_future(fetching)))
            while begun:
                await finish()
        finally:
            for *_, task in begun:
                task.cancel()
            await asyncio.gather(*(task for *_, task in begun), return_exceptions=True)

    def _doubt(self, symbol: str, window: Window) -> None:
        """Days of trading behind others and without a bar are more likely a service that was away: ask another time."""
        if window.has_weekdays and self._cache.has_bars_before(symbol, window):
            _LOG.warning(
                "no bars in a window behind others; it is asked for again", symbol=symbol, at=str(window.first)
            )
            self._cache.path(symbol, window).unlink(missing_ok=True)

    async def _fetched(self, connection: Connection, symbol: str, window: Window, wanted: Wanted) -> int | None:
        """Have a window in the cache; how many bars had to be fetched for that, None when the gateway has none."""
        closed = window.until(wanted.today)
        if self._cache.has(symbol, closed):
            return 0
        contract = await self._contracts.qualified(connection, symbol)
        bars = await self._window(connection, contract, closed, wanted.bar_size)
        # What it costs is mostly spent outside of the interpreter, so that the next answer is decoded meanwhile.
        return await asyncio.to_thread(self._cache.write, symbol, closed, bars) or None

    async def _hold(self, seconds: float) -> None:
        """Wait for pacing rules."""
        if seconds > 0:
            self._held_until = max(self._held_until, monotonic() + seconds)
            await asyncio.sleep(seconds)

    async def _window(
        self, connection: Connection, contract: Qualified, window: Window, bar_size: str
    ) -> Sequence[HistoryBar]:
        for attempt in range(1, _ATTEMPTS + 1):
            await self._hold(self._pacer.due(bar_size, (contract.contract_id, window)))
            try:
                return await connection.history(
                    contract.contract_id,
                    contract.terms.exchange,
                    window.end,
                    window.duration,
                    size_name(step_of(bar_size)),
                )
            except RequestRefused as refusal:
                if _is_empty(refusal):
                    return []
                if not _passes(refusal):
                    raise
                if attempt == _ATTEMPTS:
                    raise _Away(refusal.code, refusal.text) from None
                await self._hold(self._pause * attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")


def _is_empty(refusal: RequestRefused) -> bool:
    return refusal.code == HISTORY and "no data" in refusal.text.lower()


def _passes(refusal: RequestRefused) -> bool:
    """Whether time mends it: pacing rules, or a data farm that the gateway is about to connect to."""
    text = refusal.text.lower()
    return refusal.code == HISTORY and ("pacing" in text or "connection attempt failed" in text)
