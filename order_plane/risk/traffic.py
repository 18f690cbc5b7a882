"""The control on how many orders are sent for how few executions."""

from contracts.trading import OrderIntent
from order_plane.risk.port import Refusal, RiskCheck, RiskView


def max_orders_per_execution(limit: float, free: float) -> RiskCheck:
    """Refuse when, this order included, more than ``free`` and more than ``limit`` for each execution were sent."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        books = view.books
        sent = books.admitted + 1
        if sent <= free or sent <= limit * books.executions:
            return None
        return Refusal("ORDER_TO_TRADE_RATIO", f"more than {limit:g} orders were sent for each execution")

    return check
