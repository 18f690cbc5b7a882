"""Bars as they close, kept up to date by the gateway and whole after every kind of reconnect."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog

from data_plane.connectors.ibkr_bars import row_of, size_name
from data_plane.connectors.port import RawBar
from data_plane.session_grid import step_of
from ibkr_client.connection import Connection, ConnectionLost, RequestRefused
from ibkr_client.contracts import Contracts
from ibkr_client.error_policy import BARS_ENDED, DATA_BACK, DATA_BROKEN
from ibkr_client.messages import Deaf, Hello, HistoryBar, Notice

_LOG = structlog.get_logger()
_DAY = timedelta(days=1)


@dataclass(slots=True)
class _Series:
    """One symbol: its subscription, the bar that is still open, and the newest one that was given."""

    symbol: str
    number: int = 0
    open: HistoryBar | None = None
    given: datetime | date | None = None
    heard_at: float = 0.0


class LiveBars(Deaf):
    """Subscribes each symbol and gives every bar once, when the next one begins, or ``grace`` after its end.

    After a reconnect, a loss of the gateway's link, or ten minutes without a word, each series is asked for again, with
    as much of the past as is missing. ``give`` takes finished rows; ``clock`` is the market's.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        bar_size: str,
        contracts: Contracts,
        give: Callable[[RawBar], None],
        clock: Callable[[], datetime],
        grace: timedelta = timedelta(seconds=10),
        stale_seconds: float = 600.0,
    ) -> None:
        step = step_of(bar_size)
        if step is None:
            raise ValueError("daily bars are history: use an intraday bar_size for live bars")
        self._step = step
        self._bar_size = bar_size
        self._contracts = contracts
        self._give = give
        self._clock = clock
        self._grace = grace
        self._stale_seconds = stale_seconds
        self._series = {symbol: _Series(symbol) for symbol in symbols}
        self._by_number: dict[int, _Series] = {}
        self._connection: Connection | None = None
        self._broken = False
        self._tasks: set[asyncio.Task[None]] = set()

    def begin_after(self, newest: Mapping[str, datetime]) -> None:
        """Give nothing up to the close that is known already of each symbol."""
        for symbol, close in newest.items():
            if symbol in self._series:
                self._series[symbol].given = close

    async def greet(self, connection: Connection, _: Hello) -> None:
        """Subscribe everything on a new connection, and again when the gateway's own link came back."""
        self._connection = connection
        for series in self._series.values():
            await self._subscribe(connection, series)

    def bar_update(self, number: int, bar: HistoryBar) -> None:
        """The open bar changed, or the next one began."""
        series = self._by_number.get(number)
        if series is None:
            return
        series.heard_at = asyncio.get_running_loop().time()
        self._take(series, bar)

    def notice(self, notice: Notice) -> None:
        """Ask again for what the gateway says has ended, and for all when its data farms are back."""
        if notice.code in BARS_ENDED and notice.number in self._by_number:
            self._again([self._by_number[notice.number]])
        elif notice.code in DATA_BROKEN:
            self._broken = True
        elif notice.code in DATA_BACK and self._broken:
            self._broken = False
            self._again(self._series.values())

    def lost(self) -> None:
        """Nothing comes until the next connection."""
        self._connection = None
        self._by_number.clear()

    def on_time(self) -> Sequence[str]:
        """Give bars whose end has passed, ask again for series that fell silent, and name those."""
        due = self._clock() - self._grace
        for series in self._series.values():
            bar = series.open
            if bar is not None and self._close(bar) <= due:
                self._finish(series)
        now = asyncio.get_running_loop().time()
        stale = [each for each in self._series.values() if each.number and now - each.heard_at > self._stale_seconds]
        self._again(stale)
        return [series.symbol for series in stale]

    async def _subscribe(self, connection: Connection, series: _Series) -> None:
        contract = await self._contracts.qualified(connection, series.symbol)
        self._by_number.pop(series.number, None)
        old, series.number = series.number, 0
        number, bars = await connection.keep_bars(
            contract.contract_id, contract.terms.exchange, self._duration(series), size_name(self._bar_size)
        )
        if old and connection is self._connection:
            await connection.cancel_bars(old)
        series.number, series.heard_at = number, asyncio.get_running_loop().time()
        self._by_number[number] = series
        for bar in bars:
            self._take(series, bar)

    def _take(self, series: _Series, bar: HistoryBar) -> None:
        close = self._close(bar)
        if isinstance(series.given, datetime) and close <= series.given:
            return
        if series.open is not None and self._close(series.open) < close:
            self._finish(series)
        series.open = bar

    def _finish(self, series: _Series) -> None:
        bar, series.open = series.open, None
        if bar is not None:
            row = row_of(bar, series.symbol, self._bar_size)
            series.given = row.timestamp
            self._give(row)

    def _again(self, which: Iterable[_Series]) -> None:
        connection = self._connection
        if connection is None:
            return
        for series in which:
            task = asyncio.get_running_loop().create_task(self._resubscribe(connection, series))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _resubscribe(self, connection: Connection, series: _Series) -> None:
        series.heard_at = asyncio.get_running_loop().time()
        try:
            await self._subscribe(connection, series)
        except (ConnectionLost, RequestRefused, TimeoutError) as error:
            _LOG.warning("bars could not be asked for again", symbol=series.symbol, reason=str(error))

    def _duration(self, series: _Series) -> str:
        """As much of the past as is missing, a day at least."""
        if not isinstance(series.given, datetime):
            return "1 D"
        return f"{max(1, -(-(self._clock() - series.given) // _DAY)) + 1} D"

    def _close(self, bar: HistoryBar) -> datetime:
        stamp = row_of(bar, "", self._bar_size).timestamp
        if not isinstance(stamp, datetime):
            raise TypeError("an intraday bar has a moment")
        return stamp
