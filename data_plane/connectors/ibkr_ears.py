"""Hands what one connection says of market data to several listeners."""

from ibkr_client.error_policy import FARM_BACK, FARM_BROKEN, LINK_UP
from ibkr_client.messages import HistoryBar, Listener, Notice, QuoteChange, Trade

_OF_FARMS = FARM_BROKEN.keys() | FARM_BACK.keys() | LINK_UP


class Ears(Listener):
    """Passes on what concerns market data; whoever is added later hears what was said of farms since the connection."""

    def __init__(self) -> None:
        self._all: list[Listener] = []
        self._of_farms: list[Notice] = []

    def add(self, listener: Listener) -> None:
        """Pass on to ``listener``, too."""
        for notice in self._of_farms:
            listener.notice(notice)
        self._all.append(listener)

    def bar_update(self, number: int, bar: HistoryBar) -> None:
        """To everybody."""
        for each in self._all:
            each.bar_update(number, bar)

    def quote(self, change: QuoteChange) -> None:
        """To everybody."""
        for each in self._all:
            each.quote(change)

    def trade(self, trade: Trade) -> None:
        """To everybody."""
        for each in self._all:
            each.trade(trade)

    def notice(self, notice: Notice) -> None:
        """To everybody."""
        if notice.code in _OF_FARMS:
            self._of_farms.append(notice)
        for each in self._all:
            each.notice(notice)

    def lost(self) -> None:
        """To everybody."""
        self._of_farms.clear()
        for each in self._all:
            each.lost()
