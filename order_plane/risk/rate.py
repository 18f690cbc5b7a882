"""The controls on how fast orders are sent."""

from datetime import datetime

from contracts.trading import OrderIntent
from order_plane.risk.port import Refusal, RiskCheck, RiskView
from order_plane.throttle import TokenBucket

_MANY = 1_000
"""How many strategies are remembered before those are looked for that wait for nothing."""


def message_rate(bucket: TokenBucket) -> RiskCheck:
    """Refuse when ``bucket`` has no token left; stands behind the others, since passing takes one.

    The market's time fills it: an intent that claims a later one would refill it for itself and let others wait.
    After a restart it holds what the orders of the journal left in it.
    """

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if bucket.take(view.now if view.market_at is None else view.market_at):
            return None
        return Refusal("RATE_LIMIT_EXCEEDED", "too many orders in too short a time")

    return check


class StrategyRate:
    """Refuses more than ``rate`` orders and changes of orders a second of one strategy, and ``burst`` at once.

    Cancels are no strategy's: policies, persons and kills write them, they always pass, and the bucket of the venue
    counts them. Stands in front of that, so that who is too fast takes nothing from others. After a restart a strategy
    has left what its orders in the journal left it.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: dict[str, TokenBucket] = {}

    def __call__(self, intent: OrderIntent, view: RiskView) -> Refusal | None:
        """The control."""
        now = view.now if view.market_at is None else view.market_at
        if self._bucket(intent.strategy_id, now).take(now):
            return None
        return Refusal("STRATEGY_RATE_EXCEEDED", "too many orders of the strategy in too short a time")

    def recall(self, strategy_id: str, at: datetime) -> None:
        """A message of the strategy left ``at`` some time before a restart."""
        self._bucket(strategy_id, at).take_for_cancel(at)

    def slow(self, rate: float, burst: float) -> None:
        """Let no strategy be faster than ``rate`` from now on, and none send more than ``burst`` at once."""
        self._rate, self._burst = rate, burst
        for bucket in self._buckets.values():
            bucket.slow(rate, burst)

    def _bucket(self, strategy_id: str, now: datetime) -> TokenBucket:
        bucket = self._buckets.get(strategy_id)
        if bucket is None:
            if len(self._buckets) >= _MANY:
                self._buckets = {name: each for name, each in self._buckets.items() if not each.is_full(now)}
            bucket = self._buckets[strategy_id] = TokenBucket(self._rate, self._burst)
        return bucket
