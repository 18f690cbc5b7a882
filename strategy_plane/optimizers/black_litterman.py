"""Views of stated confidence blended with what the market's own weights imply."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from strategy_plane.optimizers.feasibility import fault_of_input
from strategy_plane.optimizers.port import (
    Allocation,
    AllocationStatus,
    FactorRisk,
    Limits,
    Matrix,
    Optimizer,
    TradingCosts,
    Vector,
)
from strategy_plane.optimizers.risk_based import Rule

TAU = 0.05
"""Uncertainty of the equilibrium as a share of the covariance (He and Litterman 1999)."""


@dataclass(frozen=True, slots=True)
class View:
    """A portfolio ``weights``, shape (n,), is expected to return ``expected`` a year, with ``uncertainty`` (variance).

    A relative view has weights that sum to zero.
    """

    weights: Vector
    expected: float
    uncertainty: float


@dataclass(frozen=True, slots=True)
class Posterior:
    """Annual expected returns, shape (n,), and the covariance of returns given them, shape (n, n)."""

    expected: Vector
    covariance: Matrix


def equilibrium_returns(risk_aversion: float, covariance: Matrix, market: Vector) -> Vector:
    """Annual excess returns at which ``market`` weights are optimal: ``risk_aversion * Sigma w``."""
    implied: Vector = risk_aversion * covariance @ market
    return implied


def uncertainty_of(confidence: float, weights: Vector, covariance: Matrix, tau: float = TAU) -> float:
    """Variance of a view held with ``confidence``: ``(1 / c - 1) * tau * p' Sigma p`` (Idzorek 2005, in closed form).

    With the prior covariance, the view then moves weights the fraction ``c`` of the way that certainty would.

    Raises:
        ValueError: when ``confidence`` is not above zero and at most one.
    """
    if not 0.0 < confidence <= 1.0:
        raise ValueError("confidence must be above 0 and at most 1")
    return (1.0 / confidence - 1.0) * tau * float(weights @ covariance @ weights)


def posterior(equilibrium: Vector, covariance: Matrix, views: Sequence[View], tau: float = TAU) -> Posterior:
    """Blend ``views`` with ``equilibrium`` returns (Black and Litterman 1992, He and Litterman 1999).

    The covariance includes the uncertainty of the blend: ``Sigma + ((tau Sigma)⁻¹ + P' Omega⁻¹ P)⁻¹``, computed
    without inverting either, so a certain view (uncertainty 0) is met exactly.

    Raises:
        ValueError: when tau is not positive or an uncertainty is negative.
        numpy.linalg.LinAlgError: when certain views repeat or contradict each other.
    """
    if not tau > 0.0 or any(view.uncertainty < 0.0 for view in views):
        raise ValueError("tau must be positive and no uncertainty negative")
    if not views:
        return Posterior(equilibrium, (1.0 + tau) * covariance)
    picks = np.stack([view.weights for view in views])
    surprise = np.array([view.expected for view in views]) - picks @ equilibrium
    spread = tau * covariance @ picks.T
    noise = picks @ spread + np.diag([view.uncertainty for view in views])
    gain = np.linalg.solve(noise, spread.T).T
    remaining = tau * covariance - gain @ spread.T
    return Posterior(equilibrium + gain @ surprise, covariance + (remaining + remaining.T) / 2.0)


class BlackLitterman:
    """Takes expected returns as one view of each asset, all of one ``confidence``, and lets ``inner`` optimise.

    The market is what ``market`` makes of risk, for example equal or inverse-volatility weights, and
    ``risk_aversion`` the market's. The blend's own uncertainty is left out of the risk, as Idzorek does, so that
    ``inner`` keeps the factor form.
    """

    def __init__(
        self, inner: Optimizer, market: Rule, risk_aversion: float, confidence: float, tau: float = TAU
    ) -> None:
        if not (risk_aversion > 0.0 and tau > 0.0 and 0.0 < confidence <= 1.0):
            raise ValueError("risk_aversion and tau must be positive, and confidence above 0 and at most 1")
        self._inner = inner
        self._market = market
        self._risk_aversion = risk_aversion
        self._confidence = confidence
        self._tau = tau

    def __call__(
        self, expected: Vector, risk: FactorRisk, current: Vector, limits: Limits, costs: TradingCosts | None = None
    ) -> Allocation:
        """Choose weights; see `Optimizer` for shapes and units."""
        fault = fault_of_input(expected, risk, current, costs)
        if fault:
            return Allocation(current, AllocationStatus.KEPT, fault)
        covariance = risk.covariance
        equilibrium = equilibrium_returns(self._risk_aversion, covariance, self._market(risk))
        views = [
            View(pick, value, uncertainty_of(self._confidence, pick, covariance, self._tau))
            for pick, value in zip(np.identity(len(expected)), expected.tolist(), strict=True)
        ]
        try:
            blended = posterior(equilibrium, covariance, views, self._tau)
        except np.linalg.LinAlgError:
            return Allocation(current, AllocationStatus.KEPT, "the views and the covariance cannot be blended")
        return self._inner(blended.expected, risk, current, limits, costs)
