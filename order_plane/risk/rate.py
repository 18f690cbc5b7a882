"""The control on how fast orders are sent."""

from contracts.trading import OrderIntent
from order_plane.risk.port import Refusal, RiskCheck, RiskView
from order_plane.throttle import TokenBucket


def message_rate(bucket: TokenBucket) -> RiskCheck:
    """Refuse when ``bucket`` has no token left; stands behind the others, since passing takes one.

    The market's time fills it: an intent that claims a later one would refill it for itself and let others wait.
    """

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if bucket.take(view.now if view.market_at is None else view.market_at):
            return None
        return Refusal("RATE_LIMIT_EXCEEDED", "too many orders in too short a time")

    return check
