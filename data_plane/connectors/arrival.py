"""Puts rows of several symbols, each of which comes at its own pace, into one order in time."""

from datetime import datetime
from heapq import heappop, heappush

from data_plane.connectors.port import RawBar


class InOrder:
    """Holds bars back until no earlier one can come any more; ``through`` is the moment up to which that holds."""

    def __init__(self, through: datetime) -> None:
        self.through = through
        self._held: list[tuple[datetime, str, int, RawBar]] = []
        self._count = 0

    def add(self, at: datetime, row: RawBar) -> None:
        """Take a bar that closed ``at``."""
        self._count += 1
        heappush(self._held, (at, row.symbol, self._count, row))

    def until(self, moment: datetime) -> list[RawBar]:
        """The bars that close by ``moment``, by time and then symbol: none of them will come later."""
        self.through = max(self.through, moment)
        found = []
        while self._held and self._held[0][0] <= self.through:
            found.append(heappop(self._held)[-1])
        return found
