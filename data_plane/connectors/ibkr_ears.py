"""Hands what one connection says of market data to several listeners."""

from ibkr_client.messages import HistoryBar, Listener, Notice, QuoteChange, Trade


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
