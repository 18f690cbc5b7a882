"""A token bucket that event time refills."""

from datetime import datetime


class TokenBucket:
    """Allows ``rate`` messages a second on average and ``burst`` at once.

    The last ``reserve`` tokens are kept for cancels, which are always let through. Time comes from the
    messages, so the same history is throttled the same way whenever it is told; time that steps back
    refills nothing.
    """

    __slots__ = ("_burst", "_rate", "_refilled_at", "_reserve", "_tokens")

    def __init__(self, rate: float, burst: float, reserve: float = 0.0) -> None:
        if not 0 <= reserve < burst:
            raise ValueError("reserve must be at least 0 and less than burst")
        self._rate = rate
        self._burst = burst
        self._reserve = reserve
        self._tokens = burst
        self._refilled_at: datetime | None = None

    def take(self, now: datetime) -> bool:
        """Take a token for a new order; False when only the reserve is left."""
        self._refill(now)
        left = self._tokens - 1.0
        if left < self._reserve:
            return False
        self._tokens = left
        return True

    def take_for_cancel(self, now: datetime) -> None:
        """Count a cancel, which is never refused."""
        self._refill(now)
        self._tokens = max(0.0, self._tokens - 1.0)

    def slow(self, rate: float, burst: float) -> None:
        """Allow no more than ``rate`` and ``burst`` from now on."""
        self._rate, self._burst = rate, burst
        self._tokens = min(self._tokens, burst)

    def is_full(self, now: datetime) -> bool:
        """Whether nothing that was taken counts any more."""
        self._refill(now)
        return self._tokens >= self._burst

    def _refill(self, now: datetime) -> None:
        last = self._refilled_at
        if last is None:
            self._refilled_at = now
        elif now > last:
            self._refilled_at = now
            self._tokens = min(self._burst, self._tokens + self._rate * (now - last).total_seconds())
