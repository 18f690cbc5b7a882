"""What one symbol does: its bars, its sessions, and the trades and quotes within each bar."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from ibkr_sim.draws import Draws
from ibkr_sim.market_time import trading_day

TICK = 0.01
_LONGEST_BAR_IN_SECONDS = 3600.0
_KEPT_BARS = 64


class UnreadableBarsError(ValueError):
    """Bars that cannot be played; says whose and what is wrong."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Prices and volume from ``start`` to ``end`` (epoch seconds); ``count`` is the number of trades."""

    start: float
    end: float
    open: float
    high: float
    low: float
    close: float
    volume: float
    wap: float
    count: int


@dataclass(frozen=True, slots=True)
class Print:
    """A trade of ``size`` at ``price``, and the best quotes that stand after it."""

    time: float
    price: float
    size: float
    bid: float
    ask: float
    bid_size: float
    ask_size: float


class Tape:
    """Bars of one symbol in ascending order, not overlapping; ``seed`` decides what happens within them."""

    def __init__(self, symbol: str, bars: Sequence[Bar], seed: int) -> None:
        if not bars:
            raise UnreadableBarsError(f"{symbol} has no bars; give a file with at least one")
        if any(before.end > after.start for before, after in pairwise(bars)):
            raise UnreadableBarsError(f"bars of {symbol} overlap or are out of order; sort them by time")
        self.symbol = symbol
        self.bars = tuple(bars)
        self.seed = seed
        self._starts = [bar.start for bar in bars]
        self._ends = [bar.end for bar in bars]
        self.sessions = _sessions(self.bars)
        self._opens = [opened for opened, _ in self.sessions]
        self.prints = lru_cache(maxsize=_KEPT_BARS)(self._prints)

    def shifted(self, seconds: float) -> "Tape":
        """The same tape, played ``seconds`` later."""
        moved = [replace(bar, start=bar.start + seconds, end=bar.end + seconds) for bar in self.bars]
        return Tape(self.symbol, moved, self.seed)

    def session_at(self, moment: float) -> tuple[float, float] | None:
        """Open and close of the session that holds ``moment``; the close belongs to it, the open too."""
        place = bisect_right(self._opens, moment) - 1
        return self.sessions[place] if place >= 0 and moment <= self.sessions[place][1] else None

    def next_open(self, moment: float) -> float | None:
        """The first open after ``moment``."""
        place = bisect_right(self._opens, moment)
        return self._opens[place] if place < len(self._opens) else None

    def bars_between(self, begin: float, end: float) -> tuple[Bar, ...]:
        """Bars that lie wholly within [``begin``, ``end``]."""
        return self.bars[bisect_left(self._starts, begin) : bisect_right(self._ends, end)]

    def last_print(self, moment: float) -> Print | None:
        """The newest print at or before ``moment``."""
        place = bisect_right(self._starts, moment) - 1
        while place >= 0:
            found = self.prints(place)
            within = bisect_right(found, moment, key=_time)
            if within:
                return found[within - 1]
            place -= 1
        return None

    def next_print(self, moment: float) -> Print | None:
        """The first print after ``moment``."""
        place = bisect_right(self._ends, moment)
        while place < len(self.bars):
            found = self.prints(place)
            within = bisect_right(found, moment, key=_time)
            if within < len(found):
                return found[within]
            place += 1
        return None

    def prints_between(self, begin: float, end: float) -> list[Print]:
        """Prints with ``begin`` < time <= ``end``."""
        found: list[Print] = []
        place = bisect_right(self._ends, begin)
        while place < len(self.bars) and self.bars[place].start < end:
            found += [each for each in self.prints(place) if begin < each.time <= end]
            place += 1
        return found

    def _prints(self, place: int) -> tuple[Print, ...]:
        bar = self.bars[place]
        draws = Draws(self.seed, self.symbol, int(bar.start))
        length = bar.end - bar.start
        count = max(4, int(length if length <= _LONGEST_BAR_IN_SECONDS else length / 60))
        step = length / count
        prices = _path(bar, count, draws)
        sizes = _split(bar.volume, count, draws)
        # The middle of its slot: no print stands on the edge between two bars.
        return tuple(
            _quoted(bar.start + (number + 0.5) * step, prices[number], sizes[number], draws) for number in range(count)
        )


def _time(each: Print) -> float:
    return each.time


def _path(bar: Bar, count: int, draws: Draws) -> list[float]:
    """Prices that open, touch both extremes and close as the bar says, with noise of a few ticks between."""
    first = 1 + draws.below(max(1, (count - 2) // 2))
    second = first + 1 + draws.below(max(1, count - 2 - first)) if first < count - 2 else count - 2
    extremes = (bar.high, bar.low) if draws.uniform() < 0.5 else (bar.low, bar.high)
    anchors = [(0, bar.open), (first, extremes[0]), (max(second, first + 1), extremes[1]), (count - 1, bar.close)]
    prices = [bar.open] * count
    for (left, begin), (right, end) in pairwise(anchors):
        for number in range(left + 1, right):
            share = (number - left) / (right - left)
            noise = (draws.below(5) - 2) * TICK
            prices[number] = min(bar.high, max(bar.low, round(begin + (end - begin) * share + noise, 2)))
    for number, price in anchors:
        prices[number] = price
    return prices


def _split(volume: float, count: int, draws: Draws) -> list[float]:
    """``volume`` in ``count`` whole pieces that sum to its whole part."""
    weights = [0.2 + draws.uniform() for _ in range(count)]
    total = sum(weights)
    pieces: list[float] = []
    running, given = 0.0, 0
    for number, weight in enumerate(weights):
        running += weight
        upto = int(volume) if number == count - 1 else int(volume * running / total)
        pieces.append(float(upto - given))
        given = upto
    return pieces


def _quoted(time: float, price: float, size: float, draws: Draws) -> Print:
    spread = TICK if draws.uniform() < 0.8 else 2 * TICK
    at_bid = draws.uniform() < 0.5
    bid = price if at_bid else round(price - spread, 4)
    ask = round(price + spread, 4) if at_bid else price
    return Print(time, price, size, bid, ask, 100.0 * (1 + draws.below(9)), 100.0 * (1 + draws.below(9)))


def _sessions(bars: Sequence[Bar]) -> list[tuple[float, float]]:
    """Bars of one day of the market make one session, from the first start to the last end."""
    sessions: list[tuple[float, float]] = []
    day = None
    for bar in bars:
        today = trading_day(bar.start)
        if today == day:
            sessions[-1] = (sessions[-1][0], bar.end)
        else:
            sessions.append((bar.start, bar.end))
            day = today
    return sessions


def whole(prints: Sequence[Print], start: float, end: float) -> Bar | None:
    """One bar of what was printed; None when nothing was."""
    if not prints:
        return None
    prices = [each.price for each in prints]
    volume = sum(each.size for each in prints)
    paid = sum(each.price * each.size for each in prints)
    wap = round(paid / volume, 6) if volume else prices[-1]
    return Bar(start, end, prices[0], max(prices), min(prices), prices[-1], volume, wap, len(prints))


def merged(bars: Sequence[Bar], start: float, end: float) -> Bar | None:
    """One bar of several that follow each other; None when there are none."""
    if not bars:
        return None
    volume = sum(bar.volume for bar in bars)
    wap = round(sum(bar.wap * bar.volume for bar in bars) / volume, 6) if volume else bars[-1].close
    return Bar(
        start,
        end,
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        volume,
        wap,
        sum(bar.count for bar in bars),
    )
