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
    asked, chosen_net = chosen.bounds.gross, chosen.bounds.net
    needed = chosen.gross if isinstance(chosen, MomentumHoldingsSettings) else 0.0
    gross = max(1.0, needed) if asked is None else asked
    net = gross if chosen_net is None else chosen_net
    caps = _caps(chosen) if isinstance(chosen, DualMomentumSettings) else ()
    return (*caps, *_exposure(gross, net, long_only=_is_long_only(chosen)))


def _is_long_only(chosen: Plain) -> bool:
    if isinstance(chosen, MomentumHoldingsSettings):
        return not chosen.losers
    if isinstance(chosen, MovingAverageCrossSettings):
        return not chosen.allow_short
    return chosen.long_only if isinstance(chosen, OwnStrategySettings) else True


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
