"""Historical data: bars, once or kept up to date, ticks, and how far back they go."""

from dataclasses import dataclass
from functools import lru_cache, partial

from ibkr_sim.data_desk import next_boundary
from ibkr_sim.faults import Fault
from ibkr_sim.history import HistoryRequest, InvalidHistoryRequestError, What, bars, current_bar
from ibkr_sim.history import request as history_request
from ibkr_sim.layout import flag, integer
from ibkr_sim.listing import Listing
from ibkr_sim.market import Market
from ibkr_sim.market_time import bar_date, parse, stamp
from ibkr_sim.pacing import HistoryPace
from ibkr_sim.requests import Received
from ibkr_sim.streams import Stream, Streams
from ibkr_sim.switchboard import Session, Switchboard
from ibkr_sim.tape import Bar, Print

_SERVICE = "Historical Market Data Service error message:"
_KEPT = "kept"
_EPOCH = "2"
_MOST_TICKS = 1000
_KEPT_BARS = 1 << 16
_MOST_OPEN = 50


@dataclass(frozen=True, slots=True)
class _Dates:
    daily: bool
    epoch: bool

    def row(self, bar: Bar) -> dict[str, object]:
        """The fields of a bar."""
        return {
            "date": bar_date(bar.start, self.daily, self.epoch),
            "open": bar.open,
            "high": bar.high,
            "low": bar.low,
            "close": bar.close,
            "volume": bar.volume,
            "wap": bar.wap,
            "count": bar.count,
        }


class HistoryDesk:
    """Historical data of every session; ``paced`` enforces the gateway's rules for small bars.

    At most 50 requests for bars are open at once, those that are kept up to date too.
    """

    def __init__(self, board: Switchboard, market: Market, paced: bool) -> None:
        self._board = board
        self._market = market
        self._paces: dict[int, HistoryPace] | None = {} if paced else None
        self._waiting: list[tuple[int, float]] = []  # links, and when the answer to their request leaves
        self.streams = Streams(board)

    def forget(self, session: Session) -> None:
        """End the subscriptions of a session that is gone."""
        self.streams.forget(session.link)
        self._waiting = [each for each in self._waiting if each[0] != session.link]

    def lose(self) -> None:
        """Bars are no longer kept up to date, as after any loss of the link."""
        self.streams.end(_KEPT)

    def break_off(self, code: int, text: str) -> None:
        """End every request that is kept up to date with an error."""
        for link, number in self.streams.keys(_KEPT):
            self._board.error(self._board.sessions[link], number, code, text)
        self.lose()

    def bars(self, session: Session, request: Received, faults: tuple[Fault, ...]) -> None:
        """Bars up to a moment, and with keepUpToDate the newest one every five seconds."""
        number, asked = request.request_id, request.values
        listing = self._market.listings.find(asked)
        if listing is None:
            self._board.error(session, number, 200, "No security definition has been found for the request")
            return
        keep = flag(asked["keepUpToDate"])
        try:
            wanted = history_request(asked["barSize"], asked["duration"], asked["whatToShow"])
            end = self._end(asked["endDateTime"], keep)
        except (InvalidHistoryRequestError, ValueError) as error:
            self._board.error(session, number, 321, f"Error validating request.-'bO' : cause - {error}")
            return
        if self._open() >= _MOST_OPEN:
            text = f"cause - Only {_MOST_OPEN} simultaneous API historical data requests allowed."
            self._board.error(session, number, 322, f"Error processing request.-'wd' : {text}")
            return
        if not self._admitted(session, asked, wanted, faults):
            text = f"{_SERVICE}Historical data request pacing violation"
            self._board.error(session, number, 162, text)
            return
        self._answer(session, number, listing, wanted, end, _Dates(wanted.daily, asked["formatDate"] == _EPOCH), keep)

    def cancel(self, session: Session, request: Received) -> None:
        """End a request that is kept up to date; 366 when there is none."""
        number = request.request_id
        if self.streams.stop((session.link, number)):
            self._board.error(session, number, 162, f"{_SERVICE}API historical data query cancelled: {number}")
        else:
            self._board.error(session, number, 366, f"No historical data query found for ticker id:{number}")

    def head(self, session: Session, request: Received) -> None:
        """The first moment with data."""
        listing = self._market.listings.find(request.values)
        if listing is None:
            text = "No security definition has been found for the request"
            self._board.error(session, request.request_id, 200, text)
            return
        first = self._market.tapes[listing.symbol].bars[0].start
        epoch = request.values["formatDate"] == _EPOCH
        time = str(int(first)) if epoch else stamp(first).rsplit(" ", 1)[0]
        self._board.send(session, "headTimestamp", reqId=request.values["reqId"], time=time)

    def ticks(self, session: Session, request: Received) -> None:
        """Up to a thousand prints after a start or before an end."""
        asked, number = request.values, request.request_id
        listing = self._market.listings.find(asked)
        if listing is None:
            self._board.error(session, number, 200, "No security definition has been found for the request")
            return
        try:
            begin = parse(asked["startDateTime"]) if asked["startDateTime"] else None
            end = parse(asked["endDateTime"]) if asked["endDateTime"] else self._board.market_now
        except ValueError:
            self._board.error(session, number, 321, "Error validating request.-'cs' : cause - the time is invalid")
            return
        wanted = min(integer(asked["numberOfTicks"]) or _MOST_TICKS, _MOST_TICKS)
        end = min(end, self._board.market_now)
        tape = self._market.tapes[listing.symbol]
        if begin is not None:
            prints = tape.prints_between(begin, min(end, begin + 86_400))[:wanted]
        else:
            prints = tape.prints_between(end - 86_400, end)[-wanted:]
        name, rows = _tick_rows(asked["whatToShow"], prints, listing.primary_exchange)
        self._board.send(session, name, reqId=number, ticks=rows, done=True)

    def _end(self, text: str, keep: bool) -> float:
        if not text:
            return self._board.market_now
        if keep:
            raise InvalidHistoryRequestError("keepUpToDate needs an empty end date")
        return min(parse(text), self._board.market_now)

    def _open(self) -> int:
        self._waiting = [each for each in self._waiting if each[1] > self._board.now]
        return len(self._waiting) + len(self.streams.keys(_KEPT))

    def _admitted(
        self, session: Session, asked: dict[str, str], wanted: HistoryRequest, faults: tuple[Fault, ...]
    ) -> bool:
        if any(fault.do == "pacing_violation" for fault in faults):
            return False
        if self._paces is None or not wanted.small:
            return True
        identity = tuple(text for name, text in asked.items() if name != "reqId")
        series = (asked["conId"], asked["symbol"], asked["exchange"], asked["whatToShow"])
        weight = 2 if wanted.what is What.BID_ASK else 1
        pace = self._paces.setdefault(session.client_id, HistoryPace())
        return pace.admit(self._board.now, identity, series, weight)

    def _answer(
        self,
        session: Session,
        number: int,
        listing: Listing,
        wanted: HistoryRequest,
        end: float,
        dates: _Dates,
        keep: bool,
    ) -> None:
        tape = self._market.tapes[listing.symbol]
        found = bars(tape, wanted, end)
        if not found and not keep:
            text = f"{_SERVICE}HMDS query returned no data: {listing.symbol}@SMART {wanted.what}"
            self._board.error(session, number, 162, text)
            return
        first = found[0].start if found else end
        texts = [text for bar in found for text in _bar_texts(bar, dates)]
        dated: dict[str, object] = {"reqId": number, "start": stamp(first), "end": stamp(end)}
        self._board.send_values(session, "historicalData", dated | {"count": len(found), "bars": texts})
        if not keep:
            self._waiting.append((session.link, session.not_before))
        else:
            emit = partial(self._update, session, number, listing, wanted, dates)
            due = partial(next_boundary, self._market, listing.symbol)
            self.streams.start(session, number, Stream(_KEPT, due, emit))

    def _update(self, session: Session, number: int, listing: Listing, wanted: HistoryRequest, dates: _Dates) -> None:
        bar = current_bar(self._market.tapes[listing.symbol], wanted, self._board.market_now)
        if bar is not None:
            self._board.send_values(session, "historicalDataUpdate", dates.row(bar) | {"reqId": number})


@lru_cache(maxsize=_KEPT_BARS)
def _bar_texts(bar: Bar, dates: _Dates) -> tuple[str, ...]:
    """The fields of a bar in an answer of thousands: date, prices, volume, average, count."""
    return (
        bar_date(bar.start, dates.daily, dates.epoch),
        repr(bar.open),
        repr(bar.high),
        repr(bar.low),
        repr(bar.close),
        str(int(bar.volume)),
        repr(bar.wap),
        str(bar.count),
    )


def _tick_rows(what: str, prints: list[Print], exchange: str) -> tuple[str, list[dict[str, object]]]:
    if what == "BID_ASK":
        return "historicalTicksBidAsk", [
            {"time": int(p.time), "bid": p.bid, "ask": p.ask, "bidSize": p.bid_size, "askSize": p.ask_size}
            for p in prints
        ]
    if what == "MIDPOINT":
        return "historicalTicks", [{"time": int(p.time), "price": round((p.bid + p.ask) / 2, 6)} for p in prints]
    return "historicalTicksLast", [
        {"time": int(p.time), "price": p.price, "size": p.size, "exchange": exchange} for p in prints
    ]
