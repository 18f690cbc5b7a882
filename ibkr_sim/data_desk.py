"""Streaming market data: quotes, five-second bars and tick by tick."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ibkr_sim.layout import flag, integer
from ibkr_sim.listing import Listing
from ibkr_sim.market import Market
from ibkr_sim.pacing import Budget
from ibkr_sim.quote_ticks import Line, halted_tick
from ibkr_sim.requests import Received
from ibkr_sim.streams import Stream, Streams
from ibkr_sim.switchboard import Session, Switchboard
from ibkr_sim.tape import Print, whole

LIVE, DELAYED = (1, 2), (3, 4)
_DELAY_SECONDS, _QUOTE_SPACING, _BAR_SECONDS = 900.0, 0.25, 5.0
_QUOTES, _BARS, _TICKS = "quotes", "bars", "ticks"
_VOLUME_TICKS = "233"
_TICK_TYPES = {"Last": 1, "AllLast": 2, "BidAsk": 3, "MidPoint": 4}
_REAL_TIME_BARS, _TEN_MINUTES = 60, 600.0


@dataclass(frozen=True, slots=True)
class DataRules:
    """``permission`` is live, delayed or none; a session has ``lines``, of which ``tick_lines`` tick by tick."""

    permission: str = "live"
    lines: int = 100
    tick_lines: int = 5


class DataDesk:
    """Market data of every session."""

    def __init__(self, board: Switchboard, market: Market, rules: DataRules) -> None:
        self._board = board
        self._market = market
        self._rules = rules
        self._types: dict[int, int] = {}
        self._bar_budgets: dict[int, Budget] = {}
        self._lines: dict[tuple[int, int], tuple[str, Callable[[bool], None]]] = {}
        self.streams = Streams(board)

    def forget(self, session: Session) -> None:
        """End the subscriptions of a session that is gone."""
        self.streams.forget(session.link)
        self._types.pop(session.link, None)
        self._lines = {key: line for key, line in self._lines.items() if key[0] != session.link}

    def lose(self) -> None:
        """All subscriptions are gone, as after error 1101."""
        self.streams.end(_QUOTES, _BARS, _TICKS)
        self._lines.clear()

    def halted(self, symbol: str, halted: bool) -> None:
        """Tell the subscribers of a symbol that trading stopped or went on."""
        for named, tell in list(self._lines.values()):
            if named == symbol:
                tell(halted)

    def choose_type(self, session: Session, request: Received) -> None:
        """Live, frozen, delayed or delayed frozen data from now on."""
        self._types[session.link] = integer(request.values["type"])

    def quotes(self, session: Session, request: Received) -> None:
        """A market data line, or one snapshot."""
        listing = self._listing(session, request)
        number = request.request_id
        if listing is None or not self._has_room(session, number):
            return
        chosen = self._types.get(session.link, LIVE[0])
        delayed = self._rules.permission == "delayed" and chosen in DELAYED
        if self._rules.permission != "live" and not delayed:
            code = 354 if self._rules.permission == "delayed" else 10168
            self._board.error(session, number, code, "Requested market data is not subscribed.")
            return
        if delayed:
            text = "Requested market data is not subscribed. Displaying delayed market data."
            self._board.error(session, number, 10167, text)
        generic = request.values["genericTicks"].split(",")
        tape = self._market.tapes[listing.symbol]
        line = Line(tape, _DELAY_SECONDS if delayed else 0.0, _VOLUME_TICKS in generic)
        self._board.send(
            session, "tickReqParams", reqId=number, minTick=0.01, bboExchange="9c0001", snapshotPermissions=3
        )
        self._board.send(session, "marketDataType", reqId=number, type=chosen if delayed else LIVE[0])
        send = partial(self._send_line, session, number, line)
        send()
        if flag(request.values["snapshot"]):
            self._board.send(session, "tickSnapshotEnd", reqId=number)
            return
        self._lines[session.link, number] = (listing.symbol, partial(self._send_halt, session, number))
        self.streams.start(session, number, Stream(_QUOTES, partial(_next_print, self, listing), send, _QUOTE_SPACING))

    def real_time_bars(self, session: Session, request: Received) -> None:
        """A bar every five seconds of the session."""
        listing = self._listing(session, request)
        number = request.request_id
        if listing is None or not self._has_room(session, number):
            return
        budget = self._bar_budgets.setdefault(session.client_id, Budget(_REAL_TIME_BARS, _TEN_MINUTES))
        if not budget.admit(self._board.now):
            self._board.error(session, number, 420, "Invalid Real-time Query:Historical data request pacing violation")
            return
        if self._rules.permission != "live":
            self._board.error(session, number, 420, "Invalid Real-time Query:No market data permissions")
            return
        emit = partial(self._send_bar, session, number, listing)
        self.streams.start(session, number, Stream(_BARS, partial(next_boundary, self._market, listing.symbol), emit))

    def tick_by_tick(self, session: Session, request: Received) -> None:
        """Every trade, quote or midpoint."""
        listing = self._listing(session, request)
        number, kind = request.request_id, request.values["tickType"]
        if listing is None or not self._has_room(session, number):
            return
        if kind not in _TICK_TYPES:
            self._board.error(session, number, 321, "Error validating request: the tick-by-tick type is unknown")
            return
        if self.streams.count(session.link, _TICKS) >= self._rules.tick_lines:
            self._board.error(session, number, 10190, "Max number of tick-by-tick requests has been reached")
            return
        if self._rules.permission != "live":
            text = "Failed to request tick-by-tick data:No market data permissions"
            self._board.error(session, number, 10189, text)
            return
        emit = _TickSender(self._board, session, number, self._market, listing, kind)
        self.streams.start(session, number, Stream(_TICKS, partial(_next_print, self, listing), emit))

    def cancel(self, session: Session, request: Received) -> None:
        """End a line; error 300 when there is none."""
        key = session.link, request.request_id
        self._lines.pop(key, None)
        if not self.streams.stop(key):
            text = f"Can't find EId with tickerId:{request.request_id}"
            self._board.error(session, request.request_id, 300, text)

    def _listing(self, session: Session, request: Received) -> Listing | None:
        listing = self._market.listings.find(request.values)
        if listing is None:
            text = "No security definition has been found for the request"
            self._board.error(session, request.request_id, 200, text)
        return listing

    def _has_room(self, session: Session, number: int) -> bool:
        if (session.link, number) in self.streams:
            self._board.error(session, number, 102, "Duplicate ticker ID.")
            return False
        if self.streams.count(session.link, _QUOTES, _BARS, _TICKS) >= self._rules.lines:
            self._board.error(session, number, 101, "Max number of tickers has been reached")
            return False
        return True

    def _send_line(self, session: Session, number: int, line: Line) -> None:
        for name, values in line.ticks(self._board.market_now):
            self._board.send_values(session, name, values | {"reqId": number})

    def _send_halt(self, session: Session, number: int, halted: bool) -> None:
        name, values = halted_tick(halted)
        self._board.send_values(session, name, values | {"reqId": number})

    def _send_bar(self, session: Session, number: int, listing: Listing) -> None:
        end = self._board.market_now
        prints = self._market.tapes[listing.symbol].prints_between(end - _BAR_SECONDS, end)
        bar = whole(prints, end - _BAR_SECONDS, end)
        if bar is not None:
            values = {"time": round(bar.start), "open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close}
            rest = {"volume": bar.volume, "wap": bar.wap, "count": bar.count, "reqId": number}
            self._board.send_values(session, "realtimeBar", values | rest)

    def next_print_of(self, symbol: str, moment: float) -> float | None:
        """When the symbol prints next, in market time."""
        following = self._market.tapes[symbol].next_print(moment)
        return None if following is None else following.time


class _TickSender:
    """Sends each print since the last one it sent."""

    def __init__(
        self, board: Switchboard, session: Session, number: int, market: Market, listing: Listing, kind: str
    ) -> None:
        self._board = board
        self._session = session
        self._number = number
        self._tape = market.tapes[listing.symbol]
        self._exchange = listing.primary_exchange
        self._kind = kind
        self._sent = board.market_now

    def __call__(self) -> None:
        now = self._board.market_now
        for each in self._tape.prints_between(self._sent, now):
            name, values = self._message(each)
            self._board.send_values(self._session, name, values | {"reqId": self._number, "time": int(each.time)})
        self._sent = now

    def _message(self, each: Print) -> tuple[str, dict[str, object]]:
        if self._kind == "BidAsk":
            prices: dict[str, object] = {"bid": each.bid, "ask": each.ask}
            return "tickByTickBidAsk", prices | {"bidSize": each.bid_size, "askSize": each.ask_size}
        if self._kind == "MidPoint":
            return "tickByTickMidPoint", {"midPoint": round((each.bid + each.ask) / 2, 6)}
        trade = {"price": each.price, "size": each.size, "exchange": self._exchange}
        return "tickByTickAllLast", {"tickType": _TICK_TYPES[self._kind]} | trade


def _next_print(desk: DataDesk, listing: Listing, moment: float) -> float | None:
    return desk.next_print_of(listing.symbol, moment)


def next_boundary(market: Market, symbol: str, moment: float) -> float | None:
    """The next five-second mark within the sessions of a symbol."""
    mark = (moment // _BAR_SECONDS + 1) * _BAR_SECONDS
    if market.open_at(symbol, moment):
        return mark
    opens = market.tapes[symbol].next_open(moment)
    return None if opens is None else opens + _BAR_SECONDS
