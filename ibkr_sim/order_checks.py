"""Why the gateway refuses an order before it exists: error code and text, in the order it looks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ibkr_sim.layout import integer
from ibkr_sim.market_time import parse
from ibkr_sim.order import Order

ORDER_TYPES = ("MKT", "LMT", "STP", "STP LMT")
TIMES_IN_FORCE = ("DAY", "GTC", "IOC", "FOK", "GTD")
_LIMIT_TYPES, _STOP_TYPES = ("LMT", "STP LMT"), ("STP", "STP LMT")


class Refusal(NamedTuple):
    """An error of the API."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits of the gateway; 0 switches one off.

    ``largest_order`` in shares, ``largest_value`` in dollars, ``price_band`` as the share by which a limit may differ
    from the market.
    """

    read_only: bool = False
    largest_order: float = 500_000.0
    largest_value: float = 0.0
    price_band: float = 0.0


def invalid(cause: str) -> Refusal:
    """Error 321 with its cause."""
    return Refusal(321, f"Error validating request.-'bN' : cause - {cause}")


def expiry(order: Order) -> float | None:
    """When an order that is good till a date ends; None when its date cannot be read."""
    try:
        return parse(order.form.get("goodTillDate", ""))
    except ValueError:
        return None


def _read_only(_: Order, rules: Rules, __: float) -> Refusal | None:
    return invalid("The API interface is currently in Read-Only mode.") if rules.read_only else None


def _words(order: Order, _: Rules, __: float) -> Refusal | None:
    if order.action not in ("BUY", "SELL"):
        return invalid("The action must be BUY or SELL")
    if order.kind not in ORDER_TYPES:
        return Refusal(387, "Unsupported order type for this exchange and security type.")
    if order.time_in_force not in TIMES_IN_FORCE:
        return invalid("The time-in-force is invalid")
    if order.time_in_force == "GTD" and expiry(order) is None:
        return invalid("goodTillDate must be a time such as 20240709 15:00:00 US/Eastern")
    if integer(order.form.get("conditions", "")):
        return invalid("Orders with conditions are not simulated")
    algo = order.form.get("algoStrategy", "")
    return invalid(f"Unknown algo: only Adaptive is simulated, not {algo}") if algo not in ("", "Adaptive") else None


def _quantity(order: Order, rules: Rules, _: float) -> Refusal | None:
    if order.quantity <= 0:
        return Refusal(434, "The order size cannot be zero.")
    if not order.listing.on_size(order.quantity):
        return Refusal(
            10243, "Fractional-sized order cannot be placed via API. Please see desktop version for details."
        )
    if rules.largest_order and order.quantity > rules.largest_order:
        limit = f"{rules.largest_order:g}"
        return Refusal(383, f"The following order size exceeds the Size Limit of {limit}. Restriction is specified.")
    return None


def _prices(order: Order, rules: Rules, market: float) -> Refusal | None:
    if order.kind in _LIMIT_TYPES and not order.limit:
        return invalid("A limit price is needed")
    if order.kind in _STOP_TYPES and not order.stop:
        return invalid("A stop price is needed in auxPrice")
    for price in (order.limit, order.stop):
        if price is not None and price < 0:
            return Refusal(109, "Price is out of the range defined by the Precautionary Settings.")
        if price and not order.listing.on_tick(price):
            return Refusal(110, "The price does not conform to the minimum price variation for this contract.")
    if rules.price_band and order.limit and abs(order.limit - market) > rules.price_band * market:
        return Refusal(109, f"The price {order.limit:g} is out of the range defined by the Precautionary Settings.")
    return None


def _value(order: Order, rules: Rules, market: float) -> Refusal | None:
    if rules.largest_value and order.quantity * market > rules.largest_value:
        return Refusal(451, f"The order value exceeds the Total Value Limit of {rules.largest_value:g} USD.")
    return None


_CHECKS: tuple[Callable[[Order, Rules, float], Refusal | None], ...] = (_read_only, _words, _quantity, _prices, _value)


def refusal(order: Order, rules: Rules, market: float) -> Refusal | None:
    """The first error of ``order`` while the market trades at ``market``; None when it is accepted."""
    return next((found for check in _CHECKS if (found := check(order, rules, market)) is not None), None)


def modification_refusal(live: Order, wanted: Order) -> Refusal | None:
    """Why ``wanted`` is no modification of ``live``: only price, size and time in force may change."""
    same = (
        live.listing == wanted.listing
        and live.action == wanted.action
        and live.account == wanted.account
        and live.kind == wanted.kind
        and live.form.get("ocaGroup", "") == wanted.form.get("ocaGroup", "")
        and live.parent_id == wanted.parent_id
    )
    if not same:
        return Refusal(105, "Order being modified does not match original order.")
    if wanted.quantity <= live.filled:
        return Refusal(104, "Cannot modify a filled order.")
    return None
