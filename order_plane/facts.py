"""What can become known about an order, one thing at a time."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

NOT_SENT = "not-sent"
"""The name of a REJECT that is not the venue's: it follows from a person's word that the venue never got the order."""
_LEAST_PRICE, _LARGEST_PRICE, _MOST = 1e-10, 1e12, 1e15
"""What an execution report may hold: prices per unit, and units or money."""


class FactKind(StrEnum):
    """What can become known about an order."""

    SUBMITTING = "SUBMITTING"
    ACK = "ACK"
    REJECT = "REJECT"
    FILL = "FILL"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    CANCELLED = "CANCELLED"
    CANCEL_REFUSED = "CANCEL_REFUSED"
    REPLACE_REQUESTED = "REPLACE_REQUESTED"
    REPLACED = "REPLACED"
    REPLACE_REFUSED = "REPLACE_REFUSED"
    EXPIRED = "EXPIRED"
    SECOND_ORDER = "SECOND_ORDER"


FROM_US = frozenset(
    {
        *(FactKind.SUBMITTING, FactKind.CANCEL_REQUESTED, FactKind.CANCEL_REFUSED),
        *(FactKind.REPLACE_REQUESTED, FactKind.REPLACE_REFUSED),
        FactKind.SECOND_ORDER,
    }
)
"""Facts that are no sign of life from the venue, or none of the attempt that is known."""


class Fact(NamedTuple):
    """One thing that became known about the order of an intent.

    ``fact_id`` is unique for its kind within the order: the execution for FILL, the request for those of
    cancelling and replacing. ``quantity`` (units), ``price`` (per unit) and ``commission`` (currency units) belong to
    this one execution; a higher ``revision`` of an execution replaces a lower one, and a quantity of zero busts it.
    REPLACE_REQUESTED and REPLACED hold the size of the order, what traded included, and its limit price (0 for none)
    as they are to be, and count the requests in ``revision``. SECOND_ORDER says that another order of the intent,
    ``order_id``, works at the venue beside the one that is known: what it trades is told as FILL, its end is not told.
    ``reason`` is ``CODE: sentence``.
    """

    intent_id: UUID
    kind: FactKind
    fact_id: str
    timestamp: datetime
    order_id: str = ""
    quantity: float = 0.0
    price: float = 0.0
    commission: float = 0.0
    revision: int = 0
    reason: str = ""


def can_be(fill: Fact) -> bool:
    """Whether the numbers of an execution can be true; not-a-number and a price of zero are not, but for a bust."""
    quantity, price = fill.quantity, fill.price
    priced = _LEAST_PRICE <= price <= _LARGEST_PRICE or (quantity == 0 and price == 0)
    return priced and 0 <= quantity * price <= _MOST and 0 <= quantity <= _MOST and abs(fill.commission) <= _MOST


def says_nothing(told: Sequence[Fact]) -> bool:
    """Whether what a venue has ``told`` of an intent says only that another attempt works than the newest."""
    return bool(told) and all(fact.kind in FROM_US for fact in told)
