"""Order-flow imbalance from best quotes."""

from collections.abc import Sequence
from datetime import UTC, datetime

from contracts.market import OFIEvent
from data_plane.connectors.port import RawQuote
from data_plane.session_grid import Interval, SessionGrid


def flow_of(before: RawQuote, now: RawQuote) -> float:
    """Contribution of one change of the best quote, in units.

    e = q_b 1[P_b >= P_b'] - q_b' 1[P_b <= P_b'] - q_a 1[P_a <= P_a'] + q_a' 1[P_a >= P_a'], the primes marking the
    quote before (Cont, Kukanov and Stoikov, "The Price Impact of Order Book Events", J. Financial Econometrics 12(1),
    2014, section 2). Positive when demand grew or supply shrank.
    """
    flow = 0.0
    if now.bid_price >= before.bid_price:
        flow += now.bid_size
    if now.bid_price <= before.bid_price:
        flow -= before.bid_size
    if now.ask_price <= before.ask_price:
        flow -= now.ask_size
    if now.ask_price >= before.ask_price:
        flow += before.ask_size
    return flow


class _OpenInterval:
    __slots__ = ("end", "flow", "quote", "session_close", "until")

    def __init__(self, quote: RawQuote, interval: Interval) -> None:
        self.end, self.until, self.session_close = interval
        self.flow = 0.0
        self.quote = quote


class OrderFlow:
    """Sums `flow_of` over the intervals of a session grid, symbol by symbol.

    An interval is published as one `OFIEvent` when a later quote of any symbol, or the clock, reaches its end; its
    volumes are the sizes of its last quote. An interval without a quote is not published, and the first quote of a
    session or after a `cut`, which has nothing to compare with, adds no flow. ``earliest`` is when the next open
    interval ends.
    """

    def __init__(self, grid: SessionGrid) -> None:
        self._grid = grid
        self._open: dict[str, _OpenInterval] = {}
        self._before: dict[str, tuple[RawQuote, datetime]] = {}
        self._closed_through = datetime.min.replace(tzinfo=UTC)
        self.earliest = datetime.max.replace(tzinfo=UTC)

    def add(self, quote: RawQuote) -> Sequence[OFIEvent] | None:
        """Take a quote and return the intervals it ends; None when its own is published or was never open."""
        at = quote.timestamp
        closed = self.expire(at) if at >= self.earliest else ()
        interval = self._open.get(quote.symbol) or self._begin(quote)
        if interval is None:
            return None
        before = self._before.get(quote.symbol)
        if before is not None and before[1] == interval.session_close:
            interval.flow += flow_of(before[0], quote)
        self._before[quote.symbol] = (quote, interval.session_close)
        interval.quote = quote
        return closed

    def cut(self) -> None:
        """Compare no quote from now on with one before: what happened in between is not known."""
        self._before.clear()

    def expire(self, now: datetime) -> Sequence[OFIEvent]:
        """Publish every interval that ended by ``now``, in order of time and symbol."""
        self._closed_through = max(self._closed_through, now)
        ended = sorted((interval.end, symbol) for symbol, interval in self._open.items() if interval.until <= now)
        events = tuple(_event(symbol, self._open.pop(symbol)) for _, symbol in ended)
        self.earliest = min((i.until for i in self._open.values()), default=datetime.max.replace(tzinfo=UTC))
        return events

    def _begin(self, quote: RawQuote) -> _OpenInterval | None:
        interval = self._grid.interval(quote.timestamp)
        if interval is None or interval.until <= self._closed_through:
            return None
        opened = self._open[quote.symbol] = _OpenInterval(quote, interval)
        self.earliest = min(self.earliest, interval.until)
        return opened


def _event(symbol: str, interval: _OpenInterval) -> OFIEvent:
    bid, ask = interval.quote.bid_size, interval.quote.ask_size
    return OFIEvent.trusted(
        {
            "event_type": "ofi_event",
            "symbol": symbol,
            "timestamp": interval.end,
            "ofi_value": interval.flow,
            "volume_imbalance": (bid - ask) / (bid + ask) if bid + ask else 0.0,
            "bid_volume": bid,
            "ask_volume": ask,
        }
    )
