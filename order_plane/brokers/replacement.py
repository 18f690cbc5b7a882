"""What may be changed of an order that works, at any venue."""

from datetime import datetime

from contracts.trading import OrderIntent, OrderType
from order_plane.brokers.port import BrokerRefused
from order_plane.effects import ReplaceOrder
from order_plane.facts import Fact, FactKind


def new_terms(order: ReplaceOrder, filled: float) -> OrderIntent:
    """The intent as it is to work from now on, of which ``filled`` units have traded.

    Raises:
        BrokerRefused: for more than the intent asked for, for no more than has traded, or for another type of order.
    """
    intent = order.intent
    if order.quantity > intent.quantity:
        raise BrokerRefused("QUANTITY_ABOVE_INTENT: an order grows only by another intent")
    if order.quantity <= filled:
        raise BrokerRefused("QUANTITY_TRADED: as much has traded already; cancel the rest instead")
    if order.at_market:
        return intent.model_copy(
            update={"quantity": order.quantity, "order_type": OrderType.MARKET, "limit_price": None, "stop_price": None}
        )
    if (order.limit_price is None, order.stop_price is None) != (intent.limit_price is None, intent.stop_price is None):
        raise BrokerRefused("TYPE_FIXED: an order keeps its type, and the prices that belong to it")
    return intent.model_copy(
        update={"quantity": order.quantity, "limit_price": order.limit_price, "stop_price": order.stop_price}
    )


def replaced(order: ReplaceOrder, at: datetime, order_id: str = "") -> Fact:
    """What is known of an order from event time ``at`` on, once the venue works by the new terms."""
    return Fact(
        order.intent.intent_id,
        FactKind.REPLACED,
        order.request_id,
        at,
        order_id,
        order.quantity,
        order.limit_price or 0.0,
        revision=order.revision,
        reason=f"REPLACED: {described(order)}",
    )


def described(order: ReplaceOrder) -> str:
    """The new terms in words."""
    price = "at the market" if order.at_market else ""
    price = price or ("" if order.limit_price is None else f"limit {order.limit_price:g}")
    return f"{order.quantity:g} units {price}".strip()
