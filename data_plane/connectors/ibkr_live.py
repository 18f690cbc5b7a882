"""Bars as they close, kept up to date by the gateway and whole after every kind of reconnect."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import filterfalse
from math import inf

import structlog

from data_plane.connectors.ibkr_bars import row_of
from data_plane.connectors.ibkr_history import HistoryPacer
from data_plane.connectors.ibkr_terms import BEFORE_ALL, LiveTerms, duration
from data_plane.connectors.port import RawBar
from ibkr_client.bar_sizes import size_name
from ibkr_client.connection import Connection, ConnectionLost, RequestRefused
from ibkr_client.contracts import AmbiguousContract, Contracts, Qualified
from ibkr_client.error_policy import BARS_ENDED, LINK_DOWN, Farm, ends_request
from ibkr_client.farms import Farms
from ibkr_client.messages import HistoryBar, Listener, Notice

_LOG = structlog.get_logger()
_AT_ONCE = 10
"""Requests for history that are open at the same time; the gateway takes fifty."""
_GREETING_SECONDS = 30.0
"""How long a new connection waits for its bars before other things go on."""
PATIENT_SECONDS = 20.0
"""A symbol that pacing rules hold back for longer, or of which there is no answer, keeps nobody waiting."""
REFUSED = (RequestRefused, TimeoutError, AmbiguousContract)
"""What keeps one symbol from being subscribed, and no other."""


@dataclass(slots=True)
class _Series:
    """One symbol: its subscription, the bar that is still open, and the close of the newest one that was given.

    ``asked`` counts how often it was asked for; ``heard_at`` is beyond all times while ``asking`` is under way.
    """

    symbol: str
    number: int = 0
    asked: int = 0
    asking: asyncio.Task[None] | None = None
    open: HistoryBar | None = None
    given: datetime = BEFORE_ALL
    heard_at: float = 0.0
    refused: bool = False


class UpdatedBars(Listener):
    """Subscribes each symbol and gives every bar once, when the next one begins, or a while after its end.

    After a reconnect, a loss of the gateway's link, or a long silence, each series is asked for again, with as much of
    the past as is missing. ``give`` takes finished rows; ``told`` is the last time that the gateway told, so that
    everything it said until then was heard: no bar counts as closed because a cut has not been noticed yet.
    """

    def __init__(
        self,
        terms: LiveTerms,
        contracts: Contracts,
        give: Callable[[RawBar], None],
        told: Callable[[], datetime],
        pacer: HistoryPacer,
    ) -> None:
        self._terms = terms
        self._pacer = pacer
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._size = size_name(terms.step)
        self._contracts = contracts
        self._give = give
        self._told = told
        self._series = {symbol: _Series(symbol) for symbol in terms.symbols}
        self._by_number: dict[int, _Series] = {}
        self._connection: Connection | None = None
        self._farms = Farms(terms.stale_seconds, Farm.MARKET, Farm.HISTORY)
        self._left_over: list[int] = []
        self._asking = 0
        self._early: dict[int, list[HistoryBar]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin_after(self, newest: Mapping[str, datetime]) -> None:
        """Give nothing up to the close that is known already of each symbol."""
        for symbol, close in newest.items():
            if symbol in self._series:
                self._series[symbol].given = close

    async def greet(self, connection: Connection) -> None:
        """Subscribe everything; a symbol that is refused is tried again later and keeps nobody waiting."""
        self._connection = connection
        asked = self._again(self._series.values())
        if asked:
            done, _ = await asyncio.wait(asked, timeout=_GREETING_SECONDS)
            for each in filterfalse(asyncio.Task.cancelled, done):  # by a cut: it was asked for anew, or will be
                each.result()

    @property
    def horizon(self) -> datetime:
        """The moment up to which every bar was given that will come; one being subscribed still has bars to give."""
        if self._connection is None:
            return min(series.given for series in self._series.values())
        due = self._told() - self._terms.grace
        all_of = self._series.values()
        return min(max(each.given, due) if each.number or each.refused else each.given for each in all_of)

    def bar_update(self, number: int, bar: HistoryBar) -> None:
        """The open bar changed, or the next one began."""
        series = self._by_number.get(number)
        if series is None:
            if self._asking:  # it may have come with the answer that its subscription still waits for
                self._early.setdefault(number, []).append(bar)
            elif number not in self._left_over:  # of an answer that came too late
                self._left_over.append(number)
            return
        series.heard_at = asyncio.get_running_loop().time()
        self._take(series, bar)

    def notice(self, notice: Notice) -> None:
        """Ask again for what the gateway says has ended, and for all when the last broken data farm is back."""
        series = self._by_number.get(notice.number)
        if series is not None and notice.code in BARS_ENDED:
            self._again([series])
        elif series is not None and ends_request(notice.code):
            self._end(series, notice)
        elif notice.code in LINK_DOWN:
            self._connection = None  # until it is greeted again
            self._suspend()
        elif self._farms.hear(notice, asyncio.get_running_loop().time()):
            _LOG.warning("bars wait for a data farm, or it is back", code=notice.code, text=notice.text)
            self._suspend()
            self._again(self._series.values())

    def lost(self) -> None:
        """Nothing comes until the next connection."""
        self._connection = None
        self._suspend()
        self._left_over = []
        self._farms.forget()

    def _end(self, series: _Series, notice: Notice) -> None:
        """Nothing comes of a subscription any more: it keeps nobody waiting, and is asked for again later."""
        self._by_number.pop(series.number)
        series.number, series.refused, series.heard_at = 0, True, asyncio.get_running_loop().time()
        _LOG.warning("bars have ended", symbol=series.symbol, code=notice.code, text=notice.text)

    def _suspend(self) -> None:
        """What comes from now on may have holes: no bar is taken for closed until its series was asked for again."""
        self._left_over += self._by_number
        self._by_number.clear()
        for series in self._series.values():
            series.number = 0
            self._give_up(series)

    @staticmethod
    def _give_up(series: _Series) -> None:
        """Whatever is being asked for, no answer to it counts, and it makes room for others."""
        series.asked += 1
        if series.asking is not None and not series.asking.done():
            series.asking.cancel()
            series.heard_at = asyncio.get_running_loop().time()

    def on_time(self) -> None:
        """Give bars whose end has passed, ask again for series that fell silent, and cancel what nobody wants."""
        due = self._told() - self._terms.grace
        for series in self._series.values():
            bar = series.open
            if bar is not None and series.number and self._close(bar) <= due:
                self._finish(series)
        now, terms = asyncio.get_running_loop().time(), self._terms
        limits = {True: terms.again_seconds, False: terms.stale_seconds}
        self._again(each for each in self._series.values() if now - each.heard_at > limits[each.refused])
        if self._left_over and self._connection is not None:
            self._start(self._tidy_up(self._connection))

    async def _subscribe(self, connection: Connection, series: _Series) -> None:
        asked = series.asked
        contract = await self._contracts.qualified(connection, series.symbol)
        if series.number:
            self._by_number.pop(series.number)
            self._left_over.append(series.number)
            series.number = 0
        await self._cancel_left_over(connection)  # first: the gateway keeps no more than it takes at once
        self._pacer.left(series.symbol)
        number, bars = await self._kept(connection, contract, series)
        if asked == series.asked:
            for bar in bars:
                self._take(series, bar)
            series.number, series.refused = number, False
            self._by_number[number] = series
        elif connection is self._connection:  # it may have holes, or another one is on its way
            self._left_over.append(number)

    async def _cancel_left_over(self, connection: Connection) -> None:
        left_over = self._left_over  # of this connection: numbers begin anew with each
        while left_over and connection is self._connection:
            number = left_over.pop()
            try:
                await connection.cancel_bars(number)
            except asyncio.CancelledError:  # whoever asks next has to
                left_over.append(number)
                raise

    async def _tidy_up(self, connection: Connection) -> None:
        with suppress(ConnectionLost):
            await self._cancel_left_over(connection)

    async def _kept(self, connection: Connection, contract: Qualified, series: _Series) -> tuple[int, list[HistoryBar]]:
        """A subscription's number and its bars, with the updates that came before it was known to be one."""
        self._asking += 1
        late = asyncio.get_running_loop().call_later(PATIENT_SECONDS, setattr, series, "refused", True)
        try:
            number, bars = await connection.keep_bars(
                contract.contract_id, contract.terms.exchange, duration(series.given, self._told()), self._size
            )
            return number, [*bars, *self._early.pop(number, ())]
        finally:
            late.cancel()
            self._asking -= 1
            if not self._asking:
                self._early.clear()

    def _take(self, series: _Series, bar: HistoryBar) -> None:
        close = self._close(bar)
        if close <= series.given:
            return
        if series.open is not None and self._close(series.open) < close:
            self._finish(series)
        series.open = bar

    def _finish(self, series: _Series) -> None:
        bar, series.open = series.open, None
        if bar is not None:
            series.given = self._close(bar)
            self._give(row_of(bar, series.symbol, self._terms.bar_size))

    def _again(self, which: Iterable[_Series]) -> list[asyncio.Task[None]]:
        """Ask for series anew; not while a farm is broken, since the answer would have holes, or never come."""
        connection = self._connection
        if connection is None or self._farms.broken(asyncio.get_running_loop().time()):
            return []
        return [self._ask(connection, series) for series in which]

    def _ask(self, connection: Connection, series: _Series) -> asyncio.Task[None]:
        """Ask for a series anew, whoever asks for it already."""
        self._give_up(series)
        series.heard_at = inf
        wait = self._pacer.due(self._terms.bar_size, series.symbol)
        if wait > PATIENT_SECONDS:
            series.refused = True
            _LOG.warning("pacing rules keep bars waiting", symbol=series.symbol, seconds=round(wait))
        series.asking = self._start(self._resubscribe(connection, series, series.asked, wait))
        return series.asking

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _resubscribe(self, connection: Connection, series: _Series, asked: int, wait: float) -> None:
        try:
            await asyncio.sleep(wait)
            async with self._room:
                if asked == series.asked:
                    await self._subscribe(connection, series)
        except REFUSED as error:
            series.refused = True
            _LOG.warning("bars were refused", symbol=series.symbol, reason=str(error) or type(error).__name__)
        except ConnectionLost:
            _LOG.info("the connection was lost while bars were asked for", symbol=series.symbol)
        finally:
            if asked == series.asked:
                series.heard_at = asyncio.get_running_loop().time()

    def _close(self, bar: HistoryBar) -> datetime:
        return datetime.fromtimestamp(int(bar.start), UTC) + self._terms.step
