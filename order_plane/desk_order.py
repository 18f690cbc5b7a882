"""One order as the desk keeps it while it is not known to be finished."""

from contracts.trading import OrderIntent, Side
from order_plane.lifecycle import History, Status

_BUY, _SUBMITTED = Side.BUY, Status.SUBMITTED  # looking a member up by name costs more than comparing it


class DeskOrder:
    """An order; ``working`` are the units counted as still to trade, ``cash`` what it added to the account so far."""

    __slots__ = ("attempt", "cash", "history", "in_doubt", "intent", "order_id", "sequence", "status", "working")

    def __init__(self, intent: OrderIntent, attempt: int = 1, order_id: str = "", sequence: int = 0) -> None:
        self.intent = intent
        self.attempt = attempt
        self.order_id = order_id
        self.sequence = sequence
        self.history = History(intent.quantity)
        self.history.submitted = True
        self.status = _SUBMITTED
        self.in_doubt = False
        self.working = 0.0
        self.cash = 0.0

    def spent(self) -> float:
        """What its executions took out of the account so far, in currency units."""
        history = self.history
        return (history.value if self.intent.direction is _BUY else -history.value) + history.commission
