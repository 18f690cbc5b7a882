"""A simulated venue: orders trade against the bars it is shown, the same way on every run."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from math import inf
from uuid import UUID

from contracts.market import BarEvent
from contracts.trading import OrderIntent, TimeInForce
from domain.calendar import OutsideCalendarError, SessionCalendar
from domain.costs import Commission, Slippage
from domain.instrument import Instrument, round_down
from order_plane.brokers.fills import Pricing, execution_price, is_triggered
from order_plane.brokers.paper_order import PaperOrder
from order_plane.brokers.paper_store import PaperStore
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, KeyLife, Snapshot
from order_plane.brokers.replacement import new_terms, replaced
from order_plane.effects import CancelOrder, ReplaceOrder, SubmitOrder
from order_plane.facts import Fact, FactKind

_LISTED = 1000
"""How many completed orders and executions a snapshot lists."""
_DUST = 1e-9
"""The fraction of an order below which nothing is left of it."""
# Looking a member up by name costs more than what is done with it.
_ACK, _FILL = FactKind.ACK, FactKind.FILL
_DAY, _GTD, _AT_ONCE = TimeInForce.DAY, TimeInForce.GTD, frozenset({TimeInForce.IOC, TimeInForce.FOK})


class PaperBroker:
    """Accepts any order at once and fills it from later bars of its symbol, oldest order first.

    An order is accepted at the time of its intent or of the newest bar the venue has seen of the symbol,
    whichever is later, and trades in bars after that: never in the bar that caused it. Together the orders of a
    symbol trade at most ``volume_cap`` (a fraction, None for no limit) of a bar's volume and work on with the
    rest. IOC and FOK are judged on the first such bar. DAY works to the end of the session it was accepted
    in, or of the following one when accepted at or after the close; GTD to ``valid_until``; both end with the
    first bar that reaches the moment.

    A bar that is not newer than the last one of its symbol is ignored, so bars may be delivered twice; a symbol
    must be shown bars of one size only. Facts are in the store before anyone hears of them.
    """

    def __init__(
        self,
        calendar: SessionCalendar,
        commission: Commission,
        slippage: Slippage,
        store: PaperStore,
        instruments: Mapping[str, Instrument] | None = None,
        volume_cap: float | None = None,
    ) -> None:
        self._calendar = calendar
        self._commission = commission
        self._volume_cap = volume_cap
        self._instruments = dict(instruments or {})
        self._slippage = slippage
        self._any_price = Pricing(slippage)
        self._pricing: dict[str, Pricing] = {
            symbol: Pricing(slippage, rules.tick_size) for symbol, rules in self._instruments.items()
        }
        self._store = store
        self._durable = store.durable
        self._seen = dict(store.last_bars())
        self._moved: dict[str, datetime] = {}
        self._positions = dict(store.positions())
        self._cash = store.cash()
        self._books: dict[str, list[PaperOrder]] = {}
        self._changed: list[PaperOrder] = []
        self._unsaved: list[tuple[PaperOrder, Fact]] = []
        self._news: list[Fact] = []
        self.duplicates_refused = 0
        for order in store.open_orders():
            self._put(order.intent.symbol, order)

    @property
    def key_life(self) -> KeyLife:
        """An intent id is known for ever."""
        return KeyLife.LIFETIME

    @property
    def converts(self) -> bool:
        """An order may become any other."""
        return True

    @property
    def dormant(self) -> bool:
        """Whether no order works and nothing is left to say, or to write down."""
        return not (self._books or self._changed or self._news or self._durable)

    def observe(self, bar: BarEvent) -> None:
        """Trade what ``bar`` lets trade."""
        fields = bar.__dict__
        symbol, at = fields["symbol"], fields["timestamp"]
        seen = self._seen.get(symbol)
        if seen is not None and at <= seen:
            return
        self._seen[symbol] = at
        if self._durable:
            self._moved[symbol] = at
        book = self._books.get(symbol)
        if book is not None:
            self._match(bar, at, symbol, book)

    def submit(self, order: SubmitOrder) -> Sequence[Fact]:
        """Accept ``order``; a second order of the same intent is never accepted.

        Raises:
            BrokerRefused: when the calendar does not reach the end of a DAY order.
            BrokerStateUnknown: when the venue has an order of this intent already.
        """
        intent = order.intent
        wish = intent.__dict__  # a model's attributes cost four times as much as a dictionary's keys
        intent_id, symbol, at = wish["intent_id"], wish["symbol"], wish["timestamp"]
        if self._store.has(intent_id):
            self.duplicates_refused += 1
            raise BrokerStateUnknown("the venue has an order of this intent already")
        seen = self._seen.get(symbol)
        if seen is not None and seen > at:
            at = seen
        accepted = PaperOrder(intent, at, self._expiry(intent, at))
        self._put(symbol, accepted)
        ack = self._record(accepted, Fact(intent_id, _ACK, "ack", at, accepted.order_id))
        self._save()
        return (ack,)

    def cancel(self, order: CancelOrder) -> Sequence[Fact]:
        """Cancel the rest of an order.

        Raises:
            BrokerRefused: when no such order works here.
        """
        found = self._find(order.intent_id)
        symbol = found.intent.symbol
        at = max(found.accepted_at, self._seen.get(symbol, found.accepted_at))
        cancelled = self._finish(found, FactKind.CANCELLED, at)
        self._drop_finished(symbol, self._books[symbol])
        self._save()
        return (cancelled,)

    def replace(self, order: ReplaceOrder) -> Sequence[Fact]:
        """Change size and prices of an order; they count for bars to come.

        Raises:
            BrokerRefused: when no such order works here, or the change is none that is possible.
        """
        found = self._find(order.intent.intent_id)
        intent = found.intent = new_terms(order, found.filled)
        found.stored = False
        at = max(found.accepted_at, self._seen.get(intent.symbol, found.accepted_at))
        self._record(found, replaced(order, at, found.order_id))
        self._save()
        return ()

    def drain(self) -> Sequence[Fact]:
        """What traded or expired since the last call."""
        if not self._changed and not self._durable:
            return ()
        self._save()
        news, self._news = self._news, []
        return news

    def lookup(self, intent_id: UUID) -> Sequence[Fact] | None:
        """Every fact of an order, None when there never was one."""
        return self._store.facts_of(intent_id) if self._store.has(intent_id) else None

    def snapshot(self) -> Snapshot:
        """The account as this venue sees it; cash counts from nothing, and of what is over the newest is listed."""
        self._save()
        working = tuple(order.listed() for order in self._working())
        held = {symbol: units for symbol, units in self._positions.items() if units}
        ended = tuple(order.completed() for order in self._store.finished(_LISTED))
        return Snapshot(working, tuple(self._store.executions(_LISTED)), held, ended, self._cash)

    def rest(self) -> None:
        """Let the store tidy up."""
        self._store.rest()

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _match(self, bar: BarEvent, at: datetime, symbol: str, book: list[PaperOrder]) -> None:
        available = inf if self._volume_cap is None else bar.volume * self._volume_cap
        pricing = self._pricing.get(symbol, self._any_price)
        finished = False
        for order in book:
            if order.accepted_at < at:
                available -= self._trade(order, bar, at, available, pricing)
                finished = finished or order.finished
        if finished:
            self._drop_finished(symbol, book)

    def _trade(self, order: PaperOrder, bar: BarEvent, at: datetime, available: float, pricing: Pricing) -> float:
        """Trade what one order can in ``bar``, which ends ``at``, and return the units it took of the bar's volume."""
        until = order.expires_at
        if until is not None and at > until:
            self._news.append(self._finish(order, FactKind.EXPIRED, until))
            return 0.0
        intent = order.intent
        price = execution_price(intent, bar, order.triggered, pricing)
        if not order.triggered and intent.stop_price is not None and is_triggered(intent, bar):
            order.triggered = True
            self._changed.append(order)
        quantity = 0.0
        if price is not None:
            remaining = intent.quantity - order.filled
            quantity = remaining if available >= remaining else self._part(order, available)
            if quantity > 0:
                self._fill(order, quantity, price, at)
        if not order.finished:
            self._end_if_due(order, at)
        return quantity

    def _part(self, order: PaperOrder, available: float) -> float:
        """Units that may trade of a bar that cannot fill the order: whole lots, and nothing for FOK."""
        if order.intent.time_in_force is TimeInForce.FOK:
            return 0.0
        rules = self._instruments.get(order.intent.symbol)
        return max(0.0, available if rules is None else round_down(available, rules.lot_size))

    def _fill(self, order: PaperOrder, quantity: float, price: float, at: datetime) -> None:
        order.executions += 1
        order.filled += quantity
        order.value += quantity * price
        total = self._commission(order.filled, order.value)
        fee, order.commission = total - order.commission, total
        wish = order.intent.__dict__
        symbol, size = wish["symbol"], wish["quantity"]
        fact = Fact(order.intent_id, _FILL, str(order.executions), at, order.order_id, quantity, price, fee)
        self._news.append(fact)
        signed = order.signed(quantity)
        self._positions[symbol] = self._positions.get(symbol, 0.0) + signed
        self._cash -= signed * price + fee
        if size - order.filled <= size * _DUST:
            order.finished = True
        self._record(order, fact)
        if order.finished and order.wished > size:
            self._news.append(self._finish(order, FactKind.CANCELLED, at))

    def _end_if_due(self, order: PaperOrder, at: datetime) -> None:
        if order.intent.time_in_force in _AT_ONCE:
            self._news.append(self._finish(order, FactKind.CANCELLED, at))
        elif order.expires_at is not None and at >= order.expires_at:
            self._news.append(self._finish(order, FactKind.EXPIRED, order.expires_at))

    def _finish(self, order: PaperOrder, kind: FactKind, at: datetime) -> Fact:
        order.finished = True
        return self._record(order, Fact(order.intent_id, kind, kind.value.lower(), at, order.order_id))

    def _record(self, order: PaperOrder, fact: Fact) -> Fact:
        self._unsaved.append((order, fact))
        self._changed.append(order)
        order.facts.append(fact)
        return fact

    def _save(self) -> None:
        self._store.save(self._changed, self._unsaved, self._moved)
        self._moved.clear()
        self._changed.clear()
        self._unsaved.clear()

    def _put(self, symbol: str, order: PaperOrder) -> None:
        self._books.setdefault(symbol, []).append(order)

    def _find(self, intent_id: UUID) -> PaperOrder:
        found = next((each for each in self._working() if each.intent_id == intent_id), None)
        if found is None:
            raise BrokerRefused("UNKNOWN_ORDER: no such order works at the venue")
        return found

    def _working(self) -> Iterator[PaperOrder]:
        return chain.from_iterable(self._books.values())

    def _drop_finished(self, symbol: str, book: list[PaperOrder]) -> None:
        left = [order for order in book if not order.finished]
        if left:
            self._books[symbol] = left
        else:
            del self._books[symbol]

    def _expiry(self, intent: OrderIntent, at: datetime) -> datetime | None:
        if intent.time_in_force is not _DAY:
            return intent.valid_until if intent.time_in_force is _GTD else None
        try:
            end = self._calendar.session_end(at)
            return end if end is not None and end > at else self._calendar.following_close(at)
        except OutsideCalendarError:
            raise BrokerRefused(f"MARKET_CLOSED: calendar {self._calendar.name} has no session for the order") from None
