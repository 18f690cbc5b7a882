"""Which symbols should have had a bar by now."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from data_plane.quality import SymbolHistory
from data_plane.session_grid import SessionGrid


class Overdue(NamedTuple):
    """A symbol whose bar was ``due`` and has not come."""

    symbol: str
    due: datetime


def overdue(
    histories: Iterable[SymbolHistory], grid: SessionGrid, now: datetime, grace: timedelta
) -> tuple[Overdue, ...]:
    """Symbols without the bar that closed ``grace`` or more before ``now``, in order of symbol.

    A symbol that has not traded yet is not due.
    """
    expected = ((history.symbol, grid.following(history.last)) for history in histories if history.last is not None)
    return tuple(sorted(Overdue(symbol, due) for symbol, due in expected if due is not None and due + grace <= now))
