"""Build the bounds of strategies that choose weights or units without an optimizer."""

from strategy_plane.settings import (
    DualMomentumSettings,
    MomentumHoldingsSettings,
    MovingAverageCrossSettings,
    OwnStrategySettings,
)
from strategy_plane.strategies.port import Bound, Measure, exposure_bounds

Plain = MovingAverageCrossSettings | MomentumHoldingsSettings | DualMomentumSettings | OwnStrategySettings


def plain_bounds(chosen: Plain) -> tuple[Bound, ...]:
    """What may be held in the end, narrow bounds first; a strategy that never sells short may hold nothing short."""
    if isinstance(chosen, MomentumHoldingsSettings):
        gross = max(1.0, chosen.gross) if chosen.limits.gross is None else chosen.limits.gross
        net = gross if chosen.limits.net is None else chosen.limits.net
        return _exposure(gross, net, long_only=not chosen.losers)
    gross, net = chosen.limits.gross, chosen.limits.net
    if isinstance(chosen, DualMomentumSettings):
        return (*_caps(chosen), *_exposure(gross, net, long_only=True))
    if isinstance(chosen, OwnStrategySettings):
        return _exposure(gross, net, long_only=chosen.limits.long_only)
    return _exposure(gross, net, long_only=not chosen.allow_short)


def _exposure(gross: float, net: float, *, long_only: bool) -> tuple[Bound, ...]:
    if long_only:
        return (Bound("long only", Measure.SHORT, 0.0), *exposure_bounds(gross, net, 0.0))
    return exposure_bounds(gross, net, -net)


def _caps(chosen: DualMomentumSettings) -> list[Bound]:
    symbols = [symbol for names in chosen.markets.values() for symbol in names]
    caps = [Bound(f"cap of {symbol}", Measure.GROSS, chosen.cap, frozenset((symbol,))) for symbol in symbols]
    return caps + [
        Bound(f"cap of {market}", Measure.GROSS, chosen.market_cap, frozenset(names))
        for market, names in chosen.markets.items()
    ]
