"""An intent as an order of Interactive Brokers, with prices and size on the contract's grid."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC

from contracts.trading import OrderIntent, OrderType, Side, TimeInForce
from ibkr_client.contracts import Qualified
from order_plane.brokers.port import BrokerRefused

_TYPES = {
    OrderType.MARKET: "MKT",
    OrderType.LIMIT: "LMT",
    OrderType.STOP: "STP",
    OrderType.STOP_LIMIT: "STP LMT",
}


@dataclass(frozen=True, slots=True)
class OrderForm:
    """What is sent: ``fields`` as the library names them, ``algo`` parameters, and ``quantity`` in units."""

    fields: Mapping[str, object]
    algo: Mapping[str, str]
    quantity: float


def order_form(intent: OrderIntent, account: str, contract: Qualified, priority: str = "Normal") -> OrderForm:
    """The order for ``intent``, labelled with its id; it still lacks its number.

    Prices are rounded so that the order never trades at a worse price or starts sooner than was wished: a limit to buy
    and a stop to sell down, the others up. The size is rounded down; what is cut off is never ordered. ADAPTIVE is a
    market order, or a limit order when the intent has a limit, worked with ``priority``.

    Raises:
        BrokerRefused: when nothing is left of the size, or a good-till-date order has no date.
    """
    quantity = contract.size_down(intent.quantity)
    if quantity <= 0:
        raise BrokerRefused(f"QUANTITY_TOO_SMALL: {intent.symbol} trades in steps of {contract.size_increment:g}")
    buying = intent.direction is Side.BUY
    fields: dict[str, object] = {
        "action": intent.direction.value,
        "totalQuantity": quantity,
        "account": account,
        "orderRef": str(intent.intent_id),
        "tif": intent.time_in_force.value,
        "transmit": True,
        "outsideRth": False,
    }
    adaptive = intent.order_type is OrderType.ADAPTIVE
    fields["orderType"] = _adaptive_type(intent) if adaptive else _TYPES[intent.order_type]
    algo: dict[str, str] = {}
    if adaptive:
        fields["algoStrategy"] = "Adaptive"
        algo["adaptivePriority"] = priority
    if intent.limit_price is not None:
        fields["lmtPrice"] = _rounded(contract, intent.limit_price, down=buying)
    if intent.stop_price is not None:
        fields["auxPrice"] = _rounded(contract, intent.stop_price, down=not buying)
    if intent.time_in_force is TimeInForce.GTD:
        fields["goodTillDate"] = _date(intent)
    return OrderForm(fields, algo, quantity)


def _adaptive_type(intent: OrderIntent) -> str:
    return "MKT" if intent.limit_price is None else "LMT"


def _rounded(contract: Qualified, price: float, *, down: bool) -> float:
    rounded = contract.price_down(price) if down else contract.price_up(price)
    if rounded <= 0:
        raise BrokerRefused("PRICE_OFF_GRID: no price of the grid lies below the one that was wished")
    return rounded


def _date(intent: OrderIntent) -> str:
    if intent.valid_until is None:
        raise BrokerRefused("NO_DATE: valid_until is required for GTD")
    return f"{intent.valid_until.astimezone(UTC):%Y%m%d-%H:%M:%S}"
