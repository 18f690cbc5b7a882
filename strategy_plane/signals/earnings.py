"""Scores from earnings announcements: how far earnings and revenue were from what the year before suggested."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np

from strategy_plane.history import Vector
from strategy_plane.market import MarketView
from strategy_plane.signals.port import Inputs, Scores
from strategy_plane.signals.standardise import blend, cross_section
from strategy_plane.tables import Fact

_YEAR = 4
_LONGEST_YEAR, _SHORTEST_YEAR = timedelta(days=400), timedelta(days=330)


class SurpriseScale(StrEnum):
    """What a seasonal change of earnings is divided by."""

    PAST_SURPRISES = "past_surprises"
    PRICE = "price"


def standardised_surprise(quarters: Vector, past: int = 8) -> float:
    """Standardised unexpected earnings of the last of ``quarters``, shape (n,), oldest first, without unit.

    ``(e_q - e_{q-4}) / s`` with ``s`` the sample standard deviation (ddof 1) of that difference over the ``past``
    quarters before ``q`` (Foster, Olsen and Shevlin 1984, seasonal random walk; Chan, Jegadeesh and Lakonishok 1996
    with past = 8). Needs past + 5 quarters; NaN with fewer, with a gap, or when the differences never changed.
    """
    needed = past + _YEAR + 1
    if len(quarters) < needed:
        return math.nan
    recent = quarters[-needed:]
    changes = recent[_YEAR:] - recent[:-_YEAR]
    deviation = float(np.std(changes[:-1], ddof=1))
    return float(changes[-1]) / deviation if deviation > 0.0 else math.nan


def price_scaled_surprise(quarters: Vector, price: float) -> float:
    """``(e_q - e_{q-4}) / P``, earnings (n,) and price per share (Livnat and Mendenhall 2006); NaN without either."""
    if len(quarters) <= _YEAR or not price > 0.0:
        return math.nan
    return float(quarters[-1] - quarters[-1 - _YEAR]) / price


@dataclass(frozen=True, slots=True)
class EarningsSurprise:
    """Surprises in earnings and revenue since the last announcement (family ERN).

    Reads ``table``: one row for each symbol and fiscal quarter, ``event_time`` the quarter's end, ``eps`` and
    ``revenue`` per share, and for the ``PRICE`` scale ``price``, all on one share basis. A row counts from the first
    moment after it became **known**: news after the close is used at the next session. A restatement counts with its
    new values from when it was known, but is no new announcement. Standardised over the cross-section, then fading by
    half every ``half_life`` moments (of ``days_per_moment`` days) since the announcement and gone after ``hold``.
    ``revenue_weight`` is the weight of the revenue surprise (Jegadeesh and Livnat 2006), earnings have 1.
    """

    table: str = "earnings"
    past: int = 8
    scale: SurpriseScale = SurpriseScale.PAST_SURPRISES
    revenue_weight: float = 1.0
    hold: timedelta = timedelta(days=90)
    half_life: float = 60.0
    days_per_moment: float = 365.25 / 252.0

    @property
    def inputs(self) -> Inputs:
        """The announcements."""
        return Inputs(tables=(self.table,))

    @property
    def warm_up(self) -> int:
        """One bar: the moment itself."""
        return 1

    def __call__(self, view: MarketView) -> Scores:
        """One score per symbol that announced within ``hold``."""
        earnings: dict[str, float] = {}
        revenues: dict[str, float] = {}
        fading: dict[str, float] = {}
        for symbol in view.symbols:
            quarters = view.facts.rows(self.table, symbol, self.past + _YEAR + 1)
            age = self._age(view, symbol, quarters)
            if age is None or age > self.hold or not _is_seasonal(quarters):
                continue
            fading[symbol] = self._fading(age)
            earnings[symbol] = self._surprise(quarters)
            revenues[symbol] = standardised_surprise(_column(quarters, "revenue"), self.past)
        parts = blend([(1.0, cross_section(earnings)), (self.revenue_weight, cross_section(revenues))])
        return {symbol: score * fading[symbol] for symbol, score in parts.items()}

    def _age(self, view: MarketView, symbol: str, quarters: Sequence[Fact]) -> timedelta | None:
        if not quarters:
            return None
        announced = view.facts.first_known(self.table, symbol, quarters[-1].event_time)
        return None if announced is None else view.at - announced

    def _surprise(self, quarters: Sequence[Fact]) -> float:
        earnings = _column(quarters, "eps")
        if self.scale is SurpriseScale.PRICE:
            return price_scaled_surprise(earnings, quarters[-1].values.get("price", math.nan))
        return standardised_surprise(earnings, self.past)

    def _fading(self, age: timedelta) -> float:
        moments = age / timedelta(days=self.days_per_moment)
        return math.pow(0.5, moments / self.half_life)


def _column(quarters: Sequence[Fact], name: str) -> Vector:
    return np.array([fact.values.get(name, math.nan) for fact in quarters])


def _is_seasonal(quarters: Sequence[Fact]) -> bool:
    """Whether every row is about a year after the fourth row before it: no quarter is missing or doubled."""
    moments: list[datetime] = [fact.event_time for fact in quarters]
    return all(
        _SHORTEST_YEAR <= later - earlier <= _LONGEST_YEAR
        for earlier, later in zip(moments, moments[_YEAR:], strict=False)
    )
