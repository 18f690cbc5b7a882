"""The ticks of a market data line: what changed since the last ones, under live or delayed tick types."""

from dataclasses import dataclass
from enum import IntEnum

from ibkr_sim.tape import Print, Tape, merged, whole

_LATEST_START = 1e-6


class Tick(IntEnum):
    """Live tick types; `_DELAYED` has their delayed counterparts."""

    BID_SIZE = 0
    BID = 1
    ASK = 2
    ASK_SIZE = 3
    LAST = 4
    LAST_SIZE = 5
    HIGH = 6
    LOW = 7
    VOLUME = 8
    CLOSE = 9
    OPEN = 14
    LAST_TIMESTAMP = 45
    RT_VOLUME = 48
    HALTED = 49


_DELAYED = {
    Tick.BID: 66,
    Tick.ASK: 67,
    Tick.LAST: 68,
    Tick.BID_SIZE: 69,
    Tick.ASK_SIZE: 70,
    Tick.LAST_SIZE: 71,
    Tick.HIGH: 72,
    Tick.LOW: 73,
    Tick.VOLUME: 74,
    Tick.CLOSE: 75,
    Tick.OPEN: 76,
    Tick.LAST_TIMESTAMP: 88,
}
Message = tuple[str, dict[str, object]]


@dataclass(slots=True)
class Line:
    """What a market data line has sent so far; ``delay`` in seconds, of which a live line has none."""

    tape: Tape
    delay: float = 0.0
    volume_ticks: bool = False
    seen: Print | None = None
    session: tuple[float, float] | None = None
    high: float = 0.0
    low: float = 0.0
    volume: float = 0.0
    paid: float = 0.0

    def ticks(self, moment: float) -> list[Message]:
        """Messages for what happened up to ``moment``, without their request id."""
        at = moment - self.delay
        now = self.tape.last_print(at)
        if now is None or now is self.seen:
            return []
        session = self.tape.session_at(now.time)
        news = self._open(session, at) if session != self.session else self._update(at)
        before, self.seen = self.seen, now
        return [*news, *self._quotes(before, now)]

    def _open(self, session: tuple[float, float] | None, moment: float) -> list[Message]:
        """The figures of a session that the line sees first."""
        self.session = session
        begin = moment if session is None else session[0]
        earlier = self.tape.last_print(begin - _LATEST_START)
        bars = self.tape.bars_between(begin, moment)
        after = bars[-1].end if bars else begin
        rest = whole(self.tape.prints_between(after, moment), after, moment)
        day = merged([*bars, rest] if rest else list(bars), begin, moment)
        if day is None:
            return []
        self.high, self.low, self.volume = day.high, day.low, day.volume
        self.paid = day.wap * day.volume
        close = [] if earlier is None else [self._price(Tick.CLOSE, earlier.price)]
        return [
            self._price(Tick.OPEN, day.open),
            self._price(Tick.HIGH, self.high),
            self._price(Tick.LOW, self.low),
            *close,
        ]

    def _update(self, moment: float) -> list[Message]:
        news: list[Message] = []
        for each in self.tape.prints_between(self.seen.time if self.seen else moment, moment):
            self.volume += each.size
            self.paid += each.size * each.price
            if each.price > self.high:
                self.high = each.price
                news.append(self._price(Tick.HIGH, each.price))
            elif each.price < self.low:
                self.low = each.price
                news.append(self._price(Tick.LOW, each.price))
        return news

    def _quotes(self, before: Print | None, now: Print) -> list[Message]:
        news = []
        if before is None or (before.bid, before.bid_size) != (now.bid, now.bid_size):
            news.append(self._price(Tick.BID, now.bid, now.bid_size))
        if before is None or (before.ask, before.ask_size) != (now.ask, now.ask_size):
            news.append(self._price(Tick.ASK, now.ask, now.ask_size))
        news.append(("tickString", {"tickType": self._type(Tick.LAST_TIMESTAMP), "value": str(int(now.time))}))
        news.append(self._price(Tick.LAST, now.price, now.size))
        news.append(("tickSize", {"tickType": self._type(Tick.VOLUME), "size": self.volume}))
        if self.volume_ticks:
            wap = self.paid / self.volume if self.volume else now.price
            text = f"{now.price};{now.size:g};{int(now.time * 1000)};{self.volume:g};{wap:.8f};true"
            news.append(("tickString", {"tickType": int(Tick.RT_VOLUME), "value": text}))
        return news

    def _price(self, kind: Tick, price: float, size: float = 0.0) -> Message:
        return "tickPrice", {"tickType": self._type(kind), "price": price, "size": size, "mask": 1}

    def _type(self, kind: Tick) -> int:
        return _DELAYED[kind] if self.delay else int(kind)


def halted_tick(halted: bool) -> Message:
    """The tick that says whether trading is halted."""
    return "tickGeneric", {"tickType": int(Tick.HALTED), "value": 1.0 if halted else 0.0}
