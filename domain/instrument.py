"""The grid an instrument trades on: price ticks and quantity lots."""

from dataclasses import dataclass
from math import ceil, floor

_GRID_TOLERANCE = 1e-6
"""How far from a grid line, in steps, a binary fraction may lie and still stand on it."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """Trading rules of one symbol; a size of zero means that any price or quantity is allowed.

    ``tick_size`` is in currency units per unit, ``lot_size`` in units.
    """

    symbol: str
    tick_size: float = 0.0
    lot_size: float = 0.0
    currency: str = "USD"

    def is_on_tick(self, price: float) -> bool:
        """Whether ``price`` stands on the price grid."""
        return _on_grid(price, self.tick_size)

    def is_whole_lots(self, quantity: float) -> bool:
        """Whether ``quantity`` is a whole number of lots."""
        return _on_grid(quantity, self.lot_size)

    def tick_at_most(self, price: float) -> float:
        """The highest price of the grid that is not above ``price``."""
        return round_down(price, self.tick_size)

    def tick_at_least(self, price: float) -> float:
        """The lowest price of the grid that is not below ``price``."""
        return round_up(price, self.tick_size)

    def whole_lots(self, quantity: float) -> float:
        """The largest whole number of lots within ``quantity`` (units, not negative)."""
        return round_down(quantity, self.lot_size)


def round_down(value: float, step: float) -> float:
    """``value`` moved down to a multiple of ``step``; unchanged when ``step`` is zero."""
    if not step:
        return value
    steps = value / step
    nearest = round(steps)
    return _line(nearest if abs(steps - nearest) <= _GRID_TOLERANCE else floor(steps), step)


def round_up(value: float, step: float) -> float:
    """``value`` moved up to a multiple of ``step``; unchanged when ``step`` is zero."""
    if not step:
        return value
    steps = value / step
    nearest = round(steps)
    return _line(nearest if abs(steps - nearest) <= _GRID_TOLERANCE else ceil(steps), step)


def _line(steps: int, step: float) -> float:
    return round(steps * step, 10)


def _on_grid(value: float, step: float) -> bool:
    if not step:
        return True
    steps = value / step
    return abs(steps - round(steps)) <= _GRID_TOLERANCE
