"""The newest market prices, in the currency of each symbol and in the account's."""

from datetime import datetime
from math import nan

from contracts.market import BarEvent, TickEvent
from domain.currency import ONE_CURRENCY, Currencies


class Marks:
    """Bars and ticks by symbol, the newest of each; those of pairs are exchange rates."""

    __slots__ = ("_currencies", "newest", "worth_of")

    def __init__(self, currencies: Currencies = ONE_CURRENCY) -> None:
        self._currencies = currencies
        self.newest: dict[str, BarEvent | TickEvent] = {}
        self.worth_of = self._converted if currencies.of else self.price_of
        """Account currency for one unit, not-a-number when price or rate is unknown."""

    def price_of(self, symbol: str) -> float:
        """The newest price in the symbol's currency per unit, not-a-number when none was seen."""
        mark = self.newest.get(symbol)
        if mark is None:
            return nan
        return mark.close if isinstance(mark, BarEvent) else mark.price

    def priced_at(self, symbol: str) -> datetime | None:
        """The event time of that price."""
        mark = self.newest.get(symbol)
        return None if mark is None else mark.timestamp

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
