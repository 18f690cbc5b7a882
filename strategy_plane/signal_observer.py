"""Follows market events and tells which signal has shown what, and in which regime the market was."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from contracts.base import Message
from contracts.market import BarEvent, FactEvent, OFIEvent, SliceEvent
from kernel.ports import Handler
from strategy_plane.ensemble.brain import Brain, Entry
from strategy_plane.ensemble.information import Summary
from strategy_plane.history import LookAheadError
from strategy_plane.market import Market


class SignalObserver:
    """The ensemble's brain without a portfolio: the same scores, ICs, weights and regimes as in the strategy.

    An observer of a backtest, or told a run's market events afterwards; it says nothing. Bars of symbols that are not
    ``traded`` are passed over, and so are moments at which these alone have one.
    """

    def __init__(self, brain: Brain, market: Market, traded: Callable[[str], bool]) -> None:
        self._brain = brain
        self._market = market
        self._traded = traded
        self._newest: datetime | None = None

    @property
    def handlers(self) -> dict[type[Message], Handler]:
        """One handler for each kind of message it follows."""
        return {BarEvent: self._on_bar, FactEvent: self._learn, OFIEvent: self._learn, SliceEvent: self._on_slice}

    def note(self, messages: Sequence[Message], begin: int, end: int) -> None:
        """Follow the events from ``begin`` to before ``end``."""
        handlers = self.handlers
        for message in messages[begin:end]:
            handler = handlers.get(type(message))
            if handler is not None:
                handler(message)

    @property
    def diary(self) -> Sequence[Entry]:
        """Regime, its probabilities and the signals' weights at each moment of scoring."""
        return self._brain.diary

    def summaries(self) -> Mapping[str, Summary]:
        """What each signal has shown, from labels that have ended."""
        return self._brain.summaries()

    def _learn(self, event: Message) -> tuple[()]:
        with suppress(LookAheadError):  # it became a dead letter when the strategy was told
            self._market.learn(event)
        return ()

    def _on_bar(self, bar: BarEvent) -> tuple[()]:
        if not self._traded(bar.symbol):
            return ()
        self._newest = bar.timestamp
        self._market.learn(bar)
        self._brain.price(bar.symbol, bar.close)
        return ()

    def _on_slice(self, moment: SliceEvent) -> tuple[()]:
        if moment.timestamp == self._newest:
            self._brain.observe(moment.timestamp)
        return ()
