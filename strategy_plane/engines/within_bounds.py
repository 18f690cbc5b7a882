"""Hold what will be held to the strategy's bounds: after sizing, in whole lots, and in spite of the no-trade band."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from strategy_plane.strategies.port import Alarm, Bound

SLACK = 0.05
"""How far, as a fraction of a bound, prices may carry what is held before small trades are made for it."""
_NOISE = 1e-5
"""What an optimizer may miss a limit by, in fractions of equity."""


@dataclass(slots=True, eq=False)
class Change:
    """A wish for one symbol: signed units to trade, in whole lots; small ones are not made.

    ``held`` is the weight before it and ``worth`` that of one unit, both in fractions of equity.
    """

    symbol: str
    units: float
    held: float
    worth: float
    is_small: bool

    @property
    def after(self) -> float:
        """The weight when it has been traded at today's price."""
        return self.held + self.units * self.worth


def curbed_to(bounds: Iterable[Bound], aimed: Mapping[str, float], held: Mapping[str, float]) -> dict[str, float]:
    """Weights ``aimed`` at, cut in proportion as far as each of ``bounds`` asks for, in their order.

    What is ``held`` in other symbols stays, and uses up its part.
    """
    weights = {**held, **aimed}
    for bound in bounds:
        over = bound.over(weights)
        if over > _NOISE:
            members = bound.cut(aimed)
            cuttable = bound.amount(weights[symbol] for symbol in members)
            share = max(0.0, 1.0 - over / cuttable) if cuttable > 0.0 else 1.0
            weights |= {symbol: weights[symbol] * share for symbol in members}
    return {symbol: weights[symbol] for symbol in aimed}


def fit(bounds: Sequence[Bound], changes: Sequence[Change], held: Mapping[str, float], lot: float) -> None:
    """Take lots off ``changes`` where whole ones are too much of a sum, and make small changes that are needed.

    Needed are those that lower what is beyond a bound by more than `SLACK` without them.
    """
    named = {each.symbol: each for each in changes}
    weights = {**held, **{symbol: each.after for symbol, each in named.items()}}
    for bound in (*bounds, *bounds):  # what is taken off for a later one may be too little left for an earlier one
        over = bound.over(weights)
        if over > _NOISE:
            weights |= _take_off(bound, bound.among(named).values(), over, lot)
    weights = afterwards(changes, held)
    while any([_release(bound, bound.among(named).values(), weights) for bound in bounds]):
        pass


def afterwards(changes: Iterable[Change], held: Mapping[str, float]) -> dict[str, float]:
    """Weights when ``changes`` have been traded at today's prices, but for small ones."""
    return {**held, **{each.symbol: each.after for each in changes if not each.is_small}}


def beyond(bounds: Iterable[Bound], weights: Mapping[str, float], lots: Mapping[str, float]) -> Alarm | None:
    """What is to be said when ``weights`` are beyond ``bounds``, by more than `SLACK` and one of ``lots``.

    ``lots`` are the weights of one lot of each symbol that could be traded.
    """
    found = []
    for bound in bounds:
        over = bound.over(weights)
        if over > max(SLACK * bound.limit, *bound.among(lots).values(), 0.0) + _NOISE:
            found.append(f"{bound.name} is {over + bound.limit:.4f} of at most {bound.limit:.4f}")
    return Alarm("BOUND_BROKEN", "; ".join(found[:10])) if found else None


def _take_off(bound: Bound, changes: Iterable[Change], over: float, lot: float) -> dict[str, float]:
    """Lower what is too much: each position by its part, in whole lots, and the one of the finest lots by the rest.

    Returns the weights of what has changed.
    """
    before = math.inf
    while _NOISE < over < before:
        before = over
        heavy = [each for each in changes if bound.amount((each.after,)) >= lot * each.worth]
        heavy.sort(key=lambda each: (-each.worth, each.symbol))
        total = math.fsum(bound.amount((each.after,)) for each in heavy)
        for each in heavy:
            size, one = bound.amount((each.after,)), lot * each.worth
            lots = math.ceil(over / one - 1e-9) if each is heavy[-1] else math.floor(over * size / total / one)
            taken = min(max(0, lots), math.floor(size / one + 1e-9))
            each.units -= math.copysign(taken * lot, each.after)
            over -= taken * one
            total -= size
    return {each.symbol: each.after for each in changes}


def _release(bound: Bound, changes: Iterable[Change], weights: dict[str, float]) -> bool:
    """Make the small changes, in ``weights``, too, that lower what is beyond ``bound``; whether there were any."""
    if bound.over(weights) <= SLACK * bound.limit + _NOISE:
        return False
    small = (each for each in changes if each.is_small)
    needed = [each for each in small if bound.amount((each.after,)) < bound.amount((each.held,))]
    for each in needed:
        each.is_small = False
        weights[each.symbol] = each.after
    return bool(needed)
