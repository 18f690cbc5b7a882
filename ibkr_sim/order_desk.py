"""Orders as clients see them: place, modify, cancel, list, and the reports of what happens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf

from ibkr_sim.account import Account
from ibkr_sim.faults import Fault
from ibkr_sim.layout import flag
from ibkr_sim.market import Market
from ibkr_sim.market_time import stamp
from ibkr_sim.order import Mark, Order, Status, decoded
from ibkr_sim.order_book import OrderBook, Venue
from ibkr_sim.order_checks import Refusal, Rules, expiry, invalid, modification_refusal, refusal
from ibkr_sim.order_messages import what_if
from ibkr_sim.order_reports import OrderReports
from ibkr_sim.requests import Received
from ibkr_sim.switchboard import Session, Switchboard

_FIRST_PERMANENT_ID = 1_000_000_000


@dataclass(frozen=True, slots=True)
class DeskRules:
    """``latency`` is how long an order needs to the exchange, ``cancel_latency`` a cancellation, in seconds.

    ``active_orders`` is how many may work per contract, side and account; 0 means any number.
    """

    rules: Rules = field(default_factory=Rules)
    venue: Venue = field(default_factory=Venue)
    latency: float = 0.0
    cancel_latency: float = 0.0
    active_orders: int = 20


class OrderDesk:
    """Holds the order book; ``seed`` makes the ids."""

    def __init__(
        self, board: Switchboard, market: Market, accounts: dict[str, Account], rules: DeskRules, seed: int
    ) -> None:
        self._board = board
        self._market = market
        self._accounts = accounts
        self._rules = rules
        self._next_ids: dict[int, int] = {}
        self._permanent_id = _FIRST_PERMANENT_ID + seed % 1_000_000
        self._watched: set[str] = set()
        self._kept: list[Callable[[], None]] = []
        self.linked = True
        self.reports = OrderReports(board)
        self.book = OrderBook(accounts, rules.venue, self.reports, f"{seed & 0xFFFFFFFF:08x}")
        self.reports.book = self.book

    def next_valid_id(self, client_id: int) -> int:
        """The smallest order id that this client may use; the sequence outlives its sessions."""
        return self._next_ids.get(client_id, 1)

    def place(self, session: Session, request: Received, faults: Sequence[Fault]) -> None:
        """Accept, refuse or try (what-if) a new order."""
        order_id = request.request_id
        order, refused = self._order(session, request)
        if order is None or refused is not None:
            self._refuse(session, order_id, refused)
            return
        price = self._market.price(order.listing.symbol, self._board.market_now)
        refused = refusal(order, self._rules.rules, price)
        if refused is not None:
            self._refuse(session, order_id, refused)
        elif flag(order.form.get("whatIf", "")):
            account = self._accounts[order.account]
            self._board.send_values(session, "openOrder", what_if(order, account, self._price_of))
        elif order_id < self.next_valid_id(session.client_id):
            self._refuse(session, order_id, Refusal(103, "Duplicate order id"))
        else:
            self._accept(session, order, faults)

    def modify(self, session: Session, request: Received, faults: Sequence[Fault]) -> None:
        """Change price, size or time in force of a live order."""
        live = self.book.orders[session.client_id, request.request_id]
        forced = next((fault for fault in faults if fault.do == "order_error"), None)
        if forced is not None:
            self._board.error(session, live.order_id, forced.code, forced.text or "Order cannot be modified")
            return
        wanted, refused = self._order(session, request)
        if wanted is None or refused is not None:
            self._refuse(session, live.order_id, refused)
            return
        refused = self._modification_refusal(live, wanted)
        if refused is not None:
            self._refuse(session, live.order_id, refused)
            return
        live.quantity, live.limit, live.stop = wanted.quantity, wanted.limit, wanted.stop
        live.time_in_force = wanted.time_in_force
        live.form |= {name: wanted.form[name] for name in ("lmtPrice", "auxPrice", "totalQuantity", "tif", "transmit")}
        self.reports.changed(live)
        if self.linked:
            self._dispatch(live)

    def cancel(self, session: Session, request: Received, faults: Sequence[Fault]) -> None:
        """Cancel one order of this client."""
        order_id = request.request_id
        order = self.book.orders.get((session.client_id, order_id))
        forced = next((fault for fault in faults if fault.do == "order_error"), None)
        if forced is not None:
            self._board.error(session, order_id, forced.code, forced.text or "Cancel attempted when it is not possible")
        elif order is None:
            text = f"OrderId {order_id} that needs to be cancelled is not found."
            self._board.error(session, order_id, 10147, text)
        elif order.status.ended:
            text = f"OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {order.status}."
            self._board.error(session, order_id, 10148, text)
        else:
            self._cancel(order)

    def cancel_all(self) -> None:
        """Cancel every open order of every client."""
        for order in self.book.open_orders():
            self._cancel(order)

    def restore_link(self) -> None:
        """The link to the exchange is back: what was kept leaves now."""
        self.linked = self.reports.linked = True
        kept, self._kept = self._kept, []
        for action in kept:
            action()

    def lose_link(self) -> None:
        """The link to the exchange is lost: orders wait, and what happens there is not reported."""
        self.linked = self.reports.linked = False

    def symbol_of(self, session: Session, request: Received) -> str:
        """The symbol that an order request is about; empty when there is none."""
        order = self.book.orders.get((session.client_id, request.request_id))
        if order is not None:
            return order.listing.symbol
        listing = self._market.listings.find(request.values) if "symbol" in request.values else None
        return "" if listing is None else listing.symbol

    def _order(self, session: Session, request: Received) -> tuple[Order | None, Refusal | None]:
        listing = self._market.listings.find(request.values)
        if listing is None:
            return None, Refusal(200, "No security definition has been found for the request")
        account = request.values["account"] or (next(iter(self._accounts)) if len(self._accounts) == 1 else "")
        if not account:
            return None, Refusal(435, "You must specify an account.")
        if account not in self._accounts:
            return None, invalid("The account code is invalid")
        return decoded(request.values, session.client_id, 0, listing, account), None

    def _refuse(self, session: Session, order_id: int, refused: Refusal | None) -> None:
        if refused is not None:
            self._board.error(session, order_id, *refused)

    def _modification_refusal(self, live: Order, wanted: Order) -> Refusal | None:
        if live.status is Status.FILLED:
            return Refusal(104, "Cannot modify a filled order.")
        if live.status.ended:
            return Refusal(103, "Duplicate order id")
        price = self._market.price(live.listing.symbol, self._board.market_now)
        return modification_refusal(live, wanted) or refusal(wanted, self._rules.rules, price)

    def _accept(self, session: Session, order: Order, faults: Sequence[Fault]) -> None:
        self._next_ids[session.client_id] = order.order_id + 1
        self._permanent_id += 1
        order.permanent_id = self._permanent_id
        order.faults = {each.do: Mark(each.code, each.text, each.quantity, each.price) for each in faults}
        order.due = inf
        rejected = self._rejection(order)
        self.book.add(order)
        if rejected is not None:
            self.book.reject(order, self._board.market_now, *rejected)
            return
        early = order.faults.get("early_error")
        if early is not None:
            self.reports.error(order, early.code, early.text or "Order message")
        family = self.book.transmit_with(order)
        if not self.linked:
            self._kept.append(partial(self._send_to_exchange, order))
            self.reports.changed(order)
            return
        self._send_to_exchange(order)
        for other in family:
            self._dispatch(other)

    def _send_to_exchange(self, order: Order) -> None:
        if order.status.ended:
            return
        symbol, now = order.listing.symbol, self._board.market_now
        order.due = self._board.timetable.market(self._board.now + self._rules.latency)
        in_session = self._market.open_at(symbol, now)
        opens = self._market.tapes[symbol].next_open(now)
        if not in_session and opens is not None:
            order.warning = f"Your order will not be placed at the exchange until {stamp(opens)}"
        self.book.refresh(order, in_session)
        if order.warning:
            self.reports.error(order, 399, f"Order Message:\n{order.action} {symbol}\nWarning: {order.warning}")
        mark = order.faults.get("order_error")
        if mark is not None:
            self.reports.error(order, mark.code, mark.text or "Order message")
        ends = expiry(order) if order.time_in_force == "GTD" else self._market.close_after(symbol, now)
        if order.time_in_force in ("DAY", "GTD") and ends is not None:
            self._board.at_market(ends, partial(self._expire, order))
        self._dispatch(order)

    def _dispatch(self, order: Order) -> None:
        """Let the order meet the market once it has arrived there, and from then on at each print."""
        symbol = order.listing.symbol
        if order.due > self._board.market_now:
            self._board.at_market(order.due, partial(self._meet, symbol, order))
        else:
            self._meet(symbol, order)
        self._watch(symbol)

    def _meet(self, symbol: str, arrived: Order | None = None) -> None:
        now = self._board.market_now
        quote = self._market.quote(symbol, now)
        if quote is None:
            return
        # The others have met this quote already when it came.
        for order in self.book.working(symbol) if arrived is None else [arrived]:
            if order.due <= now:
                self.book.refresh(order, in_session=True)
        self.book.match(symbol, quote, now, arrived)

    def _watch(self, symbol: str) -> None:
        following = self._market.tapes[symbol].next_print(self._board.market_now)
        if symbol in self._watched or following is None or not self.book.working(symbol):
            return
        self._watched.add(symbol)
        self._board.at_market(following.time, partial(self._observe, symbol))

    def _observe(self, symbol: str) -> None:
        self._watched.discard(symbol)
        self._meet(symbol)
        self._watch(symbol)

    def _expire(self, order: Order) -> None:
        self.book.end(order, self._board.market_now, 0, "")

    def _cancel(self, order: Order) -> None:
        end = partial(self._end, order)
        if not self.linked:
            self._kept.append(end)
        elif not self._rules.cancel_latency:
            end()
            return
        else:
            self._board.at(self._board.now + self._rules.cancel_latency, end)
        order.status = Status.PENDING_CANCEL
        self.reports.changed(order)

    def _end(self, order: Order) -> None:
        if order.status is Status.FILLED:
            text = f"OrderId {order.order_id} that needs to be cancelled cannot be cancelled, state: {order.status}."
            self.reports.error(order, 10148, text)
        else:
            self.book.end(order, self._board.market_now)

    def _rejection(self, order: Order) -> Refusal | None:
        mark = order.faults.get("reject")
        if mark is not None:
            return Refusal(mark.code or 201, mark.text or "Order rejected - reason:The exchange is not accepting it.")
        same = [
            other
            for other in self.book.working(order.listing.symbol)
            if other.action == order.action and other.account == order.account
        ]
        if self._rules.active_orders and len(same) >= self._rules.active_orders:
            return Refusal(201, "Order rejected - reason:The number of active orders per contract and side is reached.")
        signed = order.quantity if order.buys else -order.quantity
        account = self._accounts[order.account]
        number = order.listing.contract_id
        grows = abs(account.quantity(number) + signed) > abs(account.quantity(number))
        if grows and not order.parent_id and account.available_after(number, signed, self._price_of) < 0:
            return Refusal(201, "Order rejected - reason:The available funds do not cover the initial margin.")
        return None

    def _price_of(self, contract_id: int) -> float:
        return self._market.price_of(contract_id, self._board.market_now)
