"""Scores from past prices alone: momentum and moving averages."""

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from strategy_plane.history import AsOfView, Vector

_UNIT = 2.0**64
"""A price times this is a whole number: every price of 2**-12 or more keeps all its bits."""


class MovingAverageSpread:
    """Difference of two simple moving averages of one price series, one price at a time.

    Sums are kept as whole multiples of 2**-64 and therefore exact: the value depends on nothing but the
    prices in the windows, so a run, a run resumed half way and a recomputation agree to the last bit. Each
    mean is the true mean rounded once, so that equal means compare equal; prices below 2**-12 are cut at 2**-64.
    """

    __slots__ = ("_fast", "_fast_start", "_slow", "_totals")

    def __init__(self, fast: int, slow: int) -> None:
        if not 1 <= fast < slow:
            raise ValueError("fast must be at least 1 and below slow")
        self._fast = fast
        self._slow = slow
        self._fast_start = slow - fast
        self._totals = deque([0], slow + 1)

    def push(self, price: float) -> float | None:
        """Take the next price; the fast mean less the slow one, or None until ``slow`` prices have been seen."""
        totals = self._totals
        total = totals[-1] + int(price * _UNIT)
        totals.append(total)
        if len(totals) <= self._slow:
            return None
        return ((total - totals[self._fast_start]) / self._fast - (total - totals[0]) / self._slow) / _UNIT


class Standardisation(StrEnum):
    """What a momentum score is compared with."""

    CROSS_SECTION = "cross_section"
    OWN_VOLATILITY = "own_volatility"


@dataclass(frozen=True, slots=True)
class Momentum:
    """Return from ``lookback`` bars ago to ``skip`` bars ago, standardised; 252 and 21 is the 12-1 form.

    ``CROSS_SECTION``: z-score among the symbols of the moment (population standard deviation; Jegadeesh
    and Titman 1993 rank the same quantity). ``OWN_VOLATILITY``: divided by the symbol's own volatility over
    the same span (Moskowitz, Ooi and Pedersen 2012). Scores beyond ``limit`` are cut to it.

    A symbol is scored when it has a bar at the view's newest moment and at both ends of the span, and at
    least half of the bars between; a cross-section of fewer than two symbols has no scores.
    """

    lookback: int = 252
    skip: int = 21
    standardisation: Standardisation = Standardisation.CROSS_SECTION
    limit: float = 3.0

    def __post_init__(self) -> None:
        if not 0 <= self.skip < self.lookback - 1:
            raise ValueError("skip must be at least 0 and below lookback - 1")

    @property
    def warm_up(self) -> int:
        """Closes needed: both ends of the span count."""
        return self.lookback + 1

    def __call__(self, view: AsOfView) -> dict[str, float]:
        """One score per symbol that can be scored."""
        panel = view.panel(self.warm_up)
        if len(panel.moments) < self.warm_up:
            return {}
        closes = panel.closes
        span = closes[: self.lookback + 1 - self.skip]
        scored = np.isfinite(closes[-1]) & np.isfinite(span[0]) & np.isfinite(span[-1])
        steps = _relative_steps(span[:, scored])
        enough = np.isfinite(steps).sum(axis=0) * 2 >= len(steps)
        returns = (span[-1] / span[0] - 1.0)[scored][enough]
        raw = self._standardise(returns, steps[:, enough])
        names = [symbol for symbol, kept in zip(panel.symbols, scored, strict=True) if kept]
        kept_names = [name for name, kept in zip(names, enough, strict=True) if kept]
        cut = np.clip(raw, -self.limit, self.limit)
        return {name: float(score) for name, score in zip(kept_names, cut, strict=True) if math.isfinite(score)}

    def _standardise(self, returns: Vector, steps: Vector) -> Vector:
        if self.standardisation is Standardisation.OWN_VOLATILITY:
            spread: Vector = np.sqrt(np.nanvar(steps, axis=0, ddof=1) * len(steps)) if len(returns) else returns
            return np.divide(returns, spread, out=np.full_like(returns, np.nan), where=spread > 0)
        if len(returns) < 2:
            return np.full_like(returns, np.nan)
        deviation = float(np.std(returns))
        centred: Vector = returns - np.mean(returns)
        return centred / deviation if deviation > 0 else np.zeros_like(returns)


def _relative_steps(closes: Vector) -> Vector:
    steps: Vector = closes[1:] / closes[:-1] - 1.0
    return steps
