"""What trading costs: commissions by order, slippage by execution."""

from collections.abc import Callable
from dataclasses import dataclass

Commission = Callable[[float, float], float]
"""Commission of one order so far (currency units) from its filled units and its traded value.

It is cumulative, so an order that fills in parts pays a fixed fee once and a minimum once.
"""
Slippage = Callable[[float, float, float], float]
"""How much worse than the reference an execution is (currency units per unit, never negative).

Takes the reference price and the high and low of the bar that fills.
"""


@dataclass(frozen=True, slots=True)
class PerOrder:
    """``amount`` currency units for an order, once anything of it is filled."""

    amount: float

    def __call__(self, quantity: float, value: float) -> float:
        """The commission so far."""
        return self.amount if quantity > 0 else 0.0


@dataclass(frozen=True, slots=True)
class PerShare:
    """``rate`` currency units a unit, at least ``minimum`` an order."""

    rate: float
    minimum: float = 0.0

    def __call__(self, quantity: float, value: float) -> float:
        """The commission so far."""
        return max(self.minimum, self.rate * quantity) if quantity > 0 else 0.0


@dataclass(frozen=True, slots=True)
class BasisPoints:
    """``points`` hundredths of a percent of the traded value, at least ``minimum`` an order."""

    points: float
    minimum: float = 0.0

    def __call__(self, quantity: float, value: float) -> float:
        """The commission so far."""
        return max(self.minimum, value * self.points / 10_000) if quantity > 0 else 0.0


@dataclass(frozen=True, slots=True)
class BasisPointSlippage:
    """``points`` hundredths of a percent of the reference price."""

    points: float

    def __call__(self, reference: float, high: float, low: float) -> float:
        """Currency units per unit."""
        return reference * self.points / 10_000


@dataclass(frozen=True, slots=True)
class RangeSlippage:
    """A fixed ``fraction`` of the range of the bar that fills."""

    fraction: float

    def __call__(self, reference: float, high: float, low: float) -> float:
        """Currency units per unit."""
        return (high - low) * self.fraction
