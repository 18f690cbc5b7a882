"""The price collar over a period: how far the market has moved to where an order would trade."""

from collections import deque
from datetime import datetime, timedelta
from math import isfinite, nan

from contracts.trading import NEEDS_LIMIT, OrderIntent, Side
from order_plane.risk.port import Refusal, RiskCheck, RiskView

_BUY = Side.BUY


class _Mark:
    """A price that was in force until ``ended``; None for the one that still is."""

    __slots__ = ("ended", "price")

    def __init__(self, price: float) -> None:
        self.price = price
        self.ended: datetime | None = None


class _Path:
    """The marks of one symbol that can still be an extreme of some window, oldest first; all are known ``since`` then.

    Lowest prices rise from the oldest to the newest, highest ones fall, so that either begins with its extreme.
    """

    __slots__ = ("highest", "lowest", "since")

    def __init__(self, since: datetime) -> None:
        self.since = since
        self.lowest: deque[_Mark] = deque()
        self.highest: deque[_Mark] = deque()

    def add(self, price: float, at: datetime) -> None:
        """``price`` is in force from ``at`` on."""
        for marks, sign in ((self.lowest, 1.0), (self.highest, -1.0)):
            if marks:
                marks[-1].ended = at
            while marks and sign * marks[-1].price >= sign * price:
                marks.pop()
            marks.append(_Mark(price))

    def forget(self, begin: datetime) -> None:
        """Let go of what was over by ``begin``."""
        for marks in (self.lowest, self.highest):
            while (ended := marks[0].ended) is not None and ended <= begin:
                marks.popleft()
                self.since = max(self.since, ended)


class PriceWindow:
    """The lowest and highest market price of each symbol over the newest ``window`` of event time.

    The price that was in force when the window began belongs to it, so a window is known only once a price is that
    old. One that is no positive number makes it unknown again, and so does a restart, but for the prices that are told
    again then: until a whole window has been watched the collar denies.
    """

    def __init__(self, window: timedelta) -> None:
        self._window = window
        self._paths: dict[str, _Path] = {}

    def hear(self, symbol: str, price: float, at: datetime) -> None:
        """The market price of ``symbol`` is ``price`` from ``at`` on; times of one symbol do not step back."""
        if not isfinite(price) or price <= 0.0:
            self._paths.pop(symbol, None)
            return
        path = self._paths.get(symbol)
        if path is None:
            path = self._paths[symbol] = _Path(at)
        path.add(price, at)
        path.forget(at - self._window)

    def extremes(self, symbol: str, at: datetime) -> tuple[float, float]:
        """The lowest and highest price in the window that ends ``at``; not-a-number while that is not known."""
        path, begin = self._paths.get(symbol), at - self._window
        if path is None or path.since > begin:
            return nan, nan
        path.forget(begin)
        return path.lowest[0].price, path.highest[0].price

    def widen(self, window: timedelta) -> None:
        """Watch a longer ``window`` from now on, which is not known before it was watched whole."""
        self._window = window


def period_collar(fraction: float, window: PriceWindow) -> RiskCheck:
    """Refuse to buy more than ``fraction`` above the lowest market price in ``window``, or to sell below the highest.

    The price is the limit of an order that has one, else that of the market. So orders that each stay within the
    collar of the moment cannot walk a price away together. The market's time ends the window: an intent that claims a
    later one does not get rid of what was seen.
    """

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        low, high = window.extremes(intent.symbol, view.now if view.market_at is None else view.market_at)
        limit = intent.limit_price if intent.order_type in NEEDS_LIMIT else None
        price = view.reference if limit is None else limit
        buys = intent.direction is _BUY
        if price <= low * (1 + fraction) if buys else price >= high * (1 - fraction):
            return None
        return Refusal("PERIOD_COLLAR", f"price is not known to be within {fraction:.2%} of those of the period")

    return check
