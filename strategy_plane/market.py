"""All that a signal may look at, one event at a time in and one moment at a time out."""

from datetime import datetime

from contracts.base import Message
from contracts.market import BarEvent, FactEvent, OFIEvent
from strategy_plane.history import AsOfView, History
from strategy_plane.tables import FactStore, FactView, FlowStore, FlowView


class MarketView:
    """Bars closed by ``at`` and facts and order flow known before it.

    ``symbols`` are those with a bar at ``at``, sorted: what is compared with each other is what can be traded.
    """

    __slots__ = ("at", "bars", "facts", "flow", "symbols")

    def __init__(self, bars: AsOfView, facts: FactView, flow: FlowView) -> None:
        self.at = bars.at
        self.bars = bars
        self.facts = facts
        self.flow = flow
        self.symbols = bars.traded


class Market:
    """Bars, facts and order flow in bounded stores."""

    __slots__ = ("bars", "facts", "flow")

    def __init__(self, bars: History, facts: FactStore | None = None, flow: FlowStore | None = None) -> None:
        self.bars = bars
        self.facts = FactStore() if facts is None else facts
        self.flow = FlowStore() if flow is None else flow

    def learn(self, event: Message) -> None:
        """Take a bar, a fact or order flow; other messages say nothing about the market here.

        Raises:
            LookAheadError: when an event arrives after one that became known later.
        """
        if isinstance(event, BarEvent):
            self.bars.append(event)
        elif isinstance(event, FactEvent):
            self.facts.append(event)
        elif isinstance(event, OFIEvent):
            self.flow.append(event)

    def as_of(self, at: datetime) -> MarketView:
        """What was known at ``at``."""
        return MarketView(self.bars.as_of(at), self.facts.as_of(at), self.flow.as_of(at))
