"""Positions and everything that working orders could add to them."""

from collections.abc import Callable, Mapping
from math import fsum

_DUST = 1e-9
"""Units below which a sum of binary fractions counts as nothing."""


class Exposure:
    """What the account holds, and what its sent orders may still buy and sell, by symbol in units.

    A sent order counts from the moment it is decided until it is known to be finished, whether or not its
    outcome is known meanwhile.
    """

    __slots__ = ("_buying", "_held", "_selling", "_touched", "_values", "stale")

    def __init__(self) -> None:
        self._held: dict[str, float] = {}
        self._buying: dict[str, float] = {}
        self._selling: dict[str, float] = {}
        self._values: dict[str, float] = {}
        self._touched: set[str] = set()
        self.stale = True
        """Set when a market price has moved since exposures were last valued."""

    @property
    def positions(self) -> Mapping[str, float]:
        """Units held, short negative; flat symbols are absent."""
        return self._held

    def hold(self, symbol: str, units: float) -> None:
        """Add filled ``units``, negative for a sale."""
        add_units(self._held, symbol, units)
        self._touched.add(symbol)

    def work(self, symbol: str, units: float, buying: bool) -> None:
        """Add ``units`` to what working orders may still trade; negative when an order needs less."""
        add_units(self._buying if buying else self._selling, symbol, units)
        self._touched.add(symbol)

    def largest(self, symbol: str, order: float = 0.0) -> tuple[float, float]:
        """The largest positions, not signed, if only the worst side trades: now, and with ``order`` on top.

        ``order`` is in units and negative for a sale.
        """
        held = self._held.get(symbol, 0.0)
        long = held + self._buying.get(symbol, 0.0)
        short = self._selling.get(symbol, 0.0) - held
        before = max(short, long)
        after = long + order if order > 0.0 else short - order
        return before, max(before, after)

    def lowest(self, symbol: str) -> float:
        """The position, short negative, if only sales trade."""
        return self._held.get(symbol, 0.0) - self._selling.get(symbol, 0.0)

    def reach(self, symbol: str) -> tuple[float, float]:
        """That, and the position if only purchases trade."""
        held = self._held.get(symbol, 0.0)
        return held - self._selling.get(symbol, 0.0), held + self._buying.get(symbol, 0.0)

    def gross(self, price_of: Callable[[str], float]) -> float:
        """Sum of the largest positions at ``price_of`` each symbol, not-a-number when a price is."""
        values = self._values
        if self.stale:
            values.clear()
            changed = {*self._held, *self._buying, *self._selling}
            self.stale = False
        else:
            changed = self._touched
        for symbol in changed:
            units, _ = self.largest(symbol)
            values[symbol] = units * price_of(symbol) if units else 0.0
        self._touched.clear()
        return fsum(values.values())

    def net(self, price_of: Callable[[str], float]) -> tuple[float, float]:
        """The lowest and the highest sum of signed positions, if only sales or only purchases trade.

        At ``price_of`` each symbol; not-a-number when a price is.
        """
        held = [units * price_of(symbol) for symbol, units in self._held.items()]
        bought = [units * price_of(symbol) for symbol, units in self._buying.items()]
        sold = [-units * price_of(symbol) for symbol, units in self._selling.items()]
        return fsum(held + sold), fsum(held + bought)


def add_units(units_of: dict[str, float], symbol: str, units: float) -> None:
    """Add ``units`` to what is held of ``symbol``; what comes to nothing is dropped."""
    total = units_of.get(symbol, 0.0) + units
    if total > _DUST or total < -_DUST:
        units_of[symbol] = total
    else:
        units_of.pop(symbol, None)
