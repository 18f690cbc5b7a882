"""Hold the winners of the past year in equal parts, and if wanted sell the losers short."""

from contracts.market import BarEvent, SliceEvent
from strategy_plane.history import History
from strategy_plane.signals.port import BarSignal
from strategy_plane.strategies.port import Portfolio, Targets, nobody_scored


class Momentum:
    """Long the ``winners`` symbols of the highest scores, short the ``losers`` of the lowest, in equal parts.

    Jegadeesh and Titman (1993), with any score of past closes. The long side is ``exposure`` of equity, the short
    side as much when there is one. Fewer scored symbols than winners and losers together leave all as is. Equal
    scores rank by name. What is held and not chosen is sold.
    """

    def __init__(
        self, signal: BarSignal, winners: int = 2, losers: int = 0, exposure: float = 1.0, period: int = 21
    ) -> None:
        if winners < 1 or losers < 0 or period < 1:
            raise ValueError("winners and period must be at least 1 and losers at least 0")
        self._signal = signal
        self._winners = winners
        self._losers = losers
        self._exposure = exposure
        self._period = period
        self._history = History(signal.warm_up)

    @property
    def warm_up(self) -> int:
        """What the signal needs."""
        return self._signal.warm_up

    @property
    def period(self) -> int:
        """Moments between two rebalances."""
        return self._period

    def on_bar(self, bar: BarEvent) -> None:
        """Take one close."""
        self._history.append(bar)

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """Equal weights of the chosen, best first, and zero for the rest; an alarm when nobody can be scored."""
        listed = frozenset(moment.symbols)
        view = self._history.as_of(moment.timestamp)
        scores = self._signal(view)
        if not scores:
            return nobody_scored(len(view.traded))
        ranked = sorted((symbol for symbol in scores if symbol in listed), key=lambda name: (-scores[name], name))
        if len(ranked) < self._winners + self._losers:
            return None
        weights = dict.fromkeys(ranked[: self._winners], self._exposure / self._winners)
        if self._losers:
            weights |= dict.fromkeys(ranked[-self._losers :], -self._exposure / self._losers)
        others = {*ranked, *portfolio.symbols} - weights.keys()
        return Targets(weights | dict.fromkeys(sorted(others), 0.0))
