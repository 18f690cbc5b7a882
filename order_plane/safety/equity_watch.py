"""What an account or a strategy is worth from mark to mark, by its own books."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from math import isfinite, nan

from pydantic import JsonValue

from contracts.trading import ExecutionReport
from domain.currency import ONE_CURRENCY, Currencies, PriceOf
from domain.ledger import Ledger
from domain.probabilistic_sharpe import probabilistic_sharpe_of_equity


class EquityWatch:
    """Equity in account currency at the last mark, its highest mark, and where each UTC day began.

    The day begins with the equity of the last mark of the day before; the first one with ``capital``. The equity
    at the end of the newest ``window`` + 1 days is kept. ``strategy_id`` books the orders of one strategy alone.
    """

    def __init__(
        self,
        capital: float,
        strategy_id: str | None = None,
        window: int = 1,
        currencies: Currencies = ONE_CURRENCY,
    ) -> None:
        self._strategy_id = strategy_id
        self._ledger = Ledger(capital, currencies)
        self._pairs = currencies.pairs
        self._window = window
        self._day: date | None = None
        self._daily = [capital]
        self.high = self.day_start = self.last = capital
        self.settled = True
        """Whether nothing was booked since the last mark."""
        self.blind = False
        """Whether something is held that could not be valued when it was to be marked last."""

    @property
    def positions(self) -> Mapping[str, float]:
        """Units held by symbol, short negative."""
        return self._ledger.positions

    @property
    def day(self) -> date | None:
        """The UTC day of the last mark."""
        return self._day

    @property
    def profit(self) -> float:
        """The result of the day as a fraction of the equity it began with; -1 when there was none."""
        return (self.last - self.day_start) / self.day_start if self.day_start > 0.0 else -1.0

    @property
    def drawdown(self) -> float:
        """How far equity is below its highest mark, as a fraction of that."""
        return (self.high - self.last) / self.high

    def sharpe(self, minimum: int) -> float:
        """The probabilistic Sharpe ratio of the daily returns kept, against zero; 0 once nothing was left.

        Not-a-number with fewer than ``minimum`` of them, and when they have no spread.
        """
        if min(self._daily) <= 0.0:
            return 0.0
        return probabilistic_sharpe_of_equity(self._daily, minimum=minimum) if len(self._daily) > minimum else nan

    def book(self, report: ExecutionReport) -> None:
        """Take what a report adds to what is known of its order; repeats change nothing."""
        if self._strategy_id is None or report.strategy_id == self._strategy_id:
            self._ledger.apply(report)
            self.settled = False

    def value(self, price_of: PriceOf) -> float:
        """Cash and positions at ``price_of`` each symbol and pair, not-a-number when one that is needed is."""
        needed = (*self._ledger.positions, *self._pairs) if self._pairs else self._ledger.positions
        return self._ledger.equity({symbol: price_of(symbol) for symbol in needed})

    def mark(self, at: datetime, price_of: PriceOf) -> bool:
        """Value everything at ``at``; whether a new day began with it. Nothing changes while a price is unknown."""
        equity = self.value(price_of)
        self.blind = not isfinite(equity) and bool(self._ledger.positions)
        if not isfinite(equity):
            return False
        day = at.astimezone(UTC).date()
        began = self._day is not None and day > self._day
        if began:
            self.day_start = self.last
            self._daily = [*self._daily[-self._window :], self.last]
        if self._day is None or began:
            self._day = day
        self.last = equity
        self.high = max(self.high, equity)
        self.settled = True
        return began

    def rebase(self, *, day: bool = False, high: bool = False, daily: bool = False) -> None:
        """Let the result of the day, the highest mark or the daily returns begin anew with the last mark."""
        self.day_start = self.last if day else self.day_start
        self.high = self.last if high else self.high
        self._daily = [self.last] if daily else self._daily

    def state(self) -> dict[str, JsonValue]:
        """What the orders do not tell after a restart."""
        day = None if self._day is None else self._day.isoformat()
        return {"day": day, "start": self.day_start, "last": self.last, "high": self.high, "daily": list(self._daily)}

    def restore(self, state: Mapping[str, JsonValue]) -> None:
        """Go on from ``state``; raises KeyError, TypeError or ValueError when it is none."""
        day, daily = state["day"], state["daily"]
        if not isinstance(daily, list):
            raise TypeError("daily must be a list")
        self._day = None if day is None else date.fromisoformat(str(day))
        self.day_start, self.last, self.high = (_finite(state[name]) for name in ("start", "last", "high"))
        self._daily = [_finite(each) for each in daily]


def _finite(value: JsonValue) -> float:
    number = float(str(value))
    if not isfinite(number):
        raise ValueError("equity must be finite")
    return number
