"""Bars built from every trade, with those that were seen in part only fetched instead."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf
from operator import attrgetter
from typing import NamedTuple, Protocol

import structlog

from contracts.market import TickType
from data_plane.connectors.ibkr_bars import row_of
from data_plane.connectors.ibkr_history import HistoryPacer
from data_plane.connectors.ibkr_live import PATIENT_SECONDS, REFUSED, LiveTerms
from data_plane.connectors.port import RawBar, RawTick
from data_plane.session_grid import SessionGrid
from ibkr_client.bar_sizes import size_name
from ibkr_client.connection import Connection, ConnectionLost
from ibkr_client.contracts import Contracts
from ibkr_client.error_policy import DATA_BACK, DATA_BROKEN, LINK_DOWN, ends_request
from ibkr_client.messages import HistoryBar, Listener, Notice, Trade

_LOG = structlog.get_logger()
_DAY = timedelta(days=1)
_MARGIN = timedelta(seconds=1)
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)
_MOST_PATCHES = 5  # so often missing bars are asked for before they are given up


class BarBuilder(Protocol):
    """Makes bars of trades in event time."""

    def add(self, tick: RawTick) -> Sequence[RawBar] | None:
        """Take a trade and return the bars that it ends; None when its own is closed already, or none is open then."""
        ...

    def expire(self, now: datetime) -> Sequence[RawBar]:
        """Close every bar that ended by ``now``."""
        ...


class Building(NamedTuple):
    """How bars are built from trades: when they close, and what builds them."""

    grid: SessionGrid
    bars: BarBuilder


@dataclass(slots=True)
class _Tape:
    """One symbol: bars that close after ``whole_after`` are seen whole; ``patched`` when those before were fetched.

    ``since`` is the newest time that the gateway had told when it was subscribed.
    """

    symbol: str
    number: int = 0
    given: datetime = _BEFORE_ALL
    since: datetime = _NEVER
    whole_after: datetime = _NEVER
    patched: bool = False
    patching: bool = False
    patches: int = 0
    refused: bool = False
    refused_at: float = 0.0
    asked_at: float = -inf
    held: list[RawBar] = field(default_factory=list)


class TradeBars(Listener):
    """Builds bars from trades; ``give`` takes them and every trade, ``told`` is the gateway's time as in `UpdatedBars`.

    A bar that had begun when its symbol was subscribed was not seen whole: once it has closed, it is fetched, with all
    that is missing before it, and what was built since follows.
    """

    def __init__(
        self,
        terms: LiveTerms,
        building: Building,
        contracts: Contracts,
        give: Callable[[RawBar | RawTick], None],
        told: Callable[[], datetime],
        pacer: HistoryPacer,
    ) -> None:
        self._terms = terms
        self._pacer = pacer
        self._grid, self._bars = building
        self._size = size_name(terms.step)
        self._contracts = contracts
        self._give = give
        self._told = told
        self._tapes = {symbol: _Tape(symbol) for symbol in terms.symbols}
        self._by_number: dict[int, _Tape] = {}
        self._left_over: list[int] = []
        self._subscribing = asyncio.Lock()
        self._not_before = 0.0
        self._connection: Connection | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def begin_after(self, newest: Mapping[str, datetime]) -> None:
        """Give nothing up to the close that is known already of each symbol."""
        for symbol, close in newest.items():
            if symbol in self._tapes:
                self._tapes[symbol].given = close

    async def greet(self, connection: Connection) -> None:
        """Subscribe everything on a new connection, and again when the gateway's own link came back."""
        self._suspend()
        self._connection, self._not_before = connection, 0.0
        for tape in self._tapes.values():
            tape.refused = False
        await self._subscribe(connection)

    @property
    def horizon(self) -> datetime:
        """The moment up to which every bar was given that will come."""
        due = self._told() - self._terms.grace
        return min(
            max(tape.given, due) if tape.patched or tape.refused else tape.given for tape in self._tapes.values()
        )

    def trade(self, trade: Trade) -> None:
        """Add a trade to its bar, and give the bars that it ends."""
        tape = self._by_number.get(trade.number)
        if tape is None:
            return
        row = RawTick(tape.symbol, trade.time, trade.price, trade.size, TickType.TRADE, "ibkr", 0)
        self._closed(self._bars.add(row) or ())
        self._give(row)

    def notice(self, notice: Notice) -> None:
        """Trades stop with the gateway's link and with its data farms; a symbol without them keeps nobody waiting."""
        tape = self._by_number.get(notice.number)
        if tape is not None:
            _LOG.warning("trades", symbol=tape.symbol, code=notice.code, text=notice.text)
            if ends_request(notice.code):  # nothing comes of it any more, but it may hold its line
                del self._by_number[notice.number]
                self._left_over.append(notice.number)
                self._drop(tape)
                self._refuse(tape)
        elif notice.code in LINK_DOWN:
            self._connection = None  # until it is greeted again
            self._suspend()
        elif notice.code in DATA_BROKEN:
            self._not_before = asyncio.get_running_loop().time() + self._terms.stale_seconds
            self._suspend()
        elif notice.code in DATA_BACK:
            self._not_before = 0.0

    def lost(self) -> None:
        """Nothing comes until the next connection."""
        self._connection = None
        self._suspend()
        self._left_over.clear()

    def on_time(self) -> None:
        """Close bars whose end has passed, fetch those that were not seen whole, and subscribe who has no trades."""
        told = self._told()
        self._closed(self._bars.expire(told - self._terms.grace))
        for tape in self._by_number.values():
            if tape.whole_after == _NEVER and told > tape.since:  # it was subscribed before that
                interval = self._grid.interval(told + _MARGIN)
                tape.whole_after = told if interval is None else interval.end
        connection = self._connection
        if connection is None:
            return
        for tape in filter(self._is_due, self._tapes.values()):
            unpatched = tape.number and not (tape.patched or tape.patching)
            if unpatched and tape.whole_after <= told - self._terms.grace:
                tape.patching = True
                self._start(self._patch(connection, tape, tape.number))
        if not self._subscribing.locked() and self._silent():
            self._start(self._subscribe(connection))

    def _is_due(self, tape: _Tape) -> bool:
        """Whether a symbol may be asked for something, and not only later because that was refused."""
        return not tape.refused or asyncio.get_running_loop().time() - tape.refused_at > self._terms.again_seconds

    def _silent(self) -> list[_Tape]:
        """The symbols to subscribe now: none while a data farm is broken."""
        now = asyncio.get_running_loop().time()
        if now < self._not_before:
            return []
        since = now - self._terms.apart_seconds
        return [
            each for each in self._tapes.values() if not each.number and each.asked_at <= since and self._is_due(each)
        ]

    def _suspend(self) -> None:
        """No trade counts from now on; the gateway goes on with what was subscribed until that is cancelled."""
        self._left_over += self._by_number
        self._by_number.clear()
        for tape in self._tapes.values():
            self._drop(tape)

    @staticmethod
    def _drop(tape: _Tape) -> None:
        tape.number, tape.patched, tape.patches, tape.whole_after = 0, False, 0, _NEVER
        tape.held.clear()

    def _refuse(self, tape: _Tape) -> None:
        """What a symbol lacks keeps nobody waiting, and is asked for again later."""
        tape.refused, tape.refused_at = True, asyncio.get_running_loop().time()

    def _closed(self, bars: Iterable[RawBar]) -> None:
        for bar in bars:
            tape = self._tapes[bar.symbol]
            if _close_of(bar) <= tape.whole_after:
                continue
            if tape.patched:
                self._finished(tape, bar)
            else:
                tape.held.append(bar)

    def _finished(self, tape: _Tape, bar: RawBar) -> None:
        close = _close_of(bar)
        if close > tape.given:
            tape.given = close
            self._give(bar)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        async def quietly() -> None:
            try:
                await work
            except ConnectionLost:
                _LOG.info("the connection was lost while trades or bars were asked for")

        task = asyncio.get_running_loop().create_task(quietly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _subscribe(self, connection: Connection) -> None:
        """Ask for the trades of every symbol that has none, after the lines of old subscriptions were given back."""
        async with self._subscribing:
            while self._left_over and connection is self._connection:
                await connection.cancel_trades(self._left_over.pop())
            for tape in self._silent():
                if connection is self._connection:
                    await self._listen(connection, tape)

    async def _listen(self, connection: Connection, tape: _Tape) -> None:
        try:
            contract = await self._contracts.qualified(connection, tape.symbol)
            number = await connection.subscribe_trades(contract.contract_id, contract.terms.exchange)
            tape.asked_at = asyncio.get_running_loop().time()
        except REFUSED as error:
            self._refuse(tape)
            _LOG.warning("trades were refused", symbol=tape.symbol, reason=str(error) or type(error).__name__)
            return
        if connection is not self._connection or asyncio.get_running_loop().time() < self._not_before:
            self._left_over.append(number)  # it left when nothing could be subscribed any more
            return
        tape.refused = False
        tape.number, tape.since, tape.whole_after = number, self._told(), _NEVER
        self._by_number[number] = tape

    async def _patch(self, connection: Connection, tape: _Tape, number: int) -> None:
        """Fetch what is missing up to where bars are seen whole, unless the trades of ``number`` end meanwhile."""
        try:
            bars = await self._missing(connection, tape)
            if tape.number == number:
                self._follow(tape, bars)
        finally:
            tape.patching = False

    def _follow(self, tape: _Tape, bars: Sequence[HistoryBar] | None) -> None:
        """Give what was missing, and then what was built since; None when it was refused."""
        if bars is None and (patches := tape.patches + 1) < _MOST_PATCHES:
            tape.patches = patches
            self._refuse(tape)
            return
        tape.refused = False
        for bar in bars or ():
            row = row_of(bar, tape.symbol, self._terms.bar_size)
            if _close_of(row) <= tape.whole_after:
                self._finished(tape, row)
        tape.patched, held, tape.held = True, tape.held, []
        for row in held:
            self._finished(tape, row)

    async def _missing(self, connection: Connection, tape: _Tape) -> Sequence[HistoryBar] | None:
        wait = self._pacer.due(self._terms.bar_size, tape.symbol)
        if wait > PATIENT_SECONDS:
            self._refuse(tape)
        await asyncio.sleep(wait)
        days = 1 if tape.given == _BEFORE_ALL else max(1, -(-(self._told() - tape.given) // _DAY)) + 1
        try:
            contract = await self._contracts.qualified(connection, tape.symbol)
            asked = connection.history(contract.contract_id, contract.terms.exchange, "", f"{days} D", self._size)
            return await asyncio.wait_for(asked, PATIENT_SECONDS)  # others wait for it
        except REFUSED as error:
            _LOG.warning("missing bars were refused", symbol=tape.symbol, reason=str(error) or type(error).__name__)
            return None


_close_of: Callable[[RawBar], datetime] = attrgetter("timestamp")
