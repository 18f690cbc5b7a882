"""Closes what a kill switch wants closed, with market orders of the order plane itself."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from contracts.trading import OrderIntent, OrderType, Side, TimeInForce
from domain.calendar import OutsideCalendarError, SessionCalendar
from domain.ids import intent_id
from order_plane.desk import Desk
from order_plane.safety.kill_cancels import CLOSING

_PATIENCE = timedelta(minutes=1)
"""Event time before the next attempt to close what an order of ours did not close."""
_LARGEST = 1e15


class Flattening:
    """Writes one market order for each position to be closed, once nothing works in it any more.

    Such an order only ever reduces what its strategy holds, and what the venue says that it holds: where that is
    something else, one order at a time. It is named after strategy, symbol and moment.
    """

    def __init__(self, calendar: SessionCalendar) -> None:
        self._calendar = calendar
        self._tried: dict[tuple[str, str], datetime] = {}

    def wanted(self, desk: Desk) -> bool:
        """Whether anything is held that must not be."""
        return next(_unwanted(desk), None) is not None

    def intents(self, desk: Desk, untold: Collection[str] = ()) -> list[OrderIntent]:
        """The orders that may be sent now: nothing outside the session, and nothing twice within a minute.

        In symbols ``untold`` more may have traded than is booked: they wait.
        """
        now, books = desk.now, desk.books
        found: list[OrderIntent] = []
        for strategy_id, symbol, units in _unwanted(desk):
            tried = self._tried.get((strategy_id, symbol))
            waits = symbol in untold or (tried is not None and now - tried < _PATIENCE)
            differs = books.differs(symbol)
            waits = waits or (differs and any(each.symbol == symbol for each in found))
            closable = books.closable(symbol, units)
            if waits or not closable or books.works(strategy_id, symbol) or not self._is_open(now):
                continue
            self._tried[strategy_id, symbol] = now
            found.append(_closing(strategy_id, symbol, closable, now))
        return found

    def _is_open(self, now: datetime) -> bool:
        try:
            return self._calendar.is_open(now)
        except OutsideCalendarError:
            return False


def _unwanted(desk: Desk) -> Iterator[tuple[str, str, float]]:
    for strategy_id, held in sorted(desk.books.held_by.items()):
        if held and desk.switch.closes(strategy_id):
            for symbol, units in sorted(held.items()):
                yield strategy_id, symbol, units


def _closing(strategy_id: str, symbol: str, units: float, now: datetime) -> OrderIntent:
    return OrderIntent(
        intent_id=intent_id(strategy_id, symbol, now, CLOSING),
        symbol=symbol,
        direction=Side.SELL if units > 0.0 else Side.BUY,
        quantity=min(abs(units), _LARGEST),
        order_type=OrderType.MARKET,
        timestamp=now,
        strategy_id=strategy_id,
        time_in_force=TimeInForce.DAY,
    )
