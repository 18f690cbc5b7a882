"""What may be changed of an order that works, and in which words the venue is asked for it."""

from collections.abc import Callable, Mapping
from uuid import UUID

from contracts.trading import OrderIntent
from order_plane.brokers.port import BrokerRefused
from order_plane.brokers.replacement import new_terms
from order_plane.effects import ReplaceOrder
from order_plane.facts import Fact, FactKind
from order_plane.lifecycle import Status
from order_plane.risk.port import Refusal
from order_plane.unacceptable import NotOpen, NotReplaceable
from order_plane.working_order import WorkingOrder

AT_MARKET_REQUEST = "unfilled-replace"
"""Names the wish that makes a market order of one; the journal keeps it, so a restart knows that it was asked for.

The names of changes of such an order begin with it, so that the newest that the venue took says what the order is.
"""


def is_at_market(change: Fact) -> bool:
    """Whether an order works at the market once the venue has made ``change``, whatever its intent asked for."""
    return change.fact_id.startswith(AT_MARKET_REQUEST)


class OrderChanges:
    """Writes replacements of the ``orders`` that are open; ``forbids`` asks the controls about the terms of one."""

    __slots__ = ("_account", "_forbids", "_orders")

    def __init__(
        self,
        account: str,
        orders: Mapping[int, WorkingOrder],
        forbids: Callable[[OrderIntent], Refusal | None],
    ) -> None:
        self._account = account
        self._orders = orders
        self._forbids = forbids

    def pending(self, intent_id: UUID, news: Fact | None = None) -> bool:
        """Whether the venue was asked to replace the order, and nobody knows whether it did, not even from ``news``."""
        order = self._orders.get(intent_id.int)
        if order is None or not order.history.unanswered:
            return False
        return news is None or news.kind is not FactKind.REPLACED or news.revision < order.history.changes

    def at_market(self, intent_id: UUID, request_id: str) -> ReplaceOrder:
        """What is open of an order as a market order; raises as `wished` does."""
        order, _ = self._replaceable(intent_id)
        return self._allowed(order, self._change(order, request_id, at_market=True))

    def wished(
        self, intent_id: UUID, request_id: str, quantity: float | None, limit_price: float | None, reason: str
    ) -> ReplaceOrder:
        """An order with another size (units, what has traded included) or limit price, as a person wants it.

        Raises:
            NotOpen: when it is not open.
            NotReplaceable: when it cannot be changed so, or a control refuses the new terms.
        """
        order, at_market = self._replaceable(intent_id)
        if limit_price is not None and (at_market or order.intent.limit_price is None):
            raise NotReplaceable("TYPE_FIXED: the order has no limit price")
        name = f"{request_id}-{order.history.changes + 1}"  # a person may wish twice at one event time
        name = f"{AT_MARKET_REQUEST}-{name}" if at_market else name
        change = self._change(order, name, quantity, limit_price, at_market=at_market, reason=reason)
        return self._allowed(order, change)

    def _replaceable(self, intent_id: UUID) -> tuple[WorkingOrder, bool]:
        """An order that is known to work, and whether it became a market order."""
        order = self._orders.get(intent_id.int)
        if order is None:
            raise NotOpen("no order of this intent is open; list those that are with algotrade orders list")
        history = order.history
        if history.status() is Status.PENDING_CANCEL:
            raise NotReplaceable("PENDING_CANCEL: the order is being cancelled")
        if not (history.acked or history.filled) or order.lost or (order.in_doubt and not history.unanswered):
            raise NotReplaceable("OUTCOME_UNKNOWN: nobody knows whether the venue has the order")
        return order, history.replaced is not None and is_at_market(history.replaced)

    def _change(
        self,
        order: WorkingOrder,
        request_id: str,
        quantity: float | None = None,
        limit_price: float | None = None,
        *,
        at_market: bool,
        reason: str = "",
    ) -> ReplaceOrder:
        intent, latest = order.intent, order.history.replaced
        limit = intent.limit_price if latest is None else latest.price or None
        return ReplaceOrder(
            intent,
            self._account,
            order.history.size if quantity is None else quantity,
            None if at_market else limit if limit_price is None else limit_price,
            None if at_market else intent.stop_price,
            at_market,
            request_id,
            order.history.changes + 1,
            reason,
        )

    def _allowed(self, order: WorkingOrder, change: ReplaceOrder) -> ReplaceOrder:
        """``change``, unless the order cannot be so or a control says no to what would be open of it."""
        filled = order.history.filled
        try:
            terms = new_terms(change, filled)
        except BrokerRefused as refusal:
            raise NotReplaceable(refusal.reason) from None
        forbidden = self._forbids(terms.model_copy(update={"quantity": terms.quantity - filled}))
        if forbidden is not None:
            raise NotReplaceable(str(forbidden))
        return change
