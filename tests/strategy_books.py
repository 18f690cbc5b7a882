"""The book of a strategy that already holds something, as tests of what it trades next need it."""

from collections.abc import Mapping
from datetime import UTC, datetime

from contracts.trading import ExecutionReport, OrderStatus, Side
from domain.ids import intent_id
from strategy_plane.engines.book import Book

BEFORE = datetime(2024, 1, 2, 21, tzinfo=UTC)
"""When what is held was traded."""


def book_of(closes: Mapping[str, float], units: Mapping[str, float], cash: float) -> Book:
    """A book that had ``cash``, has bought or sold ``units`` at ``closes``, and sees these."""
    book = Book(cash)
    for symbol, count in units.items():
        if count:
            book.report(
                ExecutionReport(
                    intent_id=intent_id("old", symbol, BEFORE),
                    order_id="1",
                    symbol=symbol,
                    status=OrderStatus.FILLED,
                    filled_quantity=abs(count),
                    avg_fill_price=closes[symbol],
                    timestamp=BEFORE,
                    direction=Side.BUY if count > 0.0 else Side.SELL,
                )
            )
    book.marks.update(closes)
    return book
