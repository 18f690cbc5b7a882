"""Scores from how others are positioned: short sellers and institutions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from strategy_plane.market import MarketView
from strategy_plane.signals.port import Inputs, Scores
from strategy_plane.signals.standardise import blend, cross_section
from strategy_plane.tables import Fact

_SHORTEST_QUARTER, _LONGEST_QUARTER = timedelta(days=60), timedelta(days=125)
"""Room for reports that are about the day they were filed."""


def short_ratio(shorted: float, outstanding: float) -> float:
    """Shares sold short as a fraction of shares outstanding (Asquith, Pathak and Ritter 2005); NaN without shares."""
    return shorted / outstanding if outstanding > 0.0 else math.nan


def days_to_cover(shorted: float, daily_volume: float) -> float:
    """Shares sold short over average daily volume, in days (Hong, Li, Ni, Scheinkman and Yan 2015); NaN without volume.

    Both on the share basis of their report.
    """
    return shorted / daily_volume if daily_volume > 0.0 else math.nan


@dataclass(frozen=True, slots=True)
class Positioning:
    """Little shorted, quickly covered and bought by institutions scores high (family POS).

    Reads ``short_table``: ``shares_short``, ``shares_outstanding``, ``average_daily_volume`` of a report (raw shares:
    bars are adjusted for splits, so their volumes are on another basis); and ``ownership_table``:
    ``institutional_share``, the fraction of shares that institutions hold, by quarter. Three parts with the weights
    ``ratio_weight``, ``cover_weight`` and ``ownership_weight``, each standardised over the cross-section:

    * minus `short_ratio` (Asquith, Pathak and Ritter 2005);
    * minus `days_to_cover` (Hong, Li, Ni, Scheinkman and Yan 2015);
    * the change of ``institutional_share`` over the last quarter (Nofsinger and Sias 1999), left out when the two
      newest reports are not about times 60 to 125 days apart.

    A report not followed by another within ``max_age`` of becoming known is left out.
    """

    short_table: str = "short_interest"
    ownership_table: str = "ownership"
    ratio_weight: float = 1.0
    cover_weight: float = 1.0
    ownership_weight: float = 1.0
    max_age: timedelta = timedelta(days=120)
    half_life: float = 40.0

    @property
    def inputs(self) -> Inputs:
        """Both tables."""
        return Inputs(tables=(self.short_table, self.ownership_table))

    @property
    def warm_up(self) -> int:
        """One bar: the moment itself."""
        return 1

    def __call__(self, view: MarketView) -> Scores:
        """One score per symbol that any recent report names."""
        ratios, covers = {}, {}
        for symbol, report in self._reports(view).items():
            shorted = report.get("shares_short", math.nan)
            ratios[symbol] = -short_ratio(shorted, report.get("shares_outstanding", math.nan))
            covers[symbol] = -days_to_cover(shorted, report.get("average_daily_volume", math.nan))
        return blend(
            [
                (self.ratio_weight, cross_section(ratios)),
                (self.cover_weight, cross_section(covers)),
                (self.ownership_weight, cross_section(self._changes(view))),
            ]
        )

    def _reports(self, view: MarketView) -> Mapping[str, Mapping[str, float]]:
        newest = {symbol: view.facts.rows(self.short_table, symbol, 1) for symbol in view.symbols}
        return {
            symbol: facts[-1].values
            for symbol, facts in newest.items()
            if facts and view.at - facts[-1].known <= self.max_age
        }

    def _changes(self, view: MarketView) -> dict[str, float]:
        changes = {}
        for symbol in view.symbols:
            quarters = view.facts.rows(self.ownership_table, symbol, 2)
            if len(quarters) == 2 and view.at - quarters[-1].known <= self.max_age and _is_quarter(*quarters):
                before, now = (fact.values.get("institutional_share", math.nan) for fact in quarters)
                changes[symbol] = now - before
        return changes


def _is_quarter(before: Fact, now: Fact) -> bool:
    """Whether no report is missing or doubled between the two."""
    return _SHORTEST_QUARTER <= now.event_time - before.event_time <= _LONGEST_QUARTER
