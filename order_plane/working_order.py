"""An order that is not known to be finished."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from contracts.trading import ExecutionReport, OrderIntent, OrderStatus, Side
from order_plane.alerts import sentence
from order_plane.effects import CancelOrder
from order_plane.facts import Fact
from order_plane.lifecycle import History, Status
from order_plane.reports import NO_ORDER, execution_report, not_behind

EXTERNAL = "EXTERNAL"
"""The strategy of orders that somebody else placed and that were adopted."""
# Looking a member up by name costs more than what is done with it.
_BUY, _SUBMITTED, _REJECTED = Side.BUY, Status.SUBMITTED, OrderStatus.REJECTED


class WorkingOrder:
    """What the desk knows of an order.

    ``working`` are the units counted as still to trade, ``cash`` what it added to the account so far (currency units).
    ``symbol`` and whether it is ``buying`` are those of its ``intent``, asked for too often to be looked up there.
    ``in_doubt`` says that its outcome is unknown, ``lost`` that nobody knows even whether the venue has it.
    """

    __slots__ = (
        "attempt",
        "buying",
        "cash",
        "history",
        "in_doubt",
        "intent",
        "lost",
        "order_id",
        "sequence",
        "status",
        "symbol",
        "working",
    )

    def __init__(self, intent: OrderIntent, attempt: int = 1, order_id: str = "", sequence: int = 0) -> None:
        wish = intent.__dict__  # a model's attributes cost four times as much as a dictionary's keys
        self.intent = intent
        self.symbol: str = wish["symbol"]
        self.buying = wish["direction"] is _BUY
        self.attempt = attempt
        self.order_id = order_id
        self.sequence = sequence
        self.history = history = History(wish["quantity"])
        history.submitted = True
        self.status = _SUBMITTED
        self.in_doubt = self.lost = False
        self.working = 0.0
        self.cash = 0.0

    def spent(self) -> float:
        """What its executions took out of the account so far, in currency units."""
        history = self.history
        return (history.value if self.buying else -history.value) + history.commission

    def report(
        self,
        status: OrderStatus,
        at: datetime,
        reason: str,
        told: Mapping[UUID, ExecutionReport],
        news: Fact | None = None,
    ) -> ExecutionReport:
        """The next report on the order, at event time ``at``, which goes on from what was ``told`` of its intent."""
        before = told.get(self.intent.intent_id) if told else None
        self.sequence = (self.sequence if before is None else max(self.sequence, before.sequence)) + 1
        if status is _REJECTED and not reason:
            reason = "BROKER_REFUSED: the broker gave no reason"
        text = sentence(reason) if reason else None
        report = execution_report(self.intent, self.order_id, self.sequence, status, self.history, at, text, news)
        return report if before is None else not_behind(report, before, self.history)

    def cancel(self, account: str, request_id: str, reason: str = "") -> CancelOrder:
        """The wish to cancel what is open of it, named ``request_id``."""
        return CancelOrder(self.intent.intent_id, self.order_id or NO_ORDER, account, request_id, reason)
