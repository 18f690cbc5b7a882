"""The paper venue's own memory: what it would know even if every client of it died."""

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from order_plane.brokers.paper_order import PaperOrder
from order_plane.facts import Fact, FactKind


class PaperStore(Protocol):
    """Where the venue keeps orders, facts and how far it has seen the market."""

    @property
    def durable(self) -> bool:
        """Whether it outlives the process, so that the mere passing of bars must be kept too."""
        ...

    def open_orders(self) -> Sequence[PaperOrder]:
        """The orders that still work, in the order they were accepted."""
        ...

    def last_bars(self) -> Mapping[str, datetime]:
        """Time of the newest bar seen of each symbol."""
        ...

    def positions(self) -> Mapping[str, float]:
        """Units by symbol that all executions add up to."""
        ...

    def cash(self) -> float:
        """What all executions added to the account, in currency units; negative when they took."""
        ...

    def has(self, intent_id: UUID) -> bool:
        """Whether an order of this intent was ever accepted."""
        ...

    def facts_of(self, intent_id: UUID) -> Sequence[Fact]:
        """Every fact of one order, oldest first, as far as it is retained."""
        ...

    def executions(self, newest: int) -> Sequence[Fact]:
        """The newest executions that are retained, oldest first."""
        ...

    def finished(self, newest: int) -> Sequence[PaperOrder]:
        """The newest orders that have ended and are retained, with their facts."""
        ...

    def save(
        self,
        changed: Sequence[PaperOrder],
        news: Sequence[tuple[PaperOrder, Fact]],
        bars: Mapping[str, datetime],
    ) -> None:
        """Keep the state of ``changed`` orders, the new facts, and how far the market was seen since the last call."""
        ...

    def rest(self) -> None:
        """Tidy up if that is due; nobody waits just now."""
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...


class MemoryPaperStore:
    """A memory that ends with its process; of finished orders it keeps the facts of the newest ``retain``."""

    def __init__(self, retain: int = 100) -> None:
        self._retain = retain
        self._orders: dict[int, PaperOrder | None] = {}  # by the number of the intent id, which hashes ten times faster
        self._finished: deque[int] = deque()

    @property
    def durable(self) -> bool:
        """It ends with the process."""
        return False

    def open_orders(self) -> Sequence[PaperOrder]:
        """Nothing survived."""
        return ()

    def last_bars(self) -> Mapping[str, datetime]:
        """Nothing survived."""
        return {}

    def positions(self) -> Mapping[str, float]:
        """Nothing survived."""
        return {}

    def cash(self) -> float:
        """Nothing survived."""
        return 0.0

    def has(self, intent_id: UUID) -> bool:
        """Whether an order of this intent was ever accepted."""
        return intent_id.int in self._orders

    def facts_of(self, intent_id: UUID) -> Sequence[Fact]:
        """Every retained fact of one order."""
        order = self._orders.get(intent_id.int)
        return () if order is None else tuple(order.facts)

    def executions(self, newest: int) -> Sequence[Fact]:
        """The newest executions that are retained."""
        orders = (order for order in self._orders.values() if order is not None)
        return [fact for order in orders for fact in order.facts if fact.kind is FactKind.FILL][-newest:]

    def finished(self, newest: int) -> Sequence[PaperOrder]:
        """The newest orders that have ended and are retained."""
        ended = [order for order in map(self._orders.get, self._finished) if order is not None]
        return ended[-newest:]

    def save(
        self,
        changed: Sequence[PaperOrder],
        news: Sequence[tuple[PaperOrder, Fact]],
        bars: Mapping[str, datetime],
    ) -> None:
        """Keep the orders, which hold their facts."""
        for order in changed:
            name = order.intent_id.int
            self._orders[name] = order
            if order.finished:
                self._finished.append(name)
        while len(self._finished) > self._retain:
            self._orders[self._finished.popleft()] = None

    def rest(self) -> None:
        """Nothing to tidy up."""

    def close(self) -> None:
        """Nothing to let go of."""
