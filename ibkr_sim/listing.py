"""The contracts that are traded, the rules of their prices and sizes, and how a client's description finds them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha1

from ibkr_sim.layout import MalformedMessageError, integer

EXCHANGES = ("SMART", "NYSE", "NASDAQ", "ARCA", "ISLAND")
MARKET_RULES: dict[int, tuple[tuple[float, float], ...]] = {26: ((0.0, 0.0001), (1.0, 0.01))}
"""Rule id to its (low edge, price increment) pairs, ascending."""

_REAL_CONTRACT_IDS = {"AAPL": 265598, "IBM": 8314, "MSFT": 272093, "GOOG": 208813720, "FB": 107113386, "SPY": 756733}
_STOCK_RULE = 26
_ON_GRID = 1e-6


@dataclass(frozen=True, slots=True)
class Listing:
    """A US stock; ``size_increment`` is the smallest step of an order's quantity."""

    symbol: str
    contract_id: int
    primary_exchange: str = "NASDAQ"
    currency: str = "USD"
    size_increment: float = 1.0

    def values(self, exchange: str = "SMART") -> dict[str, object]:
        """The fields of a contract in the API's names."""
        return {
            "conId": self.contract_id,
            "symbol": self.symbol,
            "secType": "STK",
            "exchange": exchange,
            "primaryExchange": self.primary_exchange,
            "currency": self.currency,
            "localSymbol": self.symbol,
            "tradingClass": "NMS",
        }

    def details(self, exchange: str, hours: str) -> dict[str, object]:
        """The fields of contract details; ``hours`` is the text of its sessions."""
        return self.values(exchange) | {
            "version": 8,
            "marketName": "NMS",
            "minTick": min(increment for _, increment in MARKET_RULES[_STOCK_RULE]),
            "mdSizeMultiplier": 1,
            "orderTypes": "ADAPTIVE,DAY,FOK,GTC,GTD,IOC,LMT,MKT,STP,STPLMT,WHATIF",
            "validExchanges": ",".join(EXCHANGES),
            "priceMagnifier": 1,
            "longName": f"{self.symbol} INC",
            "timeZoneId": "US/Eastern",
            "tradingHours": hours,
            "liquidHours": hours,
            "aggGroup": 1,
            "marketRuleIds": ",".join(str(_STOCK_RULE) for _ in EXCHANGES),
            "stockType": "COMMON",
            "minSize": self.size_increment,
            "sizeIncrement": self.size_increment,
            "suggestedSizeIncrement": 100.0 if self.size_increment >= 1 else self.size_increment,
        }

    def on_tick(self, price: float) -> bool:
        """Whether ``price`` conforms to the market rule at its level."""
        steps = abs(price) / increment(abs(price))
        return abs(steps - round(steps)) <= _ON_GRID * max(1.0, steps)

    def on_size(self, quantity: float) -> bool:
        """Whether ``quantity`` is a multiple of the size increment."""
        steps = quantity / self.size_increment
        return abs(steps - round(steps)) <= _ON_GRID


def increment(price: float, rule: int = _STOCK_RULE) -> float:
    """The price increment of a market rule at ``price``."""
    return next(step for edge, step in reversed(MARKET_RULES[rule]) if price >= edge)


def contract_id(symbol: str) -> int:
    """The number of a contract: the well-known one, else one made of the name."""
    made = 500_000_000 + int.from_bytes(sha1(symbol.encode(), usedforsecurity=False).digest()[:4]) % 100_000_000
    return _REAL_CONTRACT_IDS.get(symbol, made)


class Listings:
    """All contracts, found by what a client says of one."""

    def __init__(self, symbols: Iterable[str], size_increment: float = 1.0) -> None:
        self._by_symbol = {
            symbol: Listing(symbol, contract_id(symbol), size_increment=size_increment) for symbol in sorted(symbols)
        }
        self._by_id = {listing.contract_id: listing for listing in self._by_symbol.values()}

    def by_id(self, number: int) -> Listing | None:
        """The contract of that number."""
        return self._by_id.get(number)

    def find(self, described: Mapping[str, str]) -> Listing | None:
        """The contract that a client describes by number, symbol or local symbol; None when none fits."""
        try:
            number = integer(described.get("conId", ""))
        except MalformedMessageError:
            return None
        found = self._by_id.get(number) if number else self._by_name(described)
        return found if found is not None and _fits(found, described) else None

    def matching(self, pattern: str) -> list[Listing]:
        """Contracts whose symbol holds ``pattern``."""
        return [listing for symbol, listing in self._by_symbol.items() if pattern.upper() in symbol]

    def _by_name(self, described: Mapping[str, str]) -> Listing | None:
        if described.get("secType", "") not in ("STK", "") or not (described.get("symbol") or described["localSymbol"]):
            return None
        return self._by_symbol.get(described.get("symbol") or described["localSymbol"])


def _fits(listing: Listing, described: Mapping[str, str]) -> bool:
    allowed = {
        "secType": ("", "STK"),
        "currency": ("", listing.currency),
        "exchange": ("", *EXCHANGES),
        "symbol": ("", listing.symbol),
        "localSymbol": ("", listing.symbol),
        "primaryExchange": ("", *EXCHANGES),
    }
    return all(described.get(name, "") in values for name, values in allowed.items())
