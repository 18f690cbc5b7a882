"""Keeps what is sent below the gateway's limit on messages, with room left for orders."""

import asyncio
from collections import deque

_WINDOW = 1.0


class Pacer:
    """At most ``rate`` messages in any second; all but orders leave ``reserve`` of them free.

    Who waits is served in turn, orders before the rest.
    """

    def __init__(self, rate: int = 40, reserve: int = 15) -> None:
        if not 0 <= reserve < rate:
            raise ValueError("reserve must be less than rate, or nothing but orders could be sent")
        self._rate = rate
        self._reserve = reserve
        self._sent: deque[float] = deque()
        self._orders_waiting = 0

    async def turn(self, *, order: bool = False) -> None:
        """Wait until one message may be sent."""
        self._orders_waiting += order
        try:
            while (wait := self._wait(order)) > 0:
                await asyncio.sleep(wait)
        finally:
            self._orders_waiting -= order

    def _wait(self, order: bool) -> float:
        now = asyncio.get_running_loop().time()
        sent = self._sent
        while sent and now - sent[0] >= _WINDOW:
            sent.popleft()
        limit = self._rate if order else self._rate - self._reserve - min(self._orders_waiting, self._reserve)
        if len(sent) < max(limit, 1):
            sent.append(now)
            return 0.0
        return max(sent[len(sent) - max(limit, 1)] + _WINDOW - now, 0.001)
