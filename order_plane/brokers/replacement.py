"""What may be changed of an order that works, at any venue."""

from contracts.trading import OrderIntent
from order_plane.brokers.port import BrokerRefused
from order_plane.effects import ReplaceOrder


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
    if (order.limit_price is None, order.stop_price is None) != (intent.limit_price is None, intent.stop_price is None):
        raise BrokerRefused("TYPE_FIXED: an order keeps its type, and the prices that belong to it")
    return intent.model_copy(
        update={"quantity": order.quantity, "limit_price": order.limit_price, "stop_price": order.stop_price}
    )
