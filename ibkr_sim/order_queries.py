"""Answers about orders: open ones, completed ones and executions."""

from ibkr_sim.layout import integer
from ibkr_sim.market_time import parse, trading_day
from ibkr_sim.order import Execution
from ibkr_sim.order_book import OrderBook
from ibkr_sim.order_messages import commission_report, completed_order, execution_details
from ibkr_sim.order_reports import OrderReports
from ibkr_sim.requests import Received
from ibkr_sim.switchboard import Session, Switchboard

_SIDES = {"BUY": True, "BOT": True, "SELL": False, "SLD": False}


class OrderQueries:
    """Reads the order book for clients."""

    def __init__(self, board: Switchboard, book: OrderBook, reports: OrderReports) -> None:
        self._board = board
        self._book = book
        self._reports = reports

    def open_orders(self, session: Session, _: Received) -> None:
        """Open orders of the asking client."""
        self._list_open(session, session.client_id)

    def all_open_orders(self, session: Session, _: Received) -> None:
        """Open orders of all clients."""
        self._list_open(session, None)

    def bind_orders(self, session: Session, _: Received) -> None:
        """Orders entered by hand, of which there are none here; only client 0 may ask."""
        if session.client_id != 0:
            self._board.error(session, -1, 327, "Only the default client (i.e. 0) can auto bind orders.")

    def completed_orders(self, session: Session, _: Received) -> None:
        """Orders that ended today."""
        today = trading_day(self._board.market_now)
        for order in self._book.orders.values():
            if order.status.ended and trading_day(order.ended_at) == today:
                self._board.send_values(session, "completedOrder", completed_order(order))
        self._board.send(session, "completedOrdersEnd")

    def executions(self, session: Session, request: Received) -> None:
        """Executions of today that pass the filter, of all clients."""
        asked = request.values
        try:
            since = parse(asked["time"]) if asked["time"] else 0.0
        except ValueError:
            self._board.error(
                session, request.request_id, 321, "Error validating request: the filter's time is invalid"
            )
            return
        for execution in self._book.executions:
            if execution.time >= since and self._passes(execution, asked):
                details = execution_details(execution, request.request_id)
                self._board.send_values(session, "execDetails", details)
                self._board.send_values(session, "commissionReport", commission_report(execution))
        self._board.send(session, "execDetailsEnd", reqId=request.request_id)

    def _passes(self, execution: Execution, asked: dict[str, str]) -> bool:
        order = execution.order
        pairs: tuple[tuple[object, object], ...] = (
            (integer(asked["clientId"]) or None, order.client_id),
            (asked["account"] or None, order.account),
            (asked["symbol"] or None, order.listing.symbol),
            (asked["secType"] or None, "STK"),
            (_SIDES.get(asked["side"].upper()), order.buys),
        )
        today = trading_day(self._board.market_now)
        return trading_day(execution.time) == today and all(want in (None, have) for want, have in pairs)

    def _list_open(self, session: Session, client_id: int | None) -> None:
        for order in self._book.open_orders():
            if client_id is None or order.client_id == client_id:
                self._reports.send_order(session, order)
        self._board.send(session, "openOrderEnd")
