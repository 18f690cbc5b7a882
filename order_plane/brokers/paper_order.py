"""One order as the paper venue sees it."""

from datetime import datetime

from contracts.trading import OrderIntent, Side
from order_plane.brokers.port import CompletedOrder, OpenOrder
from order_plane.facts import Fact
from order_plane.lifecycle import history_of

_BUY = Side.BUY  # looking a member up by name costs more than comparing it


class PaperOrder:
    """An accepted order and what has traded of it.

    It trades in bars later than ``accepted_at`` and no later than ``expires_at``; ``value`` is the sum of
    quantity times price of its ``executions``, ``commission`` what they cost together (currency units).
    ``wished`` is the size it had at first: what a replacement cut off is cancelled when the rest is filled.
    ``facts`` are those made since this process began; ``stored`` is for a store to know that it holds the terms.
    """

    __slots__ = (
        "accepted_at",
        "commission",
        "executions",
        "expires_at",
        "facts",
        "filled",
        "finished",
        "intent",
        "intent_id",
        "order_id",
        "stored",
        "triggered",
        "value",
        "wished",
    )

    def __init__(self, intent: OrderIntent, accepted_at: datetime, expires_at: datetime | None) -> None:
        self.intent = intent
        self.intent_id = intent.intent_id
        self.wished = intent.quantity
        self.order_id = f"paper-{self.intent_id.int.to_bytes(16).hex()}"  # str() of the id takes five times as long
        self.accepted_at = accepted_at
        self.expires_at = expires_at
        self.triggered = self.stored = False
        self.filled = self.value = self.commission = 0.0
        self.executions = 0
        self.facts: list[Fact] = []
        self.finished = False

    def signed(self, quantity: float) -> float:
        """``quantity`` as a change of position."""
        return quantity if self.intent.direction is _BUY else -quantity

    def listed(self) -> OpenOrder:
        """The order as a snapshot lists it while it works."""
        intent = self.intent
        return OpenOrder(self.intent_id, self.order_id, intent.symbol, self.filled, intent.direction, self.wished)

    def completed(self) -> CompletedOrder:
        """The order as a snapshot lists it once it has ended."""
        status = history_of(self.wished, self.facts).status()
        return CompletedOrder(self.intent_id, self.order_id, self.intent.symbol, self.filled, status)
