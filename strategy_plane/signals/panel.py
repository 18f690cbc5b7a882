"""Scores of a whole history at once, for research and for holding a run against it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from contracts.base import Message
from strategy_plane.history import History, Matrix
from strategy_plane.market import Market
from strategy_plane.signals.port import Signal
from strategy_plane.tables import FactStore, FlowStore


@dataclass(frozen=True, slots=True)
class ScorePanel:
    """Scores of one signal: ``scores`` has shape (moments, symbols), NaN where a symbol was not scored."""

    moments: tuple[datetime, ...]
    symbols: tuple[str, ...]
    scores: Matrix


def whole_market(events: Iterable[Message], moments: int) -> Market:
    """Everything in ``events`` in one market that forgets nothing of ``moments`` moments."""
    market = Market(History(max(1, moments), whole_bars=True), FactStore(10**9), FlowStore(10**9))
    for event in events:
        market.learn(event)
    return market


def score_panel(signal: Signal, market: Market, moments: Sequence[datetime]) -> ScorePanel:
    """The scores of ``signal`` at each of ``moments``, from a market that already holds what came later.

    The signal sees `Market.as_of` of each moment, so the panel equals what a run told event by event had scored.
    """
    rows: list[Mapping[str, float]] = [signal(market.as_of(moment)) for moment in moments]
    symbols = sorted({symbol for row in rows for symbol in row})
    scores = np.array([[row.get(symbol, np.nan) for symbol in symbols] for row in rows])
    return ScorePanel(tuple(moments), tuple(symbols), scores.reshape(len(rows), len(symbols)))
