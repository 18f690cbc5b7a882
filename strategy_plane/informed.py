"""A stage whose strategy also knows facts and order flow."""

from collections.abc import Mapping, Sequence

from contracts.base import Message
from contracts.market import FactEvent, OFIEvent
from kernel.ports import Handler, Stage
from strategy_plane.market import Market


class InformedStage:
    """Hands everything to ``stage`` and keeps facts and order flow in the ``market`` that its strategy reads.

    A fact or an interval of order flow leads to nothing by itself: slices are what decisions are taken at.
    """

    def __init__(self, stage: Stage, market: Market) -> None:
        self._stage = stage
        self._market = market
        self.settle = stage.settle

    @property
    def handlers(self) -> Mapping[type[Message], Handler]:
        """Those of the stage, and one for each kind of knowledge."""
        return {**self._stage.handlers, FactEvent: self._learn, OFIEvent: self._learn}

    def restore(self, message: Message) -> None:
        """Learn what was known before a restart, or let the stage fold it in."""
        if isinstance(message, FactEvent | OFIEvent):
            self._market.learn(message)
        else:
            self._stage.restore(message)

    def _learn(self, event: FactEvent | OFIEvent) -> Sequence[Message]:
        self._market.learn(event)
        return ()
