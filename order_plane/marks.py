"""The newest market prices, in the currency of each symbol and in the account's."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import nan

from contracts.market import BarEvent, TickEvent
from domain.currency import ONE_CURRENCY, Currencies, PriceOf

_BEFORE_ALL_TIME = datetime.min.replace(tzinfo=UTC)


_Event = BarEvent | TickEvent


class Marks:
    """Bars and ticks by symbol, the newest of each; those of pairs are exchange rates. ``also`` hears each one taken.

    ``now`` is event time, the newest time of any of them, and what is decided by time is decided by it.
    """

    __slots__ = ("_also", "_currencies", "_newest", "_told", "moved", "now", "worth_of")

    def __init__(self, currencies: Currencies = ONE_CURRENCY, also: Callable[[_Event], None] | None = None) -> None:
        self._currencies = currencies
        self._also = also
        self._newest: dict[str, _Event] = {}
        self.now = self._told = _BEFORE_ALL_TIME
        self.moved = True
        """Set when a price may have changed; whoever values anything clears it."""
        self.worth_of = self._converted if currencies.of else self.price_of
        """Account currency for one unit, not-a-number when price or rate is unknown."""

    def take(self, event: _Event) -> None:
        """Let the event's price stand for its symbol, unless a newer one does, and advance event time."""
        fields = event.__dict__  # a model's attributes cost four times as much as a dictionary's keys
        symbol, at = fields["symbol"], fields["timestamp"]
        if at > self.now:
            self.now = at
        elif symbol in self._newest and at < self._newest[symbol].timestamp:
            return
        self._newest[symbol] = event
        self.moved = True
        if self._also is not None:
            self._also(event)

    def wait(self, told: datetime) -> None:
        """Let ``told`` date what is said before the first of them; afterwards it changes nothing."""
        self._told = told

    def as_of(self) -> datetime:
        """The time to date with what has no time of its own: event time as soon as there is one."""
        return self.now if self._newest else self._told

    def quote_of(self, symbol: str) -> tuple[float, datetime | None, float, datetime | None]:
        """`price_of`, `priced_at`, `rate_of` and `rated_at` the symbol."""
        mark = self._newest.get(symbol)
        price, at = (nan, None) if mark is None else (_price(mark), mark.timestamp)
        if not self._currencies.of:
            return price, at, 1.0, None
        return price, at, self.rate_of(symbol), self.rated_at(symbol)

    def price_of(self, symbol: str) -> float:
        """The newest price in the symbol's currency per unit, not-a-number when none was seen."""
        mark = self._newest.get(symbol)
        return nan if mark is None else _price(mark)

    def priced_at(self, symbol: str) -> datetime | None:
        """The event time of that price."""
        mark = self._newest.get(symbol)
        return None if mark is None else mark.timestamp

    def fresh_price_of(self, max_age: timedelta) -> PriceOf:
        """`price_of` as it is now, and not-a-number for a price that is older than ``max_age`` in event time."""
        now, newest, price_of = self.now, self._newest, self.price_of
        return lambda symbol: (
            price_of(symbol) if symbol in newest and now - newest[symbol].timestamp <= max_age else nan
        )

    def fresh_worth_of(self, max_age: timedelta) -> PriceOf:
        """`worth_of` of prices and rates that are no older than ``max_age``, not-a-number of others."""
        price_of, rate_of = self.fresh_price_of(max_age), self._currencies.rate_of
        return lambda symbol: price_of(symbol) * rate_of(symbol, price_of)

    def rate_of(self, symbol: str) -> float:
        """Account currency for one unit of the symbol's currency, not-a-number when unknown."""
        return self._currencies.rate_of(symbol, self.price_of) if self._currencies.of else 1.0

    def rated_at(self, symbol: str) -> datetime | None:
        """The event time of that rate, None when it is unknown or none is needed."""
        currency = self._currencies.of.get(symbol)
        if currency is None:
            return None
        times = (self.priced_at(pair) for pair in self._currencies.pairs_of(currency))
        return next((at for at in times if at is not None), None)

    def _converted(self, symbol: str) -> float:
        return self.price_of(symbol) * self.rate_of(symbol)


def _price(mark: _Event) -> float:
    return mark.close if isinstance(mark, BarEvent) else mark.price
