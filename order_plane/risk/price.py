"""Controls on the price an order is judged by and the price it asks for."""

from datetime import timedelta
from math import isfinite

from contracts.trading import OrderIntent, Side
from order_plane.risk.port import Refusal, RiskCheck, RiskView


def fresh_reference(max_age: timedelta) -> RiskCheck:
    """Refuse when the market price is missing, older than ``max_age``, or no finite positive number."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if view.reference_at is None:
            return Refusal("NO_REFERENCE", "no market price of the symbol has been seen")
        if not isfinite(view.reference) or view.reference <= 0:
            return Refusal("NO_REFERENCE", "the market price of the symbol is not a positive number")
        if view.now - view.reference_at <= max_age:
            return None
        return Refusal("NO_REFERENCE", f"the market price of the symbol is older than {max_age}")

    return check


def price_collar(fraction: float) -> RiskCheck:
    """Refuse a limit worse for us than the reference by more than ``fraction`` of it.

    Only the harmful side is collared: a bid far below the market, or an offer far above, rests.
    """

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        limit = intent.limit_price
        if limit is None:
            return None
        if intent.direction is Side.BUY:
            within = limit <= view.reference * (1 + fraction)
        else:
            within = limit >= view.reference * (1 - fraction)
        if within:
            return None
        return Refusal("PRICE_COLLAR", f"limit price is not known to be within {fraction:.2%} of the market")

    return check
