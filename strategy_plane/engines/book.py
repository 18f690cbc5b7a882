"""A strategy's own book: positions, prices, and orders that have not ended."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.market import BarEvent
from contracts.trading import TERMINAL_STATUSES, ExecutionReport, OrderIntent, Side
from domain.currency import ONE_CURRENCY, Currencies
from domain.ledger import Ledger
from strategy_plane.strategies.port import Alarm, PortfolioError

_BUY = Side.BUY  # looking a member up by name costs more than comparing it

_LARGEST = 1e15
"""What a message can say of money, in account currency."""


@dataclass(slots=True, eq=False)
class _Order:
    """What is known of an intent: its signed quantity (zero until it is read from the log) and units filled."""

    symbol: str
    signed: float
    filled: float

    @property
    def remaining(self) -> float:
        return math.copysign(max(0.0, abs(self.signed) - self.filled), self.signed)


class Book:
    """Folds a strategy's intents and their reports, in any order and any number of times.

    An intent counts as working from the first decision after its own until a report ends it. Intents of a
    moment that is yet to be decided (again, after a restart) are kept aside in ``logged``. ``version``
    changes whenever a holding may have changed; ``marks`` are the newest closes by symbol, each in the symbol's
    currency, and among them those of pairs, which are the exchange rates.
    """

    __slots__ = ("_coming", "_held", "_ledger", "_orders", "_working", "currencies", "logged", "marks", "version")

    def __init__(self, cash: float, currencies: Currencies = ONE_CURRENCY) -> None:
        self._ledger = Ledger(cash, currencies)
        self._held = self._ledger.positions  # the ledger's own, as it is at any moment
        self.currencies = currencies
        self._orders: dict[int, _Order | None] = {}  # by the number of the intent id, quicker to hash; None: ended
        self._working: dict[str, list[_Order]] = {}
        self._coming: dict[str, float] = {}
        self.logged: dict[UUID, OrderIntent] = {}
        self.marks: dict[str, float] = {}
        self.version = 0

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols held or worked, sorted."""
        return tuple(sorted(self._held.keys() | self._coming.keys()))

    @property
    def cash(self) -> float:
        """Cash of every currency, in account currency; raises `PortfolioError`."""
        return self._known(self._ledger.money(self.marks))

    @property
    def positions(self) -> Mapping[str, float]:
        """Units held by symbol; flat symbols are absent."""
        return self._held

    def holding(self, symbol: str) -> float:
        """Signed units held, plus what is still to come from working intents."""
        held = self._held.get(symbol, 0.0)
        return held + self._coming[symbol] if symbol in self._coming else held

    def equity(self) -> float:
        """Cash and positions at the newest closes, in account currency; raises `PortfolioError`."""
        try:
            return self._known(self._ledger.equity(self.marks))
        except KeyError as missing:
            raise PortfolioError(f"{missing.args[0]} is held and has no price; restore its bars") from None

    def rate(self, symbol: str) -> float:
        """Account currency for one unit of the currency that ``symbol`` is quoted in; not-a-number when unknown."""
        return self.currencies.rate_of(symbol, self._mark)

    def worth(self, symbol: str) -> float:
        """Account currency for one unit at the newest close and rate; not-a-number when either is unknown."""
        mark = self.marks.get(symbol, math.nan)
        return mark * self.rate(symbol) if self.currencies.of else mark

    def unrated(self, symbols: Iterable[str]) -> Alarm | None:
        """What is to be said when some of ``symbols`` have a price and no exchange rate."""
        priced = self.marks.keys() & self.currencies.of.keys()
        lacking = [each for each in symbols if each in priced and math.isnan(self.rate(each))]
        if not lacking:
            return None
        few = ", ".join(f"{each} ({self.currencies.of[each]})" for each in sorted(lacking)[:10])
        return Alarm("RATE_UNKNOWN", f"not traded, since nothing says what its currency is worth: {few}")

    def quote(self, bars: Sequence[BarEvent]) -> list[BarEvent]:
        """Take the exchange rates among ``bars``; returns the other bars."""
        pairs = self.currencies.pairs
        self.marks.update((bar.symbol, bar.close) for bar in bars if bar.symbol in pairs)
        return [bar for bar in bars if bar.symbol not in pairs]

    def weight(self, symbol: str) -> float:
        """`holding` at the newest close as a fraction of equity; raises `PortfolioError`."""
        holding = self.holding(symbol)
        if not holding:
            return 0.0
        equity = self.equity()
        if not equity > 0.0:
            raise PortfolioError("equity is not positive; nothing can be sized")
        worth = self.worth(symbol)
        if math.isnan(worth):
            raise PortfolioError(f"{symbol} is worked and has no price; restore its bars")
        return holding * worth / equity

    def log(self, intent: OrderIntent, decided: datetime | None) -> None:
        """Take an intent from the log; ``decided`` is the newest moment that has been decided."""
        if decided is not None and intent.timestamp <= decided:
            self.work(intent)
        else:
            self.logged.setdefault(intent.intent_id, intent)

    def advance(self, decided: datetime) -> None:
        """Count what was logged for moments up to ``decided`` as working."""
        for intent in [intent for intent in self.logged.values() if intent.timestamp <= decided]:
            del self.logged[intent.intent_id]
            self.work(intent)

    def work(self, intent: OrderIntent) -> None:
        """Count ``intent`` as working until a report ends it."""
        fields = intent.__dict__  # cheaper to read than the model's attributes
        symbol = fields["symbol"]
        order = self._orders.setdefault(fields["intent_id"].int, _Order(symbol, 0.0, 0.0))
        if order is None or order.signed:
            return
        quantity: float = fields["quantity"]
        order.signed = quantity if fields["direction"] is _BUY else -quantity
        self._working.setdefault(symbol, []).append(order)
        self._sum(symbol)

    def report(self, report: ExecutionReport) -> None:
        """Book what ``report`` says; raises `UnknownDirectionError` for a fill without direction."""
        if self._ledger.apply(report):
            self.version += 1
        fields = report.__dict__
        name, filled = fields["intent_id"].int, fields["filled_quantity"]
        if fields["status"] in TERMINAL_STATUSES:
            order = self._orders.get(name)
            self._orders[name] = None
            if order is not None and order.signed:
                self._working[order.symbol].remove(order)
                self._sum(order.symbol)
        elif filled:
            order = self._orders.setdefault(name, _Order(fields["symbol"], 0.0, 0.0))
            if order is not None and filled > order.filled:
                order.filled = filled
                self._sum(order.symbol)

    def _mark(self, symbol: str) -> float:
        return self.marks.get(symbol, math.nan)

    @staticmethod
    def _known(value: float) -> float:
        if math.isnan(value):
            raise PortfolioError("an exchange rate is not known; restore the bars of its pair")
        if abs(value) > _LARGEST:
            raise PortfolioError(f"the account is worth, or owes, more than {_LARGEST:.0e}; check prices and fills")
        return value

    def _sum(self, symbol: str) -> None:
        self.version += 1
        working = self._working.get(symbol)
        if working:
            self._coming[symbol] = math.fsum([order.remaining for order in working])
        else:
            self._working.pop(symbol, None)
            self._coming.pop(symbol, None)
