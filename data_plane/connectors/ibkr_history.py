"""Fetches past bars window by window, within the gateway's pacing rules, into the cache."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from data_plane.connectors.ibkr_bars import SMALL, Window, windows, within
from data_plane.connectors.ibkr_cache import BarCache
from data_plane.session_grid import step_of
from ibkr_client.bar_sizes import size_name
from ibkr_client.connection import Connection, RequestRefused
from ibkr_client.contracts import Contracts, Qualified
from ibkr_client.messages import HistoryBar

Progress = Callable[[int, int, str], None]
"""Told how many windows are done, of how many, and the symbol of the last one."""
_HISTORY_SERVICE = 162
_ATTEMPTS = 5
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Bars of ``symbols`` from ``first`` to ``last``, UTC days, both included; ``today`` is not over yet."""

    symbols: tuple[str, ...]
    bar_size: str
    first: date
    last: date
    today: date


class HistoryPacer:
    """Keeps requests for bars of at most 30 seconds below 60 in ten minutes and six in two seconds."""

    def __init__(self, most: int = 55, within: float = 600.0, apart: float = 0.5) -> None:
        self._most = most
        self._within = within
        self._apart = apart
        self._sent: deque[float] = deque()

    async def turn(self, bar_size: str) -> None:
        """Wait until bars of ``bar_size`` may be asked for; larger bars have no such rule."""
        step = step_of(bar_size)
        if step is None or step > SMALL:
            return
        now = asyncio.get_running_loop().time()
        while self._sent and now - self._sent[0] >= self._within:
            self._sent.popleft()
        due = now
        if len(self._sent) >= self._most:
            due = self._sent[0] + self._within
        if self._sent:
            due = max(due, self._sent[-1] + self._apart)
        await asyncio.sleep(max(due - now, 0.0))
        self._sent.append(max(due, now))


class HistoryLoader:
    """Fills the cache; what is there already is not asked for again, so that a broken run goes on where it was.

    ``pause`` is how long the gateway is left alone after it complained of pacing, in seconds.
    """

    def __init__(self, contracts: Contracts, cache: BarCache, pacer: HistoryPacer, pause: float = 15.0) -> None:
        self._contracts = contracts
        self._cache = cache
        self._pacer = pacer
        self._pause = pause

    async def load(self, connection: Connection, wanted: Wanted, progress: Progress) -> None:
        """Fetch every window that is missing; the one that is not over yet is fetched anew, up to yesterday.

        Raises:
            RequestRefused: what the gateway refuses for good, code 200 for a symbol that it does not know.
            ConnectionLost, TimeoutError: call again on another connection; what was fetched stays.
        """
        todo = [
            (symbol, window)
            for symbol in wanted.symbols
            for window in windows(wanted.bar_size, wanted.first, min(wanted.last, wanted.today - _DAY))
        ]
        for done, (symbol, window) in enumerate(todo, start=1):
            if window.beyond > wanted.today or not self._cache.has(symbol, window):
                contract = await self._contracts.qualified(connection, symbol)
                closed = window._replace(beyond=min(window.beyond, wanted.today))
                bars = await self._window(connection, contract, closed, wanted.bar_size)
                self._cache.write(symbol, window, bars)
            progress(done, len(todo), symbol)

    async def _window(
        self, connection: Connection, contract: Qualified, window: Window, bar_size: str
    ) -> Sequence[HistoryBar]:
        for attempt in range(1, _ATTEMPTS + 1):
            await self._pacer.turn(bar_size)
            try:
                bars = await connection.history(
                    contract.contract_id,
                    contract.terms.exchange,
                    window.end,
                    window.duration,
                    size_name(step_of(bar_size)),
                )
            except RequestRefused as refusal:
                if _is_empty(refusal):
                    return []
                if not _is_pacing(refusal) or attempt == _ATTEMPTS:
                    raise
                await asyncio.sleep(self._pause * attempt)
            else:
                return within(bars, window, bar_size)
        raise AssertionError("unreachable: the last attempt returns or raises")


def _is_empty(refusal: RequestRefused) -> bool:
    return refusal.code == _HISTORY_SERVICE and "no data" in refusal.text.lower()


def _is_pacing(refusal: RequestRefused) -> bool:
    return refusal.code == _HISTORY_SERVICE and "pacing" in refusal.text.lower()
