"""Scores from news sentiment and analyst revisions, which arrive as data from any model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from strategy_plane.market import MarketView
from strategy_plane.signals.port import Inputs, Scores
from strategy_plane.signals.standardise import blend, cross_section
from strategy_plane.tables import Fact

_DAY = timedelta(days=1)
_MOST_NEWS = 256
_SHORTEST_MONTH, _LONGEST_MONTH = timedelta(days=20), timedelta(days=45)
"""Room for estimates that are about the day they were collected."""


def faded_sentiment(news: Sequence[Fact], at: datetime, half_life_days: float) -> float:
    """Mean of ``score`` in [-1, 1], newer and more relevant items counting more; NaN without any.

    The weight is ``relevance`` (1 if absent), halved for every ``half_life_days`` since the item became known.
    """
    weights, scores = [], []
    for fact in news:
        score = fact.values.get("score", math.nan)
        if math.isfinite(score):
            weights.append(fact.values.get("relevance", 1.0) * 0.5 ** ((at - fact.known) / _DAY / half_life_days))
            scores.append(score)
    total = math.fsum(weights)
    products = (weight * score for weight, score in zip(weights, scores, strict=True))
    return math.fsum(products) / total if total > 0.0 else math.nan


def revisions(months: Sequence[Fact]) -> float:
    """Chan, Jegadeesh and Lakonishok (1996), REV6: the sum of (f_t - f_{t-1}) / P_{t-1} over the given months.

    ``months`` hold the consensus ``estimate`` of earnings per share and the share ``price`` at the same time, oldest
    first; seven changes need eight of them. Both on one share basis: a split between two raw estimates would look
    like a revision. NaN when one is missing, by its values or because the next is not 20 to 45 days later, or when a
    price is not positive.
    """
    changes = []
    for before, now in pairwise(months):
        price = before.values.get("price", math.nan)
        if not price > 0.0 or not _SHORTEST_MONTH <= now.event_time - before.event_time <= _LONGEST_MONTH:
            return math.nan
        changes.append((now.values.get("estimate", math.nan) - before.values.get("estimate", math.nan)) / price)
    return math.fsum(changes) if changes and all(map(math.isfinite, changes)) else math.nan


@dataclass(frozen=True, slots=True)
class Sentiment:
    """News sentiment and analyst revisions (family SIF).

    Reads ``news_table``, a row for each item or day with ``score`` in [-1, 1] and optionally ``relevance`` (items of
    one symbol with the same ``event_time`` are versions of one item: give each its own time, or a day their mean), and
    ``estimate_table``, a row for each month with ``estimate`` and ``price``. Whatever wrote the scores is not known
    here: another model is another feed. Two parts with the weights ``news_weight`` and ``revision_weight``, each
    standardised over the cross-section: `faded_sentiment` of the last ``news_window`` (Tetlock 2007), and `revisions`
    over ``months`` changes whose last is at most ``max_age`` old.
    """

    news_table: str = "news_sentiment"
    estimate_table: str = "analyst_estimates"
    news_weight: float = 1.0
    revision_weight: float = 1.0
    news_half_life_days: float = 5.0
    news_window: timedelta = timedelta(days=30)
    months: int = 7
    max_age: timedelta = timedelta(days=62)
    half_life: float = 10.0

    @property
    def inputs(self) -> Inputs:
        """Both tables."""
        return Inputs(tables=(self.news_table, self.estimate_table))

    @property
    def warm_up(self) -> int:
        """One bar: the moment itself."""
        return 1

    def __call__(self, view: MarketView) -> Scores:
        """One score per symbol with recent news or revisions."""
        news = {symbol: self._news(view, symbol) for symbol in view.symbols}
        revised = {symbol: self._revisions(view, symbol) for symbol in view.symbols}
        return blend([(self.news_weight, cross_section(news)), (self.revision_weight, cross_section(revised))])

    def _news(self, view: MarketView, symbol: str) -> float:
        items = view.facts.rows(self.news_table, symbol, _MOST_NEWS)
        recent = [fact for fact in items if view.at - fact.known <= self.news_window]
        return faded_sentiment(recent, view.at, self.news_half_life_days)

    def _revisions(self, view: MarketView, symbol: str) -> float:
        months = view.facts.rows(self.estimate_table, symbol, self.months + 1)
        if len(months) <= self.months or view.at - months[-1].known > self.max_age:
            return math.nan
        return revisions(months)
