"""How much may be held in each regime."""

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
