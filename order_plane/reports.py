"""Execution reports built from what the desk knows."""

from datetime import datetime
from uuid import UUID

from contracts.base import Message
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus
from domain.ids import report_id
from order_plane.facts import Fact, FactKind
from order_plane.lifecycle import RELATIVE_TOLERANCE, History, Status

NO_ORDER = "none"
"""The ``order_id`` of an intent that no broker order came of."""
NOTHING_FILLED = History(0.0)
"""The history of an order that never came to be."""

SILENT = frozenset(
    {
        *(FactKind.SUBMITTING, FactKind.CANCEL_REQUESTED, FactKind.CANCEL_REFUSED),
        *(FactKind.REPLACE_REQUESTED, FactKind.SECOND_ORDER),
    }
)
"""Facts that no report follows from."""
# Looking a member up by name costs more than comparing it, and a model's method more than half of what it does here.
_FILL, _trusted = FactKind.FILL, ExecutionReport.trusted
_PENDING = frozenset({Status.PENDING_CANCEL, Status.PENDING_REPLACE})
_REPORTED = {
    Status.CREATED: OrderStatus.SUBMITTED,
    Status.SUBMITTED: OrderStatus.SUBMITTED,
    Status.ACCEPTED: OrderStatus.ACKNOWLEDGED,
    Status.PARTIALLY_FILLED: OrderStatus.PARTIAL_FILL,
    Status.FILLED: OrderStatus.FILLED,
    Status.CANCELLED: OrderStatus.CANCELED,
    Status.EXPIRED: OrderStatus.EXPIRED,
    Status.REJECTED: OrderStatus.REJECTED,
}


def reported(status: Status, history: History) -> OrderStatus:
    """The word of the contract for ``status``; what is to be cancelled or replaced still works, and is reported so."""
    if status in _PENDING:
        return OrderStatus.PARTIAL_FILL if history.filled else OrderStatus.ACKNOWLEDGED
    return _REPORTED[status]


def execution_report(
    intent: OrderIntent,
    order_id: str,
    sequence: int,
    status: OrderStatus,
    history: History,
    at: datetime,
    reason: str | None = None,
    news: Fact | None = None,
) -> ExecutionReport:
    """The ``sequence``-th report on ``intent``, at event time ``at``, from what ``history`` holds.

    ``news`` is the fact that made it; ``reason`` is ``CODE: sentence``.
    """
    fill = news if news is not None and news.kind is _FILL else None
    wish = intent.__dict__  # a model's attributes cost four times as much as a dictionary's keys
    intent_id = wish["intent_id"]
    return _trusted(
        {
            "event_type": "execution_report",
            "intent_id": intent_id,
            "order_id": order_id or NO_ORDER,
            "symbol": wish["symbol"],
            "status": status,
            "filled_quantity": history.filled,
            "avg_fill_price": history.average_price,
            "timestamp": at,
            "reject_reason": reason,
            "report_id": report_id(intent_id, sequence),
            "sequence": sequence,
            "direction": wish["direction"],
            "last_quantity": 0.0 if fill is None else fill.quantity,
            "last_price": (None if fill is None else fill.price) or None,
            "commission": history.commission,
            "strategy_id": wish["strategy_id"],
            "journal_id": None,
            "journal_seq": None,
        }
    )


def keep_newest(newest: dict[UUID, ExecutionReport], report: ExecutionReport) -> None:
    """Have ``newest`` hold ``report``, by its intent, unless a later one is there."""
    known = newest.get(report.intent_id)
    if known is None or known.sequence <= report.sequence:
        newest[report.intent_id] = report


def not_behind(report: ExecutionReport, told: ExecutionReport, history: History) -> ExecutionReport:
    """``report``, which ``history`` led to, with what ``told``, from another journal, says of executions.

    Unless ``history`` has at least as many units: while an execution is not known here it is not taken back for that.
    """
    if history.most >= told.filled_quantity * (1 - RELATIVE_TOLERANCE):
        return report
    works = report.status is OrderStatus.ACKNOWLEDGED
    traded = {name: told.__dict__[name] for name in ("filled_quantity", "avg_fill_price", "commission")}
    status = OrderStatus.PARTIAL_FILL if works else report.status
    return ExecutionReport.trusted({**report.__dict__, **traded, "status": status})


def stamped(message: Message, journal_id: str, sequence: int) -> Message:
    """A report with the journal it came from and how far that was; anything else as it is."""
    if type(message) is not ExecutionReport:
        return message
    return ExecutionReport.trusted({**message.__dict__, "journal_id": journal_id, "journal_seq": sequence})
