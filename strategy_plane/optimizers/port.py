"""What every optimizer is told and what it answers."""

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

    ``loadings`` has shape (n, k), in annual volatility; ``specific`` shape (n,), annual variance, positive.
    """

    loadings: Matrix
    specific: Vector

    @property
    def variances(self) -> Vector:
        """Annual variance of each asset, shape (n,)."""
        total: Vector = np.einsum("ij,ij->i", self.loadings, self.loadings) + self.specific
        return total

    def variance(self, weights: Vector) -> float:
        """Annual variance of a portfolio."""
        exposure = self.loadings.T @ weights
        return float(exposure @ exposure + self.specific @ (weights * weights))


@dataclass(frozen=True, slots=True)
class Limits:
    """What weights (fractions of equity) must keep to.

    ``gross`` bounds the sum of absolute weights, ``net`` the absolute sum, ``box`` each absolute weight,
    ``turnover`` the sum of absolute changes from the current weights. ``outside_gross`` and ``outside_net``
    are what is held beyond the assets being optimised; they use up part of the first two limits.
    """

    gross: float = 1.0
    net: float = 1.0
    box: float = 0.25
    turnover: float = 2.0
    long_only: bool = False
    outside_gross: float = 0.0
    outside_net: float = 0.0

    def breaches(self, weights: Vector, current: Vector, slack: float) -> list[str]:
        """Names of the limits that ``weights`` exceed by more than ``slack``."""
        excess = {
            "gross": float(np.abs(weights).sum()) + self.outside_gross - self.gross,
            "net": abs(float(weights.sum()) + self.outside_net) - self.net,
            "box": float(np.abs(weights).max(initial=0.0)) - self.box,
            "turnover": float(np.abs(weights - current).sum()) - self.turnover,
            "long_only": -float(weights.min(initial=0.0)) if self.long_only else 0.0,
        }
        return [name for name, over in excess.items() if not over <= slack]


class AllocationStatus(StrEnum):
    """Whether new weights were found."""

    OPTIMAL = "OPTIMAL"
    KEPT = "KEPT"


@dataclass(frozen=True, slots=True)
class Allocation:
    """Weights to hold; with status ``KEPT`` they are the current ones and ``diagnosis`` says why."""

    weights: Vector
    status: AllocationStatus
    diagnosis: str = ""


class Optimizer(Protocol):
    """From views and risk to weights.

    ``expected`` are annual simple returns and ``current`` weights, both of shape (n,) in the order of
    ``risk``. Never raises for bad numbers: it keeps the current weights and says why.
    """

    def __call__(self, expected: Vector, risk: FactorRisk, current: Vector, limits: Limits) -> Allocation:
        """Choose weights."""
        ...
