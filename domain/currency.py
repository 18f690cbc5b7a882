"""What prices in other currencies are worth in the account's, by the prices of pairs such as USDKRW."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import isnan

PriceOf = Callable[[str], float]
"""The newest price of a symbol in its own currency per unit, not-a-number when it is unknown."""


@dataclass(frozen=True)
class Currencies:
    """The currency of the ``account`` (ISO 4217), and ``of`` each symbol that is quoted in another one.

    A pair is a symbol like any other, named by six letters: its price is the second currency for one of the first.
    """

    account: str = "USD"
    of: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def pairs(self) -> frozenset[str]:
        """Symbols whose prices are exchange rates; either direction will do. Empty when all is in one currency."""
        return frozenset(pair for currency in set(self.of.values()) for pair in self.pairs_of(currency))

    def pairs_of(self, currency: str) -> tuple[str, str]:
        """The pair whose price is account currency for one of ``currency``, and its opposite."""
        return f"{currency}{self.account}", f"{self.account}{currency}"

    def rate(self, currency: str, price_of: PriceOf) -> float:
        """Account currency for one of ``currency``: the price of the pair, or else one over that of its opposite."""
        pair, opposite = self.pairs_of(currency)
        direct = price_of(pair)
        return 1.0 / price_of(opposite) if isnan(direct) else direct

    def rate_of(self, symbol: str, price_of: PriceOf) -> float:
        """Account currency for one unit of the currency that ``symbol`` is quoted in; not-a-number when unknown."""
        currency = self.of.get(symbol)
        return 1.0 if currency is None else self.rate(currency, price_of)


ONE_CURRENCY = Currencies()
"""Everything is quoted in the account's currency."""


def currencies_of(account: str, of: Mapping[str, str | None]) -> Currencies:
    """Those of ``of`` that are not the account's own."""
    return Currencies(account, {symbol: one for symbol, one in of.items() if one is not None and one != account})
