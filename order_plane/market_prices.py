"""The newest market price of each symbol, and how late it is by the market's own clock."""

from datetime import UTC, datetime
from math import nan

from contracts.market import BarEvent, TickEvent

_BEFORE_ALL_TIME = datetime.min.replace(tzinfo=UTC)


class MarketPrices:
    """Folds market events; ``now`` is event time, the newest time of any of them."""

    __slots__ = ("_newest", "moved", "now")

    def __init__(self) -> None:
        self._newest: dict[str, BarEvent | TickEvent] = {}
        self.now = _BEFORE_ALL_TIME
        self.moved = True
        """Set when a price may have changed; whoever values anything clears it."""

    def take(self, event: BarEvent | TickEvent) -> None:
        """Let the event's price stand for its symbol, unless a newer one does, and advance event time."""
        fields = event.__dict__  # a model's attributes cost four times as much as a dictionary's keys
        symbol, at = fields["symbol"], fields["timestamp"]
        if at > self.now:
            self.now = at
        elif symbol in self._newest and at < self._newest[symbol].timestamp:
            return
        self._newest[symbol] = event
        self.moved = True

    def price_of(self, symbol: str) -> float:
        """The newest market price per unit, not-a-number when none was seen."""
        event = self._newest.get(symbol)
        if event is None:
            return nan
        return event.close if isinstance(event, BarEvent) else event.price

    def priced_at(self, symbol: str) -> datetime | None:
        """The event time of that price."""
        event = self._newest.get(symbol)
        return None if event is None else event.timestamp
