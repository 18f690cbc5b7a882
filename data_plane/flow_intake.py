"""From trades and best quotes to ticks, order flow and bars."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain

from contracts.base import Message
from contracts.market import TickEvent, TickType
from data_plane.admission import Admission
from data_plane.bar_intake import BarIntake
from data_plane.bars import TickAggregator
from data_plane.connectors.port import RawQuote, RawTick
from data_plane.corporate_actions import Factors, advance, initial
from data_plane.order_flow import OrderFlow
from data_plane.quality import BEFORE_ALL, MAX_PRICE, MAX_VOLUME, MIN_PRICE, Reason
from data_plane.session_grid import SessionGrid

_TRADES = frozenset({TickType.TRADE, TickType.LAST})
_MAX_SIZE = MAX_VOLUME / 1e6
_tick_event = TickEvent.trusted


class _Tape:
    """What is remembered of one symbol's trades or quotes; ``price`` is its last trade or mid, 0 before the first."""

    __slots__ = ("factors", "last", "price", "suspect")

    def __init__(self) -> None:
        self.factors = Factors()
        self.last = BEFORE_ALL
        self.price = 0.0
        self.suspect = 0.0


class FlowIntake:
    """Judges, adjusts and publishes trades and quotes, and builds bars and order-flow imbalance from them.

    ``bars`` takes the bars built from trades, None builds none; ``flow`` sums quotes, None sums none.
    ``publish_ticks`` sends every trade and both sides of every quote on as well.
    """

    def __init__(
        self,
        grid: SessionGrid,
        admission: Admission,
        bars: tuple[TickAggregator, BarIntake] | None,
        flow: OrderFlow | None,
        *,
        publish_ticks: bool,
    ) -> None:
        self._grid = grid
        self._admission = admission
        self._bars = bars
        self._flow = flow
        self._publish_ticks = publish_ticks
        self._down, self._up = 1 - admission.limits.outlier_return, 1 + admission.limits.outlier_return
        self._trades: dict[str, _Tape] = {}
        self._quotes: dict[str, _Tape] = {}
        self.ignored = 0

    def handle_tick(self, row: RawTick) -> Sequence[Message]:
        """The messages that a trade gives rise to, in the order to publish them."""
        if not (MIN_PRICE <= row.price <= MAX_PRICE and 0 <= row.size <= _MAX_SIZE):
            return self._refuse(row, Reason.SCHEMA, "price or size is missing or beyond the contract")
        symbol = self._symbol(row)
        if symbol is None:
            return ()
        tape = self._admit(row, symbol, row.price, self._trades)
        if tape is None:
            return ()
        closed: Sequence[Message] = self.ended(row.timestamp)
        if self._bars is not None and row.tick_type in _TRADES:
            aggregator, intake = self._bars
            ended = aggregator.add(row._replace(symbol=symbol))
            if ended is None:
                return (*closed, *self._refuse(row, Reason.OUT_OF_ORDER, "its bar is already closed"))
            closed = (*closed, *chain.from_iterable(map(intake.handle, ended)))
        tape.last, tape.price = row.timestamp, row.price
        if not self._publish_ticks:
            return closed
        price, units, _ = tape.factors
        return (*closed, _tick(symbol, row.timestamp, row.price * price, row.size / units, row.tick_type))

    def handle_quote(self, row: RawQuote) -> Sequence[Message]:
        """The messages that a best quote gives rise to, in the order to publish them."""
        prices, sizes = (row.bid_price, row.ask_price), (row.bid_size, row.ask_size)
        if not all(MIN_PRICE <= price <= MAX_PRICE for price in prices) or not all(0 <= s <= _MAX_SIZE for s in sizes):
            return self._refuse(row, Reason.SCHEMA, "a price or size is missing or beyond the contract")
        if row.bid_price > row.ask_price:
            return self._refuse(row, Reason.CROSSED, "the bid is above the ask")
        symbol = self._symbol(row)
        mid = (row.bid_price + row.ask_price) / 2
        tape = None if symbol is None else self._admit(row, symbol, mid, self._quotes)
        if symbol is None or tape is None:
            return ()
        price, units, _ = tape.factors
        quote = row._replace(
            symbol=symbol,
            bid_price=row.bid_price * price,
            bid_size=row.bid_size / units,
            ask_price=row.ask_price * price,
            ask_size=row.ask_size / units,
        )
        closed = () if self._flow is None else self._flow.add(quote)
        if closed is None:
            return self._refuse(row, Reason.OUT_OF_ORDER, "its interval is already published")
        tape.last, tape.price = row.timestamp, mid
        if not self._publish_ticks:
            return closed
        bid = _tick(symbol, row.timestamp, quote.bid_price, quote.bid_size, TickType.BID)
        return (*closed, bid, _tick(symbol, row.timestamp, quote.ask_price, quote.ask_size, TickType.ASK))

    def ended(self, now: datetime) -> Sequence[Message]:
        """Order flow of the open intervals that ended by ``now``, an event of another kind."""
        return () if self._flow is None or now < self._flow.earliest else self._flow.expire(now)

    def expire(self, now: datetime) -> Sequence[Message]:
        """What ended by ``now``: order flow first, then bars."""
        flow: Sequence[Message] = () if self._flow is None else self._flow.expire(now)
        if self._bars is None:
            return flow
        aggregator, intake = self._bars
        return (*flow, *chain.from_iterable(map(intake.handle, aggregator.expire(now))))

    def cut(self) -> None:
        """Compare no quote from now on with one before."""
        if self._flow is not None:
            self._flow.cut()

    def finish(self) -> Sequence[Message]:
        """What is open when the source has ended."""
        return self.expire(datetime.max.replace(tzinfo=UTC))

    def _symbol(self, row: RawTick | RawQuote) -> str | None:
        """The canonical symbol; None when the row goes no further."""
        symbol = self._admission.symbol_of(row)
        if symbol is not None and not self._admission.wants(symbol):
            self.ignored += 1
            return None
        return symbol

    def _admit(self, row: RawTick | RawQuote, symbol: str, price: float, tapes: dict[str, _Tape]) -> _Tape | None:
        """The symbol's tape with the factors of this moment, or None when a gate objects."""
        tape = tapes.setdefault(symbol, _Tape())
        at = row.timestamp
        if self._admission.too_late(row, symbol, at):
            return None
        if not self._admission.listing(symbol).holds(at):
            self._refuse(row, Reason.NOT_LISTED, "the symbol is not listed at that time")
        elif self._grid.interval(at) is None:
            self._refuse(row, Reason.NOT_A_SESSION, "no session is open at that time")
        elif at < tape.last:
            self._refuse(row, Reason.OUT_OF_ORDER, "older than what was accepted of this symbol before")
        elif not self._within_reach(row, symbol, price, tape):
            tape.suspect = price
            self._refuse(row, Reason.OUTLIER, "farther from the last price than outlier_return allows")
        else:
            tape.suspect = 0.0
            return tape
        return None

    def _within_reach(self, row: RawTick | RawQuote, symbol: str, price: float, tape: _Tape) -> bool:
        """Apply the corporate actions due and compare with the last price, or with the one refused before."""
        effects = self._admission.effects.get(symbol, ())
        if not tape.price:
            tape.factors = initial(effects, row.timestamp)
            return True
        factors, previous = advance(symbol, effects, tape.factors, row.timestamp, tape.price)
        tape.factors, tape.price = factors, previous
        return any(level * self._down <= price <= level * self._up for level in (previous, tape.suspect))

    def _refuse(self, row: RawTick | RawQuote, reason: Reason, detail: str) -> tuple[()]:
        return self._admission.refuse(row, self._admission.names.canonical(row.symbol) or "", reason, detail)


def _tick(symbol: str, at: datetime, price: float, size: float, kind: TickType) -> TickEvent:
    return _tick_event(
        {
            "event_type": "tick_event",
            "symbol": symbol,
            "timestamp": at,
            "price": price,
            "size": size,
            "tick_type": kind,
        }
    )
