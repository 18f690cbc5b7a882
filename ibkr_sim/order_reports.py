"""Who is told of an order, and in which messages: the owner's session and the master client's."""

from collections.abc import Callable
from functools import partial

from ibkr_sim.order import Execution, Order, Status
from ibkr_sim.order_book import OrderBook
from ibkr_sim.order_messages import commission_report, execution_details, open_order, order_status
from ibkr_sim.switchboard import Session, Switchboard

_CORRECTION_DELAY = 0.05
_KNOWN_WITHOUT_LINK = (Status.PENDING_SUBMIT, Status.PENDING_CANCEL)


class OrderReports:
    """The order book's listener; ``on_fill`` is called after each execution, reported or not."""

    book: OrderBook

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self.master_client = -1
        self.linked = True
        self.before_fill: Callable[[Order], None] = lambda _: None
        self.after_fill: Callable[[Order], None] = lambda _: None

    def changed(self, order: Order) -> None:
        """Send openOrder and orderStatus, unless the order's acknowledgements are to be swallowed."""
        if "silent_ack" in order.faults and not order.filled:
            return
        for session in self._audience(order):
            self.send_order(session, order)

    def filled(self, order: Order, execution: Execution) -> None:
        """Send execDetails, openOrder, orderStatus and commissionReport, in the order that the faults want."""
        self.before_fill(order)
        for session in self._audience(order):
            if "commission_first" in order.faults:
                self._board.send_values(session, "commissionReport", commission_report(execution))
            self._board.send_values(session, "execDetails", execution_details(execution))
            if "duplicate_execution" in order.faults:
                self._board.send_values(session, "execDetails", execution_details(execution))
            self.send_order(session, order)
            if "commission_first" not in order.faults:
                self._board.send_values(session, "commissionReport", commission_report(execution))
        if "correct_execution" in order.faults:
            self._board.at(self._board.now + _CORRECTION_DELAY, partial(self._correct, execution))
        self.after_fill(order)

    def cancelled(self, order: Order, code: int, text: str) -> None:
        """Send the end of an order: its status, and the error that says why."""
        for session in self._audience(order):
            if order.status is Status.INACTIVE:
                self._board.error(session, order.order_id, code, text)
                self.send_order(session, order)
                continue
            self._board.send_values(session, "orderStatus", order_status(order))
            if code:
                self._board.error(session, order.order_id, code, text)

    def error(self, order: Order, code: int, text: str) -> None:
        """Send an error or notice about an order."""
        for session in self._audience(order):
            self._board.error(session, order.order_id, code, text)

    def send_order(self, session: Session, order: Order) -> None:
        """Send openOrder and orderStatus to one session."""
        self._board.send_values(session, "openOrder", open_order(order))
        self._board.send_values(session, "orderStatus", order_status(order))

    def _correct(self, execution: Execution) -> None:
        mark = execution.order.faults["correct_execution"]
        name = f"{execution.exec_id[:-1]}2"
        corrected = self.book.correct(execution, mark.price or round(execution.price + 0.01, 4), name)
        for session in self._audience(corrected.order):
            self._board.send_values(session, "execDetails", execution_details(corrected))
            self._board.send_values(session, "commissionReport", commission_report(corrected))
        self.after_fill(corrected.order)

    def _audience(self, order: Order) -> list[Session]:
        if not self.linked and order.status not in _KNOWN_WITHOUT_LINK:
            return []
        wanted = {order.client_id, self.master_client}
        return [session for session in self._board.clients() if session.client_id in wanted]
