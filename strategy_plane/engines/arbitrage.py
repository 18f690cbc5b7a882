"""What an engine for arbitrage would have to be; there is none yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from contracts.trading import Side


@dataclass(frozen=True, slots=True)
class Leg:
    """One order of a group that is worth sending only together; quantity in units, worst price per unit."""

    symbol: str
    direction: Side
    quantity: float
    worst_price: float


@dataclass(frozen=True, slots=True)
class Opportunity:
    """Legs that earn ``edge`` (account currency, after costs) if all of them fill at their worst prices."""

    legs: tuple[Leg, ...]
    edge: float


class ArbitrageStrategy(Protocol):
    """Finds opportunities in prices of the same moment.

    An engine for it needs what this platform does not promise yet: legs accepted or refused together, and a rule
    for the leg that filled alone.
    """

    def opportunities(self, prices: dict[str, float]) -> Sequence[Opportunity]:
        """Opportunities at ``prices`` per unit, best first."""
        ...
