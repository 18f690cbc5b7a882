"""What a pre-trade control sees and what it answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import nan
from typing import NamedTuple, Protocol
from uuid import UUID

from contracts.control import KillSwitchCommand
from contracts.trading import OrderIntent, Side


class Refusal(NamedTuple):
    """Why an intent may not become an order: a stable ``code`` and one ``sentence`` for a person."""

    code: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"


class Books(Protocol):
    """What only some controls ask for; a number that cannot be known is not-a-number.

    So is what the account is worth while something that counts has no price, or one older than ``max_age``.
    """

    @property
    def admitted(self) -> int:
        """Orders let through, by this journal."""
        ...

    @property
    def executions(self) -> int:
        """Executions since the start, and orders that had traded before it."""
        ...

    def net(self, max_age: timedelta) -> tuple[float, float]:
        """The lowest and the highest net exposure that working orders can lead to, in currency units."""
        ...

    def lowest(self, symbol: str) -> float:
        """The position (units, short negative) if every sale that works or is in doubt trades, and no purchase."""
        ...

    def reach(self, symbol: str, strategy_id: str | None = None) -> tuple[float, float]:
        """That, and the position if every purchase trades and no sale: of the account, or of one strategy."""
        ...

    def strategy_notional(self, strategy_id: str, symbol: str, order: float) -> tuple[float, float]:
        """Gross exposure of a strategy, now and with ``order`` (units, negative for a sale) of ``symbol`` on top."""
        ...

    def ordered(self, plan_id: UUID, symbol: str, side: Side) -> float:
        """Units of a plan that were filled or may still be, in all orders that name it."""
        ...

    def equity(self, max_age: timedelta) -> float:
        """Cash and positions, in currency units."""
        ...

    def day_result(self, max_age: timedelta) -> float:
        """Equity less that at the start of the day, in currency units."""
        ...


class NoBooks:
    """Books that nobody keeps."""

    admitted = 0
    executions = 0

    def net(self, max_age: timedelta) -> tuple[float, float]:
        """Unknown."""
        return nan, nan

    def lowest(self, symbol: str) -> float:
        """Unknown."""
        return nan

    def reach(self, symbol: str, strategy_id: str | None = None) -> tuple[float, float]:
        """Unknown."""
        return nan, nan

    def strategy_notional(self, strategy_id: str, symbol: str, order: float) -> tuple[float, float]:
        """Unknown."""
        return nan, nan

    def ordered(self, plan_id: UUID, symbol: str, side: Side) -> float:
        """Unknown."""
        return nan

    def equity(self, max_age: timedelta) -> float:
        """Unknown."""
        return nan

    def day_result(self, max_age: timedelta) -> float:
        """Unknown."""
        return nan


NO_BOOKS = NoBooks()


@dataclass(slots=True)
class RiskView:
    """What the desk knows at the moment it judges one intent.

    ``now`` is event time, or that of the intent if it is later; ``market_at`` is event time alone. ``reference`` is the
    newest market price (per unit) and ``reference_at`` its time.
    ``price`` is the most the order can be worth per unit. ``units_before`` and ``units_after`` are the
    largest position (units, not signed) that position and every working or in-doubt order of the symbol
    can lead to, without and with this order; ``gross_before`` is the sum of such positions over all
    symbols, at their references. Prices are in the symbol's currency, sums in the account's, and ``rate`` is account
    currency for one unit of the former, as of ``rate_at`` unless it is one for ever. Numbers that cannot be known are
    not-a-number, and every control refuses those. ``halted`` says why trading is stopped, and ``narrowed`` are the kill
    switches by which positions may only be reduced.
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
    books: Books = NO_BOOKS
    rate: float = 1.0
    rate_at: datetime | None = None
    market_at: datetime | None = None
    narrowed: Sequence[KillSwitchCommand] = ()

    @property
    def worth(self) -> float:
        """The reference in account currency."""
        return self.reference * self.rate


RiskCheck = Callable[[OrderIntent, RiskView], Refusal | None]
"""A pre-trade control: None lets the intent pass."""
