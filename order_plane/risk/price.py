"""Controls on the price an order is judged by and the price it asks for."""

from collections.abc import Callable
from datetime import datetime, timedelta
from math import isfinite

from contracts.trading import OrderIntent, OrderType, Side
from order_plane.risk.port import Refusal, RiskCheck, RiskView

# Looking a member up by name costs more than comparing it.
_MARKET, _ADAPTIVE = OrderType.MARKET, OrderType.ADAPTIVE


def fresh_reference(max_age: timedelta) -> RiskCheck:
    """Refuse when the market price is missing, older than ``max_age``, or no finite positive number."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if view.reference_at is None:
            return Refusal("NO_REFERENCE", "no market price of the symbol has been seen")
        if not isfinite(view.reference) or view.reference <= 0:
            return Refusal("NO_REFERENCE", "the market price of the symbol is not a positive number")
        if not isfinite(view.rate):
            return Refusal("NO_REFERENCE", "nothing says what the currency of the symbol is worth")
        if view.rate_at is not None and view.now - view.rate_at > max_age:
            return Refusal("NO_REFERENCE", f"the exchange rate of the symbol's currency is older than {max_age}")
        if view.now - view.reference_at <= max_age:
            return None
        return Refusal("NO_REFERENCE", f"the market price of the symbol is older than {max_age}")

    return check


class MarketGoesOn:
    """Refuses when the newest market event is older than ``max_age`` by the venue's own time.

    Event time stands still while no bars come: an intent that was left over by a run of last week would be fresh by it.
    """

    def __init__(self, max_age: timedelta, venue_time: Callable[[], datetime]) -> None:
        self._max_age = max_age
        self._venue_time = venue_time

    def __call__(self, intent: OrderIntent, view: RiskView) -> Refusal | None:
        """The control."""
        if view.market_at is not None and self._venue_time() - view.market_at <= self._max_age:
            return None
        return Refusal("NO_REFERENCE", f"by the venue's time the newest market price is older than {self._max_age}")


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


def worst_price(intent: OrderIntent, reference: float) -> float:
    """The most a unit can be worth: a buyer's limit caps it, every other price of its type can only raise it."""
    kind = intent.order_type
    if kind is _MARKET or kind is _ADAPTIVE:
        return reference
    limit = None if kind is OrderType.STOP else intent.limit_price
    if limit is not None and intent.direction is Side.BUY:
        return limit
    stop = 0.0 if kind is OrderType.LIMIT else intent.stop_price or 0.0
    return max(reference, limit or 0.0, stop)  # not-a-number stays first and wins
