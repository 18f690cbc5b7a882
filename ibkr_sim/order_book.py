"""All orders of the gateway and what becomes of them: acceptance, matching, cancellation, brackets and groups."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf
from typing import Protocol

from ibkr_sim.account import Account, commission
from ibkr_sim.matching import Liquidity, execution_price, execution_quantity, touches_stop
from ibkr_sim.order import Execution, Order, Status
from ibkr_sim.tape import Print

Quote = Callable[[str, float], Print | None]
"""The newest print of a symbol at a moment; None when nothing trades there then."""


class Listener(Protocol):
    """Who is told what happens to an order."""

    def changed(self, order: Order) -> None:
        """Its status or size changed."""

    def filled(self, order: Order, execution: Execution) -> None:
        """It traded."""

    def cancelled(self, order: Order, code: int, text: str) -> None:
        """It ended unfilled; ``code`` is the API's error, 0 for none."""


@dataclass(frozen=True, slots=True)
class Venue:
    """How the exchange behaves: ``depth`` as in `Liquidity`, ``largest_fill`` in shares (0 for no limit)."""

    depth: float = 1.0
    largest_fill: float = 0.0


class OrderBook:
    """Orders by client and order id; ``execution_prefix`` starts every execution id."""

    def __init__(self, accounts: dict[str, Account], venue: Venue, listener: Listener, execution_prefix: str) -> None:
        self._accounts = accounts
        self._venue = venue
        self._listener = listener
        self._prefix = execution_prefix
        self._working: dict[str, dict[tuple[int, int], Order]] = {}
        self._kept_back: dict[tuple[int, int], Order] = {}
        self._liquidity: dict[str, Liquidity] = {}
        self.orders: dict[tuple[int, int], Order] = {}
        self.executions: list[Execution] = []

    def open_orders(self) -> list[Order]:
        """Orders that may still trade, oldest first."""
        found = [order for orders in self._working.values() for order in orders.values()]
        return sorted(found, key=lambda order: order.permanent_id)

    def working(self, symbol: str) -> list[Order]:
        """Open orders of one symbol, oldest first."""
        return list(self._working.get(symbol, {}).values())

    def symbols(self) -> list[str]:
        """Symbols with open orders."""
        return [symbol for symbol, orders in self._working.items() if orders]

    def add(self, order: Order) -> None:
        """Hold a new order; its status is set by `refresh`."""
        self.orders[order.key] = order
        self._working.setdefault(order.listing.symbol, {})[order.key] = order
        if not order.transmitted:
            self._kept_back[order.key] = order

    def parent(self, order: Order) -> Order | None:
        """The order of the same client that must fill first."""
        return self.orders.get((order.client_id, order.parent_id)) if order.parent_id else None

    def active(self, order: Order) -> bool:
        """Whether the order works at the exchange: sent, and its parent filled."""
        parent = self.parent(order)
        return order.transmitted and (parent is None or parent.status is Status.FILLED)

    def refresh(self, order: Order, in_session: bool) -> None:
        """Set the status that follows from what the order waits for, and tell of a change."""
        if order.status.ended or order.status is Status.PENDING_CANCEL:
            return
        active = self.active(order)
        waits = order.waits_for_stop or not active or not in_session
        status = Status.PRE_SUBMITTED if waits else Status.SUBMITTED
        order.held = (
            "" if not waits else "trigger" if active and order.waits_for_stop else "child" if not active else ""
        )
        if status is not order.status:
            order.status = status
            self._listener.changed(order)

    def transmit_with(self, order: Order) -> list[Order]:
        """Orders of a bracket that were kept back and leave with ``order``."""
        if not order.transmitted:
            return []
        family = {order.parent_id, order.order_id} - {0}
        kept = [
            other
            for other in self._kept_back.values()
            if other.client_id == order.client_id
            and not other.status.ended
            and (other.order_id in family or other.parent_id in family)
        ]
        for other in kept:
            other.form["transmit"] = "1"
            del self._kept_back[other.key]
        return kept

    def match(self, symbol: str, quote: Print, now: float, only: Order | None = None) -> None:
        """Let the open orders of a symbol, or one that arrives, trade against ``quote`` at moment ``now``."""
        liquidity = self._liquidity.setdefault(symbol, Liquidity(self._venue.depth))
        liquidity.show(quote)
        for order in self.working(symbol) if only is None else [only]:
            if order.status.ended or order.due > now or not self.active(order):
                continue
            if order.waits_for_stop and touches_stop(order, quote):
                order.triggered = True
                self.refresh(order, in_session=True)
            self._trade(order, quote, liquidity, now)
            if order.time_in_force in ("IOC", "FOK") and not order.status.ended and not order.waits_for_stop:
                self.end(order, now, 202, "Order Canceled - reason:")

    def _trade(self, order: Order, quote: Print, liquidity: Liquidity, now: float) -> None:
        price = execution_price(order, quote)
        if price is None:
            return
        quantity = execution_quantity(order, liquidity.available(order.buys))
        if quantity <= 0:
            return
        liquidity.take(order.buys, quantity)
        largest = order.faults["shred"].quantity if "shred" in order.faults else self._venue.largest_fill or inf
        while quantity > 0 and not order.status.ended:
            piece = min(quantity, largest, order.remaining)
            self._fill(order, piece, price, now)
            quantity = round(quantity - piece, 8)

    def _fill(self, order: Order, shares: float, price: float, now: float) -> None:
        signed = shares if order.buys else -shares
        fee = commission(shares, price, first_of_order=not order.executions)
        realized = self._accounts[order.account].trade(order.listing.contract_id, signed, price, fee)
        order.filled = round(order.filled + shares, 8)
        order.paid += shares * price
        order.last_price = price
        name = f"{self._prefix}.{len(self.executions) + 1:08x}.01.01"
        done = Execution(
            name, order, now, shares, price, order.filled, order.average_price, fee, realized, order.kind == "LMT"
        )
        self.executions.append(done)
        order.executions.append(done)
        if order.remaining <= 0:
            self._close(order, Status.FILLED, now, "Filled")
        self._listener.filled(order, done)
        self._regroup(order, shares, now)

    def correct(self, execution: Execution, price: float, exec_id: str) -> Execution:
        """Replace an execution by one at another price: books the difference and returns the correction."""
        order, shares = execution.order, execution.shares
        signed = shares if order.buys else -shares
        account = self._accounts[order.account]
        account.trade(order.listing.contract_id, -signed, execution.price, 0.0)
        account.trade(order.listing.contract_id, signed, price, 0.0)
        order.paid += shares * (price - execution.price)
        corrected = Execution(
            exec_id,
            order,
            execution.time,
            shares,
            price,
            execution.cumulative,
            order.average_price,
            execution.commission,
            execution.realized,
            execution.adds_liquidity,
        )
        for listed in (self.executions, order.executions):
            listed[listed.index(execution)] = corrected
        return corrected

    def end(self, order: Order, now: float, code: int = 202, text: str = "Order Canceled - reason:") -> None:
        """Cancel what remains of an order, and of the orders that wait for it."""
        if order.status.ended:
            return
        self._close(order, Status.CANCELLED, now, "Cancelled by Trader" if code else "Expired")
        self._listener.cancelled(order, code, text)
        if not order.filled:
            for child in self._others(order, lambda other: other.parent_id == order.order_id):
                if child.client_id == order.client_id:
                    self.end(child, now)

    def reject(self, order: Order, now: float, code: int, text: str) -> None:
        """End an order that the exchange or the margin does not allow."""
        self._close(order, Status.INACTIVE, now, "Rejected")
        self._listener.cancelled(order, code, text)

    def _regroup(self, order: Order, shares: float, now: float) -> None:
        """A fill cancels or reduces the other orders of its group, and starts the children of a filled order."""
        if order.group:
            for other in self._others(order, lambda each: each.group == order.group):
                if order.reduces and other.remaining > shares:
                    other.quantity = round(other.quantity - shares, 8)
                    self._listener.changed(other)
                else:
                    self.end(other, now)
        if order.status is Status.FILLED:
            for child in self._others(order, lambda each: each.parent_id == order.order_id):
                if child.client_id == order.client_id:
                    self.refresh(child, in_session=True)

    def _others(self, order: Order, wanted: Callable[[Order], bool]) -> Iterable[Order]:
        return [other for other in self.open_orders() if other is not order and wanted(other)]

    def _close(self, order: Order, status: Status, now: float, ending: str) -> None:
        order.status, order.held = status, ""
        order.ended_at, order.ending = now, ending
        self._working.get(order.listing.symbol, {}).pop(order.key, None)
