"""Build what every strategy that optimises chooses weights by, and within, from its settings."""

import math

from strategy_plane.limit_settings import LimitSettings
from strategy_plane.optimizers.composition import build_costs, build_optimizer, build_risk_model
from strategy_plane.optimizers.port import Limits
from strategy_plane.settings import MomentumMeanVarianceSettings, SignalEnsembleSettings
from strategy_plane.strategies.allocation import Allocator
from strategy_plane.strategies.candidates import SymbolGroup


def build_allocator(chosen: MomentumMeanVarianceSettings | SignalEnsembleSettings) -> Allocator:
    """What estimates risk and chooses weights; trades cost nothing unless the settings say what they do."""
    return Allocator(
        build_optimizer(chosen.optimizer),
        build_risk_model(chosen.risk),
        chosen.risk_window,
        chosen.max_missing,
        chosen.periods_per_year,
        build_costs(chosen.costs, chosen.periods_per_year / chosen.rebalance_every),
    )


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
