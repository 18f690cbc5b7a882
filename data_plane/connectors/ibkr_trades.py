"""Bars built from every trade, with those that were seen in part only fetched instead."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

import structlog

from contracts.market import TickType
from data_plane.connectors.ibkr_bars import row_of
from data_plane.connectors.ibkr_history import HistoryPacer
from data_plane.connectors.ibkr_live import PATIENT_SECONDS, REFUSED
from data_plane.connectors.ibkr_tape import Tape, close_of
from data_plane.connectors.ibkr_terms import LiveTerms, duration
from data_plane.connectors.port import RawBar, RawTick
from data_plane.session_grid import SessionGrid
from ibkr_client.bar_sizes import size_name
from ibkr_client.connection import Connection, ConnectionLost
from ibkr_client.contracts import Contracts
from ibkr_client.error_policy import LINK_DOWN, Farm, ends_request
from ibkr_client.farms import Farms
from ibkr_client.messages import Listener, Notice, Trade

_LOG = structlog.get_logger()
_PATIENCE = timedelta(seconds=PATIENT_SECONDS)
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


class TradeBars(Listener):
    """Builds bars from trades; ``give`` takes them and every trade, ``told`` is the gateway's time as in `UpdatedBars`.

    A bar that had begun when its symbol was subscribed was not seen whole: once it has closed, it is fetched, with all
    that is missing before it, and what was built since follows. Trades come from the farms of market data, what is
    fetched from those of history: while only one of the latter is broken, bars are built and nothing is asked for.
    A symbol may have no trades for long: one that is silent is subscribed anew only if the past says that it had some.
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
        self._tapes = {symbol: Tape(symbol) for symbol in terms.symbols}
        self._by_number: dict[int, Tape] = {}
        self._left_over: list[int] = []
        self._subscribing = asyncio.Lock()
        self._live = Farms(terms.stale_seconds, Farm.MARKET)
        self._past = Farms(terms.stale_seconds, Farm.HISTORY)
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
        self._connection = connection
        for tape in self._tapes.values():
            tape.refused = False
        await self._subscribe(connection)

    @property
    def horizon(self) -> datetime:
        """The moment up to which every bar was given that will come."""
        due = self._told() - self._terms.grace
        return min(tape.through(due) for tape in self._tapes.values())

    def trade(self, trade: Trade) -> None:
        """Add a trade to its bar, and give the bars that it ends."""
        tape = self._by_number.get(trade.number)
        if tape is None:
            return
        tape.heard_at = max(tape.heard_at, trade.time)
        row = RawTick(tape.symbol, trade.time, trade.price, trade.size, TickType.TRADE, "ibkr", 0)
        self._closed(self._bars.add(row) or ())
        self._give(row)

    def notice(self, notice: Notice) -> None:
        """Trades stop with the gateway's link and its market data; a symbol without them keeps nobody waiting."""
        tape = self._by_number.get(notice.number)
        if tape is not None:
            _LOG.warning("trades", symbol=tape.symbol, code=notice.code, text=notice.text)
            if ends_request(notice.code):
                self._let_go(tape)
                tape.refuse(_now())
        elif notice.code in LINK_DOWN:
            self._connection = None  # until it is greeted again
            self._suspend()
        else:
            past, live = self._past.hear(notice, _now()), self._live.hear(notice, _now())
            if past or live:
                _LOG.warning("bars wait for a data farm, or it is back", code=notice.code, text=notice.text)
            if live:
                self._suspend()

    def lost(self) -> None:
        """Nothing comes until the next connection."""
        self._connection = None
        self._suspend()
        self._left_over.clear()
        self._live.forget()
        self._past.forget()

    def on_time(self) -> None:
        """Close bars whose end has passed, fetch those that were not seen whole, and subscribe who has no trades."""
        told = self._told()
        self._closed(self._bars.expire(told - self._terms.grace))
        for tape in self._by_number.values():
            tape.learn(told, self._grid)
        connection = self._connection
        if connection is None:
            return
        for tape in filter(self._is_due, self._tapes.values()):
            self._look_back(connection, tape, told)
        if not self._subscribing.locked() and self._unsubscribed():
            self._start(self._subscribe(connection))

    def _look_back(self, connection: Connection, tape: Tape, told: datetime) -> None:
        """Fetch what a symbol lacks, or look whether it lacks anything; not while a farm of history is broken."""
        due = told - self._terms.grace
        unpatched = tape.is_unpatched(due)
        if tape.patching or not (unpatched or tape.is_silent(told, self._terms.stale_seconds, self._grid)):
            return
        if not self._past.broken(_now()):
            tape.patching, tape.heard_at = True, max(tape.heard_at, told)
            self._start(self._patch(connection, tape, tape.number, due))
        elif unpatched and due - tape.whole_after > _PATIENCE and any(each.patched for each in self._tapes.values()):
            tape.refused = True  # the others have bars to give

    def _is_due(self, tape: Tape) -> bool:
        """Whether a symbol may be asked for something, and not only later because that was refused."""
        return not tape.refused or _now() - tape.refused_at > self._terms.again_seconds

    def _unsubscribed(self) -> list[Tape]:
        """The symbols to subscribe now: none while a farm of market data is broken."""
        if self._live.broken(_now()):
            return []
        since = _now() - self._terms.apart_seconds
        return [
            each for each in self._tapes.values() if not each.number and each.asked_at <= since and self._is_due(each)
        ]

    def _suspend(self) -> None:
        """No trade counts from now on; the gateway goes on with what was subscribed until that is cancelled."""
        for tape in [*self._by_number.values()]:
            self._let_go(tape)

    def _let_go(self, tape: Tape) -> None:
        """Whatever comes of its subscription does not count, but that may hold its line until it is cancelled."""
        del self._by_number[tape.number]
        self._left_over.append(tape.number)
        tape.end()

    def _closed(self, bars: Iterable[RawBar]) -> None:
        for bar in bars:
            tape = self._tapes[bar.symbol]
            if close_of(bar) <= tape.whole_after:
                continue
            if tape.patched:
                self._finished(tape, bar)
            else:
                tape.held.append(bar)

    def _finished(self, tape: Tape, bar: RawBar) -> None:
        close = close_of(bar)
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
            for tape in self._unsubscribed():
                if connection is self._connection:
                    await self._listen(connection, tape)

    async def _listen(self, connection: Connection, tape: Tape) -> None:
        try:
            contract = await self._contracts.qualified(connection, tape.symbol)
            number = await connection.subscribe_trades(contract.contract_id, contract.terms.exchange)
            tape.asked_at = _now()
        except REFUSED as error:
            tape.refuse(_now())
            _LOG.warning("trades were refused", symbol=tape.symbol, reason=str(error) or type(error).__name__)
            return
        if connection is not self._connection or self._live.broken(_now()):
            self._left_over.append(number)  # it left when nothing could be subscribed any more
            return
        tape.begin(number, self._told())
        self._by_number[number] = tape

    async def _patch(self, connection: Connection, tape: Tape, number: int, due: datetime) -> None:
        """Fetch what is missing, unless the trades end meanwhile; of trades that were seen whole nothing should be."""
        try:
            bars = await self._missing(connection, tape)
            if tape.number != number:
                return
            if not tape.patched:
                self._follow(tape, bars)
            elif tape.lacks(bars or (), due):
                _LOG.warning("trades have ended without a word", symbol=tape.symbol)
                self._let_go(tape)
        finally:
            tape.patching = False

    def _follow(self, tape: Tape, rows: Sequence[RawBar] | None) -> None:
        """Give what was missing, and then what was built since; None when it was refused."""
        if rows is None and self._past.broken(_now()):
            return
        if rows is None and (patches := tape.patches + 1) < _MOST_PATCHES:
            tape.patches = patches
            tape.refuse(_now())
            return
        tape.refused = False
        for row in rows or ():
            if close_of(row) <= tape.whole_after:
                self._finished(tape, row)
        while tape.held:  # nothing later counts as given before they are
            self._finished(tape, tape.held.pop(0))
        tape.patched = True

    async def _missing(self, connection: Connection, tape: Tape) -> Sequence[RawBar] | None:
        wait = self._pacer.due(self._terms.bar_size, tape.symbol)
        if wait > PATIENT_SECONDS and not tape.patched:
            tape.refuse(_now())
        await asyncio.sleep(wait)
        wanted = duration(tape.given, self._told())
        try:
            contract = await self._contracts.qualified(connection, tape.symbol)
            asked = connection.history(contract.contract_id, contract.terms.exchange, "", wanted, self._size)
            bars = await asyncio.wait_for(asked, PATIENT_SECONDS)  # others wait for it
        except REFUSED as error:
            _LOG.warning("missing bars were refused", symbol=tape.symbol, reason=str(error) or type(error).__name__)
            return None
        return [row_of(bar, tape.symbol, self._terms.bar_size) for bar in bars]


def _now() -> float:
    return asyncio.get_running_loop().time()
