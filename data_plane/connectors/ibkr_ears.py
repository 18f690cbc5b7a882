"""Who listens to what one connection says of market data."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from ibkr_client.connection import Connection
from ibkr_client.messages import HistoryBar, Listener, Notice, QuoteChange, Trade


class LiveMarket(Listener, Protocol):
    """A subscription to bars, whatever they are made of; it lives in one event loop."""

    def begin_after(self, newest: Mapping[str, datetime]) -> None:
        """Give nothing up to the close that is known already of each symbol."""
        ...

    async def greet(self, connection: Connection) -> None:
        """Subscribe everything on a new connection, and again when the gateway's own link came back."""
        ...

    def on_time(self) -> None:
        """Look at the clock: bars end, and symbols fall silent."""
        ...

    @property
    def horizon(self) -> datetime:
        """The moment up to which every bar was given that will come."""
        ...


class Ears(Listener):
    """Passes on what concerns market data."""

    def __init__(self) -> None:
        self.all: list[Listener] = []

    def bar_update(self, number: int, bar: HistoryBar) -> None:
        """To everybody."""
        for each in self.all:
            each.bar_update(number, bar)

    def quote(self, change: QuoteChange) -> None:
        """To everybody."""
        for each in self.all:
            each.quote(change)

    def trade(self, trade: Trade) -> None:
        """To everybody."""
        for each in self.all:
            each.trade(trade)

    def notice(self, notice: Notice) -> None:
        """To everybody."""
        for each in self.all:
            each.notice(notice)

    def lost(self) -> None:
        """To everybody."""
        for each in self.all:
            each.lost()
