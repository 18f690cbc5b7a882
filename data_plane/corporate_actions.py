"""Splits and dividends applied forward, so that a published price never needs the future."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from data_plane.connectors.layout import UnreadableSourceError
from domain.calendar import SessionCalendar


class CorporateAction(NamedTuple):
    """What happens to one share at the open of ``ex_date``.

    ``split`` is new shares for each old one (2.0 for two for one, 0.05 for one for twenty); ``dividend`` is cash for
    each share as traded on the ex-date, in the currency of the price.
    """

    symbol: str
    ex_date: date
    split: float = 1.0
    dividend: float = 0.0


class Effect(NamedTuple):
    """A corporate action and the moment from which prices trade without it; closes later than this show it."""

    effective: datetime
    split: float
    dividend: float


class InvalidActionError(UnreadableSourceError):
    """A corporate action that cannot be applied to the price it met."""


class Factors(NamedTuple):
    """Forward factors of a symbol: published price = raw price x ``price``, published volume = raw volume / ``units``.

    ``applied`` counts the effects that are behind.
    """

    price: float = 1.0
    units: float = 1.0
    applied: int = 0


def next_effective(effects: Sequence[Effect], factors: Factors) -> datetime | None:
    """When the next effect changes the factors; None when none is left."""
    return effects[factors.applied].effective if factors.applied < len(effects) else None


def initial(effects: Sequence[Effect], first_close: datetime) -> Factors:
    """The factors of the first bar: 1, with everything that took effect before it closed left out."""
    return Factors(applied=sum(effect.effective < first_close for effect in effects))


def advance(
    symbol: str, effects: Sequence[Effect], factors: Factors, close: datetime, previous: float
) -> tuple[Factors, float]:
    """Factors of a bar of ``symbol`` closing at ``close``, and ``previous``, the last raw close, on its share basis.

    A split multiplies both factors by its ratio. A dividend D multiplies ``price`` by P / (P - D), P being the last raw
    close on the ex-date's basis, so the series compounds to the total return of a holder who buys more shares at
    P - D. This is the inverse of the multiplier 1 - D / P that CRSP's proportional method puts on earlier prices
    (Yahoo Finance help, "What is the adjusted close?": 1 - 0.08 / 24.96 = 0.9968 for MSFT on 2003-02-19), which
    would need the future here.

    Raises:
        InvalidActionError: naming ``symbol``, when a dividend is not smaller than the price it is paid from.
    """
    price, units, applied = factors
    while applied < len(effects) and effects[applied].effective < close:
        effective, split, dividend = effects[applied]
        previous /= split
        if dividend >= previous:
            raise InvalidActionError(
                f"{symbol}: a dividend of {dividend:g} that takes effect on {effective:%Y-%m-%d} must be smaller than "
                f"the close before it, {previous:g}"
            )
        price *= split * previous / (previous - dividend)
        units *= split
        previous -= dividend
        applied += 1
    return Factors(price, units, applied), previous


def effects_by_symbol(
    actions: Iterable[CorporateAction], calendar: SessionCalendar
) -> Mapping[str, tuple[Effect, ...]]:
    """The actions of each symbol in order of effect, those of one session made one.

    An ex-date without a session takes effect at the next one; actions outside the calendar's period are left out.

    Raises:
        InvalidActionError: when a ratio is not positive or a dividend is negative.
    """
    merged: dict[tuple[str, datetime], Effect] = {}
    for symbol, ex_date, split, dividend in sorted(actions):
        if not (0 < split < float("inf") and 0 <= dividend < float("inf")):
            raise InvalidActionError(f"{symbol} {ex_date}: split must be above 0 and dividend at least 0")
        effective = calendar.open_from(ex_date)
        if effective is None:
            continue
        known = merged.get((symbol, effective), Effect(effective, 1.0, 0.0))
        merged[symbol, effective] = Effect(effective, known.split * split, known.dividend + dividend)
    result: dict[str, tuple[Effect, ...]] = {}
    for (symbol, _), effect in sorted(merged.items()):
        result[symbol] = (*result.get(symbol, ()), effect)
    return result
