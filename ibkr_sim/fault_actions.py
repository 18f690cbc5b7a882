"""How each fault of a script is carried out."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from ibkr_sim.data_desk import DataDesk
from ibkr_sim.faults import ON_ORDERS, Fault, FaultScript
from ibkr_sim.history_desk import HistoryDesk
from ibkr_sim.market import Market
from ibkr_sim.order import Order
from ibkr_sim.order_desk import OrderDesk
from ibkr_sim.switchboard import MARKET_LINK_DOWN, Session, Switchboard

_LINK_BACK = {
    "lost": (1101, "Connectivity between IB and Trader Workstation has been restored - data lost."),
    "kept": (1102, "Connectivity between IB and Trader Workstation has been restored - data maintained."),
}


class Faulty(Protocol):
    """What faults happen to."""

    market: Market
    orders: OrderDesk
    data: DataDesk
    history: HistoryDesk

    def drop(self, session: Session) -> None:
        """Cut a connection."""


class FaultActions:
    """Carries out faults at once, and those of ``script`` when their trigger comes."""

    def __init__(self, board: Switchboard, gateway: Faulty, script: FaultScript) -> None:
        self._board = board
        self._gateway = gateway
        self._script = script
        self._closed_until = 0.0
        self._actions: dict[str, Callable[[Fault], None]] = {
            "drop_link": self._drop_link,
            "nightly_reset": self._nightly_reset,
            "connectivity": self._connectivity,
            "notice": self._notice,
            "slow_answers": self._slow_answers,
            "halt": self._halt,
            "end_bars": self._end_bars,
        }

    @property
    def closed(self) -> bool:
        """Whether new connections are refused for now."""
        return self._board.now < self._closed_until

    def inject(self, fault: Fault) -> None:
        """Let a fault happen at once; one without a trigger that happens to orders waits for the next order."""
        if fault.on is not None:
            self._script.add(fault)
        elif fault.at is not None:
            self._board.at(fault.at, lambda: self.perform(fault))
        else:
            self.perform(fault)

    def happened(self, trigger: str, symbol: str = "") -> list[Fault]:
        """Carry out what this request or event sets off; returns the faults that happen to its order or request."""
        due = self._script.due(trigger, symbol)
        own = [fault for fault in due if fault.do not in self._actions]
        for fault in due:
            if fault.do in self._actions:
                self.perform(fault)
        return own

    def filled(self, order: Order) -> None:
        """An execution is about to be reported."""
        self.happened("fill", order.listing.symbol)

    def perform(self, fault: Fault) -> None:
        """Carry out a fault at once; one that happens to a request waits for the next."""
        action = self._actions.get(fault.do)
        if action is not None:
            action(fault)
        else:
            trigger = "placeOrder" if fault.do in ON_ORDERS else "reqHistoricalData"
            self._script.add(fault.model_copy(update={"on": trigger}))

    def _drop_link(self, fault: Fault) -> None:
        self._closed_until = self._board.now + fault.seconds
        for session in list(self._board.sessions.values()):
            self._gateway.drop(session)

    def _nightly_reset(self, fault: Fault) -> None:
        self._board.notice(*MARKET_LINK_DOWN)
        self._closed_until = self._board.now + fault.seconds
        # The notice is to arrive before the end: the connections are cut a moment later.
        self._board.at(self._board.now + 0.05, self._cut_all)

    def _cut_all(self) -> None:
        for session in list(self._board.sessions.values()):
            self._gateway.drop(session)

    def _connectivity(self, fault: Fault) -> None:
        self._board.notice(*MARKET_LINK_DOWN)
        self._gateway.orders.lose_link()
        self._gateway.data.streams.linked = self._gateway.history.streams.linked = False
        self._board.at(self._board.now + fault.seconds, lambda: self._restore(fault.data))

    def _restore(self, data: str) -> None:
        gateway = self._gateway
        gateway.data.streams.linked = gateway.history.streams.linked = True
        gateway.history.lose()
        if data == "lost":
            gateway.data.lose()
        self._board.notice(*_LINK_BACK[data])
        gateway.orders.restore_link()

    def _notice(self, fault: Fault) -> None:
        self._board.notice(fault.code, fault.text)

    def _end_bars(self, fault: Fault) -> None:
        self._gateway.history.break_off(
            fault.code or 10182, fault.text or "Failed to request live updates (disconnected)."
        )

    def _slow_answers(self, fault: Fault) -> None:
        self._board.slowness = fault.seconds

    def _halt(self, fault: Fault) -> None:
        gateway = self._gateway
        symbols = [fault.symbol] if fault.symbol in gateway.market.tapes else list(gateway.market.tapes)
        until = self._board.now + fault.seconds
        for symbol in symbols:
            gateway.market.halt(symbol, self._board.timetable.market(until))
            gateway.data.halted(symbol, True)
            self._board.at(until, partial(gateway.data.halted, symbol, False))
