"""What a pre-trade control sees and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from contracts.trading import OrderIntent


class Refusal(NamedTuple):
    """Why an intent may not become an order: a stable ``code`` and one ``sentence`` for a person."""

    code: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"


@dataclass(slots=True)
class RiskView:
    """What the desk knows at the moment it judges one intent.

    ``now`` is event time. ``reference`` is the newest market price (per unit) and ``reference_at`` its time.
    ``price`` is the most the order can be worth per unit. ``units_before`` and ``units_after`` are the
    largest position (units, not signed) that position and every working or in-doubt order of the symbol
    can lead to, without and with this order; ``gross_before`` is the sum of such positions over all
    symbols, at their references. Numbers that cannot be known are not-a-number, and every control refuses
    those. ``halted`` says why trading is stopped.
    """

    now: datetime
    reference: float
    reference_at: datetime | None
    price: float
    units_before: float
    units_after: float
    gross_before: float
    halted: str | None = None
    in_doubt: bool = False


RiskCheck = Callable[[OrderIntent, RiskView], Refusal | None]
"""A pre-trade control: None lets the intent pass."""
