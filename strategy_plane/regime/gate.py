"""How much may be held in each regime."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from strategy_plane.optimizers.port import Limits
from strategy_plane.regime.model import Regime


@dataclass(frozen=True, slots=True)
class Exposure:
    """Largest sum of absolute weights, and largest absolute sum, as fractions of equity."""

    gross: float
    net: float


GATES: Mapping[Regime, Exposure] = MappingProxyType(
    {
        Regime.CALM: Exposure(2.5, 1.0),
        Regime.NORMAL: Exposure(2.0, 0.8),
        Regime.STORM: Exposure(1.0, 0.4),
    }
)


def gated(limits: Limits, exposure: Exposure) -> Limits:
    """``limits`` with gross and net no larger than ``exposure`` allows; a gate never widens a limit."""
    return replace(limits, gross=min(limits.gross, exposure.gross), net=min(limits.net, exposure.net))


def curbed(weights: Mapping[str, float], exposure: Exposure, slack: float) -> dict[str, float] | None:
    """``weights`` cut in proportion to what ``exposure`` allows; None while they are within it, or nearly.

    Nearly is by the fraction ``slack`` of gross and net, so that what prices alone move is not traded back each time.
    """
    gross = math.fsum(map(abs, weights.values()))
    net = abs(math.fsum(weights.values()))
    if gross <= exposure.gross * (1.0 + slack) and net <= exposure.net * (1.0 + slack):
        return None
    share = min(exposure.gross / gross, exposure.net / net if net else 1.0, 1.0)
    return {symbol: weight * share for symbol, weight in weights.items()}
