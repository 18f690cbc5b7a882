"""Build the limits of a strategy that optimises from its settings."""

import math

from strategy_plane.limit_settings import LimitSettings
from strategy_plane.optimizers.port import Limits
from strategy_plane.strategies.candidates import SymbolGroup


def build_limits(chosen: LimitSettings) -> Limits:
    """The limits on all symbols together and on each."""
    return Limits(**chosen.model_dump(exclude={"groups"}))


def build_groups(chosen: LimitSettings) -> tuple[SymbolGroup, ...]:
    """The limits on groups of symbols; a bound that is not set bounds nothing."""
    return tuple(
        SymbolGroup(
            name,
            group.symbols,
            -math.inf if group.low is None else group.low,
            math.inf if group.high is None else group.high,
            math.inf if group.gross is None else group.gross,
        )
        for name, group in sorted(chosen.groups.items())
    )
