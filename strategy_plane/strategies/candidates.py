"""Which symbols can take part in a decision, and what is held beside them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from strategy_plane.history import AsOfView, Matrix
from strategy_plane.optimizers.port import GroupLimit, Limits
from strategy_plane.strategies.port import Bound, Measure, Portfolio, exposure_bounds


def complete_returns(
    view: AsOfView, candidates: Sequence[str], window: int, max_missing: float
) -> tuple[list[str], Matrix]:
    """The candidates with enough closes over the newest ``window`` returns, and these, shape (periods, symbols).

    A symbol takes part when at most ``max_missing`` of its closes are missing and its price has moved. Without a close
    its price stays and the next return makes up for it; the window begins when all of them have had one.
    """
    panel = view.carried(window + 1, max_missing, candidates, late_starts=True)
    returns = panel.closes[1:] / panel.closes[:-1] - 1.0
    moved = np.nan_to_num(np.abs(returns)).max(axis=0, initial=0.0) > 0.0
    symbols = [symbol for symbol, keep in zip(panel.symbols, moved.tolist(), strict=True) if keep]
    complete = returns[:, moved]
    return symbols, complete[~np.isnan(complete).any(axis=1)]


@dataclass(frozen=True, slots=True)
class SymbolGroup:
    """Bounds on the weights of some symbols together; see `GroupLimit`."""

    name: str
    symbols: tuple[str, ...]
    low: float = -math.inf
    high: float = math.inf
    gross: float = math.inf


def limits_beside(
    limits: Limits, symbols: Sequence[str], portfolio: Portfolio, groups: Sequence[SymbolGroup] = ()
) -> Limits:
    """``limits`` that know what is held in other than ``symbols``, and the ``groups`` of these."""
    outside = {symbol: portfolio.weight(symbol) for symbol in portfolio.symbols if symbol not in symbols}
    found = [_group(group, symbols, outside) for group in groups]
    return replace(
        limits,
        outside_gross=math.fsum(map(abs, outside.values())),
        outside_net=math.fsum(outside.values()),
        groups=tuple(group for group in found if group.members),
    )


def bounds_of(limits: Limits, symbols: Sequence[str]) -> tuple[Bound, ...]:
    """What of ``limits`` on ``symbols`` is kept after sizing, too: box, groups, gross and net.

    Less may always be held, since lots and a cash buffer make it so: a sum that must be above zero bounds nothing.
    """
    bounds = [Bound(f"box of {symbol}", Measure.GROSS, limits.box, frozenset((symbol,))) for symbol in symbols]
    for group in limits.groups:
        members = frozenset(symbols[place] for place in group.members)
        sides = (Measure.GROSS, group.gross), (Measure.NET_LONG, group.high), (Measure.NET_SHORT, -group.low)
        bounds += [Bound(group.name, side, max(0.0, most), members) for side, most in sides if most < math.inf]
    return (*bounds, *exposure_bounds(limits.gross, limits.net, min(0.0, limits.lowest_net)))


def _group(group: SymbolGroup, symbols: Sequence[str], outside: Mapping[str, float]) -> GroupLimit:
    """The group's bounds on those of its members that take part; what is held in the others uses them up."""
    members = tuple(place for place, symbol in enumerate(symbols) if symbol in group.symbols)
    held = [outside[symbol] for symbol in group.symbols if symbol in outside]
    net, gross = math.fsum(held), math.fsum(map(abs, held))
    return GroupLimit(group.name, members, group.low - net, group.high - net, group.gross - gross)
