"""Limits on the size of a single order."""

from contracts.trading import OrderIntent
from order_plane.risk.port import Refusal, RiskCheck, RiskView


def max_order_quantity(limit: float) -> RiskCheck:
    """Refuse more than ``limit`` units in one order."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if intent.quantity <= limit:
            return None
        return Refusal("QUANTITY_EXCEEDS_MAXIMUM", f"order quantity is above the limit of {limit:g} units")

    return check


def max_order_value(limit: float) -> RiskCheck:
    """Refuse an order that can be worth more than ``limit`` units of account currency."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if intent.quantity * view.price * view.rate <= limit:
            return None
        return Refusal("NOTIONAL_EXCEEDS_MAX_PER_ORDER", f"order value is not known to be within {limit:g}")

    return check
