"""The control against sending the same order again."""

from collections import deque
from datetime import datetime, timedelta

from contracts.trading import OrderIntent, Side
from order_plane.risk.port import Refusal, RiskView

_Terms = tuple[object, ...]


class RepeatedOrder:
    """Refuses terms that were already let through less than ``window`` ago, whatever their intent id.

    Must stand last, so that it only remembers what was let through.
    """

    def __init__(self, window: timedelta) -> None:
        self._window = window
        self._recent: deque[tuple[datetime, _Terms]] = deque()
        self._terms: set[_Terms] = set()

    def __call__(self, intent: OrderIntent, view: RiskView) -> Refusal | None:
        """The control."""
        self._forget_before(view.now - self._window)
        terms = (
            intent.strategy_id,
            intent.symbol,
            intent.direction is Side.BUY,
            intent.quantity,
            intent.limit_price,
            intent.stop_price,
        )
        if terms in self._terms:
            return Refusal("DUPLICATE", f"the same order was sent within {self._window}")
        self._terms.add(terms)
        self._recent.append((view.now, terms))
        return None

    def _forget_before(self, moment: datetime) -> None:
        recent = self._recent
        while recent and recent[0][0] <= moment:
            self._terms.discard(recent.popleft()[1])
