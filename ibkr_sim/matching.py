"""When an order trades, at what price and how much of it: price and time priority against displayed quotes."""

from ibkr_sim.order import Order
from ibkr_sim.tape import Print


class Liquidity:
    """What one quote still offers on each side; a new quote replenishes it.

    ``depth`` multiplies the displayed size: 1 makes large orders fill in parts, infinity fills all at once.
    """

    __slots__ = ("_ask", "_bid", "_depth", "_quote")

    def __init__(self, depth: float = 1.0) -> None:
        self._depth = depth
        self._quote: Print | None = None
        self._bid = self._ask = 0.0

    def show(self, quote: Print) -> None:
        """Take over a quote, unless it is the one shown already."""
        if quote is not self._quote:
            self._quote = quote
            self._bid, self._ask = quote.bid_size * self._depth, quote.ask_size * self._depth

    def available(self, buys: bool) -> float:
        """Shares on the side that a buyer or a seller takes."""
        return self._ask if buys else self._bid

    def take(self, buys: bool, quantity: float) -> None:
        """Use up shares of a side."""
        if buys:
            self._ask -= quantity
        else:
            self._bid -= quantity


def touches_stop(order: Order, quote: Print) -> bool:
    """Whether a trade at ``quote.price`` triggers the order's stop."""
    stop = order.stop or 0.0
    return quote.price >= stop if order.buys else quote.price <= stop


def execution_price(order: Order, quote: Print) -> float | None:
    """The price at which the order trades against ``quote``; None when its limit forbids it or its stop waits."""
    if order.waits_for_stop:
        return None
    price = quote.ask if order.buys else quote.bid
    if order.kind in ("MKT", "STP") or order.limit is None:
        return price
    marketable = price <= order.limit if order.buys else price >= order.limit
    return price if marketable else None


def execution_quantity(order: Order, available: float) -> float:
    """Shares that trade when ``available`` are offered; all or nothing for fill-or-kill and all-or-none orders."""
    quantity = min(order.remaining, available)
    step = order.listing.size_increment
    quantity = round(int(quantity / step + 1e-9) * step, 8)
    whole = order.time_in_force == "FOK" or order.form.get("allOrNone", "") == "1"
    return 0.0 if whole and quantity < order.remaining else quantity
