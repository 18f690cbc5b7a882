"""What every optimizer is told and what it answers."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FactorRisk:
    """A covariance of annual simple returns in factor form: ``loadings @ loadings.T + diag(specific)``.

    ``loadings`` has shape (n, k), in annual volatility; ``specific`` shape (n,), annual variance, positive. ``repair``
    says what had to be changed to make it one, empty when nothing had. ``symbols`` are the n assets by name, for those
    who hold views on them; empty where no names are known.
    """

    loadings: Matrix
    specific: Vector
    repair: str = ""
    symbols: tuple[str, ...] = ()

    @property
    def variances(self) -> Vector:
        """Annual variance of each asset, shape (n,)."""
        total: Vector = np.einsum("ij,ij->i", self.loadings, self.loadings) + self.specific
        return total

    @property
    def covariance(self) -> Matrix:
        """The dense annual covariance, shape (n, n)."""
        dense: Matrix = self.loadings @ self.loadings.T + np.diag(self.specific)
        return dense

    def variance(self, weights: Vector) -> float:
        """Annual variance of a portfolio."""
        exposure = self.loadings.T @ weights
        return float(exposure @ exposure + self.specific @ (weights * weights))


@dataclass(frozen=True, slots=True)
class GroupLimit:
    """Bounds on the weights of some assets together, such as a sector; ``members`` are their places, ascending.

    ``low`` and ``high`` bound the sum of their weights, ``gross`` the sum of their absolute weights.
    """

    name: str
    members: tuple[int, ...]
    low: float = -math.inf
    high: float = math.inf
    gross: float = math.inf


@dataclass(frozen=True, slots=True)
class Limits:
    """What weights (fractions of equity) must keep to.

    ``gross`` bounds the sum of absolute weights, ``net`` the absolute sum, ``box`` each absolute weight,
    ``turnover`` the sum of absolute changes from the current weights. ``net_floor`` is the least sum of weights,
    by default ``-net``; ``volatility`` bounds the annual volatility of the portfolio. ``outside_gross`` and
    ``outside_net`` are what is held beyond the assets being optimised; they use up part of gross and net.
    """

    gross: float = 1.0
    net: float = 1.0
    box: float = 0.25
    turnover: float = 2.0
    long_only: bool = False
    outside_gross: float = 0.0
    outside_net: float = 0.0
    net_floor: float | None = None
    volatility: float | None = None
    groups: tuple[GroupLimit, ...] = ()

    @property
    def room(self) -> float:
        """What gross leaves to the assets being optimised."""
        return self.gross - self.outside_gross

    @property
    def lowest_net(self) -> float:
        """The least that all weights may sum to, what is held outside included."""
        return -self.net if self.net_floor is None else self.net_floor

    def breaches(self, weights: Vector, current: Vector, slack: float) -> list[str]:
        """Names of the limits that ``weights`` exceed by more than ``slack``; volatility needs a risk model."""
        absolute = np.abs(weights)
        net = float(weights.sum()) + self.outside_net
        excess = {
            "gross": float(absolute.sum()) - self.room,
            "net": max(net - self.net, self.lowest_net - net),
            "box": float(absolute.max(initial=0.0)) - self.box,
            "turnover": float(np.abs(weights - current).sum()) - self.turnover,
            "long_only": -float(weights.min(initial=0.0)) if self.long_only else 0.0,
        }
        for group in self.groups:
            members = list(group.members)
            held, size = float(weights[members].sum()), float(absolute[members].sum())
            excess[f"group {group.name}"] = max(held - group.high, group.low - held, size - group.gross)
        return [name for name, over in excess.items() if not over <= slack]


@dataclass(frozen=True, slots=True)
class TradingCosts:
    """What trading costs, in fractions of equity for weight changes ``d``: ``linear @ |d| + quadratic @ d²``.

    Both have shape (n,) and are zero or more. Costs are paid once and expected returns are annual, so costs count
    ``per_year`` times, once for each rebalance of a year.
    """

    linear: Vector
    quadratic: Vector
    per_year: float = 12.0

    def annual(self, changes: Vector) -> float:
        """Cost of such ``changes`` at every rebalance of a year."""
        paid = float(self.linear @ np.abs(changes) + self.quadratic @ (changes * changes))
        return self.per_year * paid


class AllocationStatus(StrEnum):
    """Whether new weights were found."""

    OPTIMAL = "OPTIMAL"
    KEPT = "KEPT"


@dataclass(frozen=True, slots=True)
class Allocation:
    """Weights to hold, and in ``diagnosis`` what was left out of account, if anything.

    With status ``KEPT`` they are the current weights, and ``diagnosis`` says why.
    """

    weights: Vector
    status: AllocationStatus
    diagnosis: str = ""


class Optimizer(Protocol):
    """From views and risk to weights.

    ``expected`` are annual simple returns and ``current`` weights, both of shape (n,) in the order of
    ``risk``; ``costs`` are those of the changes; an
    optimizer that needs no views or costs does not read them. Never raises for bad numbers: it keeps the
    current weights and says why.
    """

    def __call__(
        self, expected: Vector, risk: FactorRisk, current: Vector, limits: Limits, costs: TradingCosts | None = None
    ) -> Allocation:
        """Choose weights."""
        ...
