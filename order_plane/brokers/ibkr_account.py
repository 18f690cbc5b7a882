"""What the gateway lists of the account, as a snapshot that the journal can be held against."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contracts.trading import Side
from domain.ids import foreign_order_id
from ibkr_client.messages import AccountValue, OrderState, Position
from order_plane.brokers.ibkr_book import Book
from order_plane.brokers.ibkr_tracked import Tracked
from order_plane.brokers.port import CompletedOrder, OpenOrder, Snapshot
from order_plane.lifecycle import TERMINAL, history_of

VENUE = "IBKR"
_CASH = "TotalCashValue"
SymbolOf = Callable[[int, str, str, str], str]
"""Our symbol of a contract number, else of the gateway's own symbol, type of security and currency."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account as the gateway lists it: orders of all clients, units held, and cash figures."""

    open_orders: Sequence[OrderState]
    completed_orders: Sequence[OrderState]
    positions: Sequence[Position]
    values: Sequence[AccountValue]


def snapshot_of(account: Account, book: Book, symbol_of: SymbolOf) -> Snapshot:
    """The account beside what ``book`` knows of our orders.

    Orders of other clients have an intent id made of the gateway's permanent number; those that have ended are not
    ours to account for, and are left out. One that bears a label of ours and whose row was lost is named by it. A
    second order of one intent is nobody's, so that a reconciliation alarms.
    """
    ended = (book.labelled(told.reference) for told in account.completed_orders)
    completed = [_completed(order) for order in ended if order is not None]
    return Snapshot(
        tuple(_working(told, book, symbol_of) for told in account.open_orders),
        tuple(book.fills()),
        {_symbol(each, symbol_of): each.quantity for each in account.positions},
        tuple(order for order in completed if order.status in TERMINAL),
        next((float(each.text) for each in account.values if each.tag == _CASH), None),
    )


def _working(told: OrderState, book: Book, symbol_of: SymbolOf) -> OpenOrder:
    direction = Side.BUY if told.side == "BUY" else Side.SELL
    ours = book.labelled(told.reference)
    if ours is None or told.permanent_id in ours.twins:
        name, number = book.unclaimed_name(told.reference), told.order_id
        if name is None:
            name, number = foreign_order_id(VENUE, str(told.permanent_id)), told.permanent_id
        return OpenOrder(name, str(number), _symbol(told, symbol_of), 0.0, direction, told.quantity)
    # What the venue's size increment cut off the wish is no difference: the fill of the rest ends the order.
    quantity = ours.wished if told.quantity == ours.sent else told.quantity
    return OpenOrder(ours.intent_id, str(told.order_id), ours.symbol, ours.traded, direction, quantity)


def _symbol(told: OrderState | Position, symbol_of: SymbolOf) -> str:
    return symbol_of(told.contract_id, told.symbol, told.security_type, told.currency)


def _completed(order: Tracked) -> CompletedOrder:
    status = history_of(order.wished, order.facts.values()).status()
    return CompletedOrder(order.intent_id, str(order.order_id), order.symbol, order.filled, status)
