"""What an engine says of its book, and what it says when something is wrong."""

import re

from contracts.base import Message
from contracts.control import AlertSeverity, PortfolioState, RiskAlert
from contracts.market import SliceEvent
from strategy_plane.engines.book import Book
from strategy_plane.strategies.port import Alarm, PortfolioError

_UNSAYABLE = re.compile(r"[^!-~]")


def portfolio_state(moment: SliceEvent, strategy_id: str, book: Book) -> Message:
    """Positions, cash and equity at ``moment``; an alert when equity is unknown."""
    try:
        equity, cash = book.equity(), book.cash
    except PortfolioError as fault:
        return alert(moment, Alarm("PORTFOLIO_UNKNOWN", str(fault)))
    return PortfolioState(
        timestamp=moment.timestamp,
        strategy_id=strategy_id,
        cash=cash,
        equity=equity,
        positions=dict(sorted(book.positions.items())),
    )


def alert(moment: SliceEvent, alarm: Alarm) -> RiskAlert:
    """A warning as of ``moment``; what no message can hold of an alarm of one's own is replaced or cut."""
    code = _UNSAYABLE.sub("_", alarm.code)[:64] or "ALARM"
    detail = alarm.detail.replace("\0", "")[:512] or code
    return RiskAlert(timestamp=moment.timestamp, severity=AlertSeverity.WARNING, code=code, detail=detail)
