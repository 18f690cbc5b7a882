"""The control against sending the same order again."""

from datetime import datetime, timedelta
from operator import itemgetter

from contracts.trading import OrderIntent
from order_plane.risk.port import Refusal, RiskView

_Terms = tuple[object, ...]
_TERMS = itemgetter("strategy_id", "symbol", "direction", "quantity", "limit_price", "stop_price")
_FEW = 1_000
"""How many terms are remembered before old ones are looked for."""


class RepeatedOrder:
    """Refuses terms that were already let through less than ``window`` ago, whatever their intent id.

    Must stand last, so that it only remembers what was let through. After a restart it remembers the orders of the
    journal, at the latest of their times.
    """

    def __init__(self, window: timedelta) -> None:
        self._window = window
        self._sent_at: dict[_Terms, datetime] = {}
        self._crowded = _FEW

    def __call__(self, intent: OrderIntent, view: RiskView) -> Refusal | None:
        """The control."""
        terms: _Terms = _TERMS(intent.__dict__)
        earlier = self._sent_at.get(terms)
        if earlier is not None and view.now - earlier < self._window:
            return Refusal("DUPLICATE", f"the same order was sent within {self._window}")
        self._sent_at[terms] = view.now
        if len(self._sent_at) > self._crowded:
            self._forget_before(view.now - self._window)
        return None

    def recall(self, intent: OrderIntent, at: datetime) -> None:
        """An order left ``at`` some time before a restart."""
        terms: _Terms = _TERMS(intent.__dict__)
        self._sent_at[terms] = max(at, self._sent_at.get(terms, at))

    def widen(self, window: timedelta) -> None:
        """Refuse repetitions within ``window`` from now on."""
        self._window = window

    def _forget_before(self, moment: datetime) -> None:
        self._sent_at = {terms: at for terms, at in self._sent_at.items() if at > moment}
        self._crowded = _FEW + 2 * len(self._sent_at)
