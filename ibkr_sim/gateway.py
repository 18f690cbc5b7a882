"""The gateway itself: it greets clients, hands their requests to the desks and lets faults happen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from ibkr_sim.account import Account
from ibkr_sim.account_desk import AccountDesk
from ibkr_sim.data_desk import DataDesk, DataRules
from ibkr_sim.fault_actions import FaultActions
from ibkr_sim.faults import Fault, FaultScript
from ibkr_sim.history_desk import HistoryDesk
from ibkr_sim.layout import MalformedMessageError, flag, integer
from ibkr_sim.market import Market
from ibkr_sim.order_desk import DeskRules, OrderDesk
from ibkr_sim.order_queries import OrderQueries
from ibkr_sim.pacing import Budget, MessageRate
from ibkr_sim.reference_desk import ReferenceDesk, greeting_time
from ibkr_sim.requests import Received, parse
from ibkr_sim.switchboard import Output, Session, Switchboard, Timetable
from ibkr_sim.wire import frame, join

OLDEST_VERSION, NEWEST_VERSION = 157, 178
ANNOUNCEMENT = 2199, "This is a simulator of Interactive Brokers (algotrade ibkr-sim); nothing here is real. Market "
"""Sent to every client as a notice, a number that Interactive Brokers does not use: nobody must take it for real.

The name of the market follows, so that nobody takes its bars for those of another one either.
"""
_MOST_CLIENTS = 32
_FARMS = ((2104, "Market data farm connection is OK:usfarm"), (2106, "HMDS data farm connection is OK:ushmds"))
_FARMS_AND_DEFINITIONS = (*_FARMS, (2158, "Sec-def data farm connection is OK:secdefil"))
_ORDER_REQUESTS = {"placeOrder", "cancelOrder"}
_DATA_REQUESTS = {"reqHistoricalData", "reqMktData", "reqTickByTickData"}

Handler = Callable[[Session, Received], None]


@dataclass(frozen=True, slots=True)
class GatewayRules:
    """All that can be chosen; ``message_rate`` in messages a second (0: any), ``master_client`` sees all orders.

    With ``time_pacing`` a client is told the time once a second, and not answered if it asks again sooner.
    """

    seed: int = 0
    cash: float = 1_000_000.0
    server_version: int = NEWEST_VERSION
    message_rate: int = 50
    history_pacing: bool = True
    time_pacing: bool = True
    master_client: int = -1
    orders: DeskRules = field(default_factory=DeskRules)
    data: DataRules = field(default_factory=DataRules)


class Gateway:
    """Pure: told of connections, messages and time, it says what is to be sent; see `take_outputs`."""

    def __init__(
        self,
        market: Market,
        accounts: Sequence[str],
        timetable: Timetable,
        rules: GatewayRules,
        faults: Sequence[Fault] = (),
    ) -> None:
        self._rules = rules
        self._board = board = Switchboard(timetable)
        self.market = market
        self.accounts = {name: Account(name, rules.cash) for name in accounts}
        self.orders = OrderDesk(board, market, self.accounts, rules.orders, rules.seed)
        self.data = DataDesk(board, market, rules.data)
        self.history = HistoryDesk(board, market, rules.history_pacing)
        self.portfolio = AccountDesk(board, market, self.accounts)
        self.violations = 0
        self._script = FaultScript(faults)
        self._faults = FaultActions(board, self, self._script)
        self.orders.reports.master_client = rules.master_client
        self.orders.reports.before_fill = self._faults.filled
        self.orders.reports.after_fill = self.portfolio.traded
        self._handlers = self._all_handlers()
        for fault in faults:
            if fault.on is None:
                self._board.at(fault.at or 0.0, partial(self._faults.perform, fault))

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return self._board.now

    @property
    def market_now(self) -> float:
        """The market's moment, in epoch seconds."""
        return self._board.market_now

    @property
    def clients(self) -> list[int]:
        """Client ids that are connected."""
        return [session.client_id for session in self._board.clients()]

    def inject(self, fault: Fault) -> None:
        """Let a fault happen at once, or wait for its trigger."""
        self._faults.inject(fault)

    def take_outputs(self) -> list[Output]:
        """What is to be sent since the last call, in order."""
        taken, self._board.outputs = self._board.outputs, []
        return taken

    def next_due(self) -> float | None:
        """When `advance` has something to do, in seconds since the start."""
        return self._board.next_due()

    def advance(self, now: float) -> None:
        """Let time pass until ``now``, in seconds since the start."""
        self._board.advance(now)

    def greet(self, link: int, text: str) -> None:
        """A client offers the versions it speaks, such as ``v157..176``: agree on one, or close."""
        versions = text.partition(" ")[0].removeprefix("v").split("..")
        rules = self._rules
        session = Session(link, 0, MessageRate(rules.message_rate), Budget(1, 1.0 if rules.time_pacing else 0.0))
        self._board.sessions[link] = session
        try:
            lowest, highest = integer(versions[0]), integer(versions[-1])
        except MalformedMessageError:
            lowest, highest = 1, 0
        session.version = min(highest, rules.server_version)
        if self._faults.closed or session.version < max(lowest, OLDEST_VERSION):
            self._board.close(session)
            return
        data = frame(join([str(session.version), greeting_time(self.market_now)]))
        self._board.outputs.append(Output(link, data))

    def lost(self, link: int) -> None:
        """A client's connection is gone; its orders stay."""
        session = self._board.sessions.pop(link, None)
        if session is not None:
            session.closed = True
            self._forget(session)

    def drop(self, session: Session) -> None:
        """Cut a client's connection; what was not sent yet is lost."""
        self._board.close(session, after_answers=False)
        self._forget(session)

    def receive(self, link: int, texts: Sequence[str]) -> None:
        """A message of a client arrived."""
        session = self._board.sessions.get(link)
        if session is None:
            return
        if not session.rate.admit(self._board.now):
            self._too_fast(session)
            return
        try:
            request = parse(texts, session.version)
            if request.name == "startApi":
                self._start(session, integer(request.values["clientId"]))
            elif session.client_id < 0:
                self._board.error(session, -1, 504, "Not connected")
            else:
                self._handle(session, request)
        except (MalformedMessageError, KeyError):
            self._board.error(session, -1, 320, "Server error when reading an API client request.")

    def _handle(self, session: Session, request: Received) -> None:
        if request.name in _ORDER_REQUESTS:
            self._order_request(session, request)
            return
        if request.name in _DATA_REQUESTS:
            self._data_request(session, request)
            return
        self._handlers[request.name](session, request)

    def _data_request(self, session: Session, request: Received) -> None:
        listing = self.market.listings.find(request.values)
        faults = self._faults.happened(request.name, "" if listing is None else listing.symbol)
        error = next((fault for fault in faults if fault.do == "request_error"), None)
        if error is not None:
            self._board.error(session, request.request_id, error.code, error.text)
        elif request.name == "reqHistoricalData":
            self.history.bars(session, request, tuple(faults))
        else:
            self._handlers[request.name](session, request)

    def _order_request(self, session: Session, request: Received) -> None:
        known = (session.client_id, request.request_id) in self.orders.book.orders
        what_if = flag(request.values.get("whatIf", ""))
        name = "modifyOrder" if request.name == "placeOrder" and known else request.name
        symbol = self.orders.symbol_of(session, request)
        faults = [] if what_if else self._faults.happened(name, symbol)
        if any(fault.do == "lose_request" for fault in faults):
            return
        error = next((fault for fault in faults if fault.do == "request_error"), None)
        if error is not None:
            self._board.error(session, request.request_id, error.code, error.text)
        elif name == "placeOrder":
            self.orders.place(session, request, faults)
        elif name == "modifyOrder":
            self.orders.modify(session, request, faults)
        else:
            self.orders.cancel(session, request, faults)

    def _start(self, session: Session, client_id: int) -> None:
        if self._board.client(client_id) is not None:
            text = "Unable to connect as the client id is already in use. Retry with a unique client id."
            self._board.error(session, -1, 326, text)
            self._board.close(session)
            return
        if len(self._board.clients()) >= _MOST_CLIENTS:
            self._board.close(session)
            return
        session.client_id = client_id
        code, text = ANNOUNCEMENT
        self._board.error(session, -1, code, text + self.market.name)
        self._board.send(session, "managedAccounts", accounts=",".join(self.accounts))
        self._board.send(session, "nextValidId", orderId=self.orders.next_valid_id(client_id))
        for code, text in _FARMS_AND_DEFINITIONS:
            self._board.error(session, -1, code, text)
        if not self.orders.linked:
            self._board.error(session, -1, 1100, "Connectivity between IB and Trader Workstation has been lost.")
        self._faults.happened("connect")

    def _too_fast(self, session: Session) -> None:
        self.violations += 1
        count = session.rate.violations
        text = f"Max rate of messages per second has been exceeded:max={self._rules.message_rate} ({count})"
        self._board.error(session, -1, 100, text)
        if session.rate.struck_out:
            self._board.close(session)
            self._forget(session)

    def _forget(self, session: Session) -> None:
        for desk in (self.data, self.history, self.portfolio):
            desk.forget(session)

    def _request_ids(self, session: Session, _: Received) -> None:
        self._board.send(session, "nextValidId", orderId=self.orders.next_valid_id(session.client_id))

    def _all_handlers(self) -> dict[str, Handler]:
        reference = ReferenceDesk(self._board, self.market, list(self.accounts))
        queries = OrderQueries(self._board, self.orders.book, self.orders.reports)
        accounts, data, history = self.portfolio, self.data, self.history
        silent: Handler = lambda _, __: None  # noqa: E731 - one of many values of a table
        ignored = (
            "setServerLogLevel",
            "reqNewsBulletins",
            "cancelNewsBulletins",
            "cancelMktDepth",
            "cancelHeadTimeStamp",
        )
        empty = ("reqSoftDollarTiers", "reqMktDepthExchanges", "reqSmartComponents", "reqNewsProviders", "reqUserInfo")
        cancelled = ("cancelAccountSummary", "cancelAccountUpdatesMulti", "cancelPositionsMulti")
        return {
            **dict.fromkeys(ignored, silent),
            **dict.fromkeys(empty, reference.nothing),
            **dict.fromkeys((*cancelled, "cancelPnL", "cancelPnLSingle"), accounts.cancel),
            **dict.fromkeys(("cancelMktData", "cancelRealTimeBars", "cancelTickByTickData"), data.cancel),
            "reqIds": self._request_ids,
            "reqGlobalCancel": lambda _, __: self.orders.cancel_all(),
            "reqOpenOrders": queries.open_orders,
            "reqAllOpenOrders": queries.all_open_orders,
            "reqAutoOpenOrders": queries.bind_orders,
            "reqCompletedOrders": queries.completed_orders,
            "reqExecutions": queries.executions,
            "reqAccountUpdates": accounts.updates,
            "reqAccountUpdatesMulti": accounts.updates_multi,
            "reqAccountSummary": accounts.summary,
            "reqPositions": accounts.positions,
            "cancelPositions": accounts.cancel_positions,
            "reqPositionsMulti": accounts.positions_multi,
            "reqPnL": accounts.profit,
            "reqPnLSingle": accounts.profit,
            "reqContractDetails": reference.contract_details,
            "reqMarketRule": reference.market_rule,
            "reqCurrentTime": reference.current_time,
            "reqManagedAccts": reference.managed_accounts,
            "reqMatchingSymbols": reference.matching_symbols,
            "reqSecDefOptParams": reference.option_chain,
            "reqFamilyCodes": reference.family_codes,
            "reqMktDepth": reference.no_depth,
            "reqMarketDataType": data.choose_type,
            "reqMktData": data.quotes,
            "reqRealTimeBars": data.real_time_bars,
            "reqTickByTickData": data.tick_by_tick,
            "cancelHistoricalData": history.cancel,
            "reqHeadTimeStamp": history.head,
            "reqHistoricalTicks": history.ticks,
        }
