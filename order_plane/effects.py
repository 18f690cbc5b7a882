"""What the desk wants done at a broker, as data."""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from contracts.trading import OrderIntent
from domain.ids import foreign_order_id


class SubmitOrder(NamedTuple):
    """Send one order for ``intent`` to ``account``; ``attempt`` counts from 1 and only a person raises it."""

    intent: OrderIntent
    account: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Cancel what is open of an order; ``request_id`` names the wish, so that its answer can be matched.

    ``reason`` is what the person who wishes it gave. ``stray`` means the order ``order_id`` alone, which works at the
    venue beside the one that is known of the intent, or after that has ended.
    """

    intent_id: UUID
    order_id: str
    account: str
    request_id: str
    reason: str = ""
    stray: bool = False

    @property
    def key(self) -> UUID:
        """What is to be cancelled: two wishes with the same key are one."""
        return foreign_order_id(str(self.intent_id), self.order_id) if self.stray else self.intent_id


@dataclass(frozen=True, slots=True)
class ReplaceOrder:
    """Let what is open of the order for ``intent`` work on with another size and other prices, under the same order id.

    ``intent`` is as it was sent; ``quantity`` is the new size in units, what has traded included. ``at_market`` makes
    it a market order. ``request_id`` names the wish and ``revision`` counts those of the order from 1; ``reason`` is
    what the person who wishes it gave.
    """

    intent: OrderIntent
    account: str
    quantity: float
    limit_price: float | None = None
    stop_price: float | None = None
    at_market: bool = False
    request_id: str = "replace"
    revision: int = 1
    reason: str = ""
