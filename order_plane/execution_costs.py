"""What trading costs, learned from one's own executions."""

from dataclasses import dataclass, field
from math import isfinite, sqrt

_VAGUE = 1e6
"""Variance of a coefficient before anything was learned; its scale is fractions of a price."""


@dataclass(slots=True)
class ImpactFit:
    """Recursive least squares with forgetting of ``cost = fixed + impact * participation``.

    ``cost`` is a fraction of the arrival price and ``participation`` a fraction of the volume traded meanwhile, so
    ``impact`` (the temporary-impact lambda of Almgren and Chriss, 2001, in its linear form) is what trading all
    of the volume would cost. Each observation weighs ``forgetting`` times as much as the one after it; with
    a forgetting of 1 the fit is that of ordinary least squares. Haykin (2014), Adaptive Filter Theory, chapter 10.
    """

    forgetting: float = 0.995
    fixed: float = 0.0
    impact: float = 0.0
    observations: int = 0
    _p11: float = _VAGUE
    _p12: float = 0.0
    _p22: float = _VAGUE
    _squares: float = 0.0
    _weight: float = 0.0

    def __post_init__(self) -> None:
        if not 0.5 < self.forgetting <= 1.0:
            raise ValueError("forgetting must be above 0.5 and at most 1")

    def learn(self, participation: float, cost: float) -> None:
        """Take in one execution; numbers that are not finite are passed over."""
        if not (isfinite(participation) and isfinite(cost)):
            return
        x, memory = participation, self.forgetting
        g1, g2 = self._p11 + self._p12 * x, self._p12 + self._p22 * x
        scale = memory + g1 + g2 * x
        error = cost - self.fixed - self.impact * x
        self.fixed += g1 / scale * error
        self.impact += g2 / scale * error
        self._shrink(g1, g2, scale)
        self._squares = memory * self._squares + error * error * memory / scale
        self._weight = memory * self._weight + 1.0
        self.observations += 1

    @property
    def impact_error(self) -> float | None:
        """Standard error of ``impact``; None while too little is known."""
        if self._weight <= 2.0:
            return None
        variance = max(0.0, self._squares) / (self._weight - 2.0)
        return sqrt(max(0.0, variance * self._p22))

    def _shrink(self, g1: float, g2: float, scale: float) -> None:
        p11 = max(0.0, self._p11 - g1 * g1 / scale)
        p12 = self._p12 - g1 * g2 / scale
        p22 = max(0.0, self._p22 - g2 * g2 / scale)
        # Executions that are all of one size teach nothing of the slope; what is forgotten then must not explode.
        grown = self.forgetting if max(p11, p22) <= _VAGUE * self.forgetting else 1.0
        self._p11, self._p12, self._p22 = p11 / grown, p12 / grown, p22 / grown


@dataclass(slots=True)
class CostOfSymbol:
    """The fit of one symbol, and the mean cost of its executions with the same forgetting, weighted by quantity."""

    fit: ImpactFit = field(default_factory=ImpactFit)
    _sum: float = 0.0
    _quantity: float = 0.0

    @property
    def slippage(self) -> float:
        """Mean cost against the arrival price, as a fraction of it; negative when executions were better."""
        return self._sum / self._quantity if self._quantity else 0.0

    def learn(self, quantity: float, volume: float, cost: float) -> None:
        """Take in one execution of ``quantity`` units while ``volume`` units traded."""
        memory = self.fit.forgetting
        self._sum = memory * self._sum + quantity * cost
        self._quantity = memory * self._quantity + quantity
        if volume > 0:
            self.fit.learn(quantity / volume, cost)
