"""Views of stated confidence blended with what the market's own weights imply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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
from strategy_plane.optimizers.risk_based import Rule, RuleFailed

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
class SymbolView:
    """A view of one's own: ``weights`` by symbol are expected to return ``expected`` a year above cash.

    ``confidence`` is Idzorek's, above zero and at most one, which is certainty.
    """

    name: str
    weights: Mapping[str, float]
    expected: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Posterior:
    """Annual expected returns, shape (n,), and the covariance of returns given them, shape (n, n)."""

    expected: Vector
    covariance: Matrix


def equilibrium_returns(risk_aversion: float, covariance: Matrix, market: Vector) -> Vector:
    """Annual excess returns at which ``market`` weights are optimal: ``risk_aversion * Sigma w``, shape (n,).

    ``covariance`` is annual, (n, n), and ``market`` (n,) (Black and Litterman 1992).
    """
    implied: Vector = risk_aversion * covariance @ market
    return implied


def uncertainty_of(confidence: float, weights: Vector, covariance: Matrix, tau: float = TAU) -> float:
    """Variance of a view held with ``confidence``: ``(1 / c - 1) * tau * p' Sigma p`` (Idzorek 2005, in closed form).

    ``weights`` are (n,), ``covariance`` (n, n) is the prior one, annual as the answer is. The view then moves weights
    the fraction ``c`` of the way that certainty would.

    Raises:
        ValueError: when ``confidence`` is not above zero and at most one.
    """
    if not 0.0 < confidence <= 1.0:
        raise ValueError("confidence must be above 0 and at most 1")
    return (1.0 / confidence - 1.0) * tau * float(weights @ covariance @ weights)


def posterior(equilibrium: Vector, covariance: Matrix, views: Sequence[View], tau: float = TAU) -> Posterior:
    """Blend ``views`` with ``equilibrium`` returns (Black and Litterman 1992, He and Litterman 1999).

    ``equilibrium`` is (n,) and ``covariance`` (n, n), both annual. The covariance of the answer includes the
    uncertainty of the blend: ``Sigma + ((tau Sigma)⁻¹ + P' Omega⁻¹ P)⁻¹``, computed without inverting either, so a
    certain view (uncertainty 0) is met exactly.

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


def market_by_size(sizes: Mapping[str, float]) -> Rule:
    """A rule that weights each asset by its share of ``sizes``, such as capitalisations; one that has none by zero."""

    def shares(risk: FactorRisk) -> Vector:
        found = np.array([sizes.get(symbol, 0.0) for symbol in risk.symbols])
        total = float(found.sum())
        if len(found) != len(risk.specific) or not total > 0.0:
            raise RuleFailed("no asset that takes part has a size in the market")
        return found / total

    return shares


class BlackLitterman:
    """Blends views with what the market's weights imply, and lets ``inner`` optimise.

    The market is what ``market`` makes of risk, for example equal weights or those of `market_by_size`, and
    ``risk_aversion`` the market's. Expected returns count as one view of each asset, all of one ``confidence``; with
    None they are not read. ``views`` are those of a person; one on a symbol that takes no part is left out, and that is
    said. The blend's own uncertainty is left out of the risk, as Idzorek does, so that ``inner`` keeps the factor form.
    """

    def __init__(
        self,
        inner: Optimizer,
        market: Rule,
        risk_aversion: float,
        confidence: float | None,
        tau: float = TAU,
        views: Sequence[SymbolView] = (),
    ) -> None:
        if not (risk_aversion > 0.0 and tau > 0.0):
            raise ValueError("risk_aversion and tau must be positive")
        held = [view.confidence for view in views] + ([] if confidence is None else [confidence])
        if not all(0.0 < share <= 1.0 for share in held):
            raise ValueError("confidence must be above 0 and at most 1")
        self._inner = inner
        self._market = market
        self._risk_aversion = risk_aversion
        self._confidence = confidence
        self._tau = tau
        self._views = tuple(views)

    def __call__(
        self, expected: Vector, risk: FactorRisk, current: Vector, limits: Limits, costs: TradingCosts | None = None
    ) -> Allocation:
        """Choose weights; see `Optimizer` for shapes and units."""
        read = np.zeros(len(current)) if self._confidence is None else expected
        fault = fault_of_input(read, risk, current, costs)
        if fault:
            return Allocation(current, AllocationStatus.KEPT, fault)
        known = [view for view in self._views if view.weights.keys() <= set(risk.symbols)]
        try:
            blended = self._blend(read, risk, known)
        except np.linalg.LinAlgError:
            return Allocation(current, AllocationStatus.KEPT, "the views and the covariance cannot be blended")
        except RuleFailed as failure:
            return Allocation(current, AllocationStatus.KEPT, str(failure))
        found = self._inner(blended, risk, current, limits, costs)
        left = [view.name for view in self._views if view not in known]
        if not left or found.status is not AllocationStatus.OPTIMAL:
            return found
        return replace(found, diagnosis=f"views on symbols that take no part now: {', '.join(left)}")

    def _blend(self, expected: Vector, risk: FactorRisk, known: Sequence[SymbolView]) -> Vector:
        """Annual expected returns, shape (n,), from the market, from ``expected`` and from views."""
        covariance = risk.covariance
        held = [(_pick(view, risk.symbols), view.expected, view.confidence) for view in known]
        if self._confidence is not None:
            assets = np.identity(len(expected))
            held += [(pick, value, self._confidence) for pick, value in zip(assets, expected.tolist(), strict=True)]
        views = [View(pick, value, uncertainty_of(share, pick, covariance, self._tau)) for pick, value, share in held]
        implied = equilibrium_returns(self._risk_aversion, covariance, self._market(risk))
        return posterior(implied, covariance, views, self._tau).expected


def _pick(view: SymbolView, symbols: Sequence[str]) -> Vector:
    return np.array([view.weights.get(symbol, 0.0) for symbol in symbols])
