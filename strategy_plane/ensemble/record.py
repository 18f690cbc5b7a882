"""Scores that wait for their labels, and what became of those whose labels have ended."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from strategy_plane.ensemble.information import Outcome, Summary, information_coefficient, long_short, summary
from strategy_plane.signals.port import Scores

Prices = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Waiting:
    due: int
    scores: Mapping[str, Scores]
    weights: Mapping[str, float]
    turnovers: Mapping[str, float]
    prices: Prices


class TrackRecord:
    """Keeps every signal's matured labels.

    A label is the simple return from the moment of scoring to ``horizon`` moments later. It counts once it has
    **ended**, at that later moment and not before; so nothing that is asked at a moment rests on a later price.
    Moments are counted by `advance`.
    """

    def __init__(self, names: Sequence[str], horizon: int, fewest: int = 3) -> None:
        if horizon < 1:
            raise ValueError("horizon must be at least 1 moment")
        self._horizon = horizon
        self._fewest = fewest
        self._moment = 0
        self._waiting: deque[_Waiting] = deque()
        self._held: dict[str, Mapping[str, float]] = {}
        self.outcomes: dict[str, list[Outcome]] = {name: [] for name in names}

    def advance(self, prices: Prices) -> None:
        """One moment later: ``prices`` are the newest closes, of symbols that no longer trade their last ones."""
        self._moment += 1
        while self._waiting and self._waiting[0].due <= self._moment:
            self._mature(self._waiting.popleft(), prices)

    def score(self, scores: Mapping[str, Scores], weights: Mapping[str, float], prices: Prices) -> None:
        """Take the scores of this moment by signal, and the share that each signal has in the ensemble now."""
        turnovers = {name: self._turnover(name, of_signal) for name, of_signal in scores.items()}
        self._waiting.append(_Waiting(self._moment + self._horizon, scores, weights, turnovers, prices))

    def summaries(self, spacing: int, periods_per_year: float) -> dict[str, Summary]:
        """What each signal has shown so far; ``spacing`` is how many moments scorings are apart."""
        return {
            name: summary(outcomes, spacing, self._horizon, periods_per_year)
            for name, outcomes in self.outcomes.items()
        }

    def _mature(self, waited: _Waiting, prices: Prices) -> None:
        returns = {symbol: prices[symbol] / price - 1.0 for symbol, price in waited.prices.items() if symbol in prices}
        for name, scores in waited.scores.items():
            held = long_short(scores)
            earned = math.fsum(weight * returns.get(symbol, 0.0) for symbol, weight in held.items())
            self.outcomes[name].append(
                Outcome(
                    information_coefficient(scores, returns, self._fewest),
                    earned if held else math.nan,
                    waited.turnovers[name],
                    waited.weights.get(name, 0.0),
                )
            )

    def _turnover(self, name: str, scores: Scores) -> float:
        before, now = self._held.get(name, {}), long_short(scores)
        self._held[name] = now
        if not before:
            return math.nan
        return math.fsum(abs(now.get(symbol, 0.0) - before.get(symbol, 0.0)) for symbol in now.keys() | before.keys())
