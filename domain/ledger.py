"""Positions and cash as a fold over execution reports."""

from collections.abc import Mapping
from math import nan
from uuid import UUID

from contracts.trading import ExecutionReport, Side
from domain.currency import ONE_CURRENCY, Currencies
from domain.money import from_micros, to_micros

_BILLION = 10**9
_NOTHING = (0, 0.0, 0, 0)
_BUY = Side.BUY  # looking a member up by name costs more than comparing it


class UnknownDirectionError(ValueError):
    """A report books a fill and does not say whether it bought or sold."""


class Ledger:
    """What a strategy or an account owns, from what its orders did.

    Reports carry cumulative quantities, so the newest one of an order says everything: repeats and late
    reports change nothing. Cash is kept in whole millionths and positions in whole billionths of a unit, so
    both are the same whatever order the reports arrive in, and a closed position is exactly flat.

    What trades in another currency is paid for in that currency, owed if need be, and valued at the newest rate.
    """

    def __init__(self, cash: float = 0.0, currencies: Currencies = ONE_CURRENCY) -> None:
        self._cash = to_micros(cash)
        self._currencies = currencies
        self._currency_of = currencies.of
        self._foreign: dict[str, int] = {}
        self._held: dict[str, int] = {}
        self._positions: dict[str, float] = {}
        self._booked: dict[int, tuple[int, float, int, int]] = {}  # by the number of the intent id, quicker to hash

    @property
    def cash(self) -> float:
        """Cash in account currency, without what `foreign` holds."""
        return from_micros(self._cash)

    @property
    def foreign(self) -> dict[str, float]:
        """Cash by other currency, in that currency; owed negative."""
        return {currency: from_micros(micros) for currency, micros in sorted(self._foreign.items()) if micros}

    @property
    def positions(self) -> Mapping[str, float]:
        """Units held by symbol, short negative; flat symbols are absent."""
        return self._positions

    def apply(self, report: ExecutionReport) -> float:
        """Book what ``report`` adds to what is known of its order; returns the signed units added.

        Raises:
            UnknownDirectionError: when a fill has no direction.
        """
        fields = report.__dict__  # read once: a model's attributes cost four times as much as a dictionary's keys
        filled, name = fields["filled_quantity"], fields["intent_id"].int
        booked = self._booked.get(name)
        if booked is None:
            if not filled and not fields["commission"]:  # nothing has traded yet
                self._booked[name] = (fields["sequence"], 0.0, 0, 0)
                return 0.0
            booked = _NOTHING
        sequence, quantity, spent, units = booked
        if (fields["sequence"], filled) <= (sequence, quantity):
            return 0.0
        direction, price, symbol = fields["direction"], fields["avg_fill_price"], fields["symbol"]
        if filled and (direction is None or price is None):
            raise UnknownDirectionError("an execution report with a fill must name its direction")
        signed_quantity = filled if direction is _BUY else -filled
        total = to_micros(signed_quantity * (price or 0.0) + fields["commission"])
        signed = _to_billionths(signed_quantity)
        currency = self._currency_of.get(symbol) if self._currency_of else None
        if currency is None:
            self._cash -= total - spent
        else:
            self._foreign[currency] = self._foreign.get(currency, 0) - (total - spent)
        self._booked[name] = (fields["sequence"], filled, total, signed)
        if signed == units:
            return 0.0
        self._move(symbol, signed - units)
        return (signed - units) / _BILLION

    def equity(self, marks: Mapping[str, float]) -> float:
        """Cash plus every position at its mark (its currency per unit), in account currency.

        ``marks`` hold the prices of pairs as well; not-a-number when a rate is not among them.

        Raises:
            KeyError: when a held symbol has no mark.
        """
        if self._currency_of:
            return self._converted(marks)
        value = from_micros(self._cash)
        for symbol in sorted(self._positions):
            value += self._positions[symbol] * marks[symbol]
        return value

    def money(self, marks: Mapping[str, float]) -> float:
        """Cash of every currency in account currency; not-a-number when a rate is not among ``marks``."""
        rate = self._currencies.rate
        return self.cash + sum(
            cash * rate(one, lambda pair: marks.get(pair, nan)) for one, cash in self.foreign.items()
        )

    def forget(self, intent_id: UUID) -> None:
        """Drop what is remembered of a finished order whose reports can no longer repeat."""
        self._booked.pop(intent_id.int, None)

    def _converted(self, marks: Mapping[str, float]) -> float:
        value, rate_of = self.money(marks), self._currencies.rate_of
        for symbol in sorted(self._positions):
            value += self._positions[symbol] * marks[symbol] * rate_of(symbol, lambda pair: marks.get(pair, nan))
        return value

    def _move(self, symbol: str, billionths: int) -> None:
        held = self._held.get(symbol, 0) + billionths
        if held:
            self._held[symbol] = held
            self._positions[symbol] = held / _BILLION
        else:
            self._held.pop(symbol, None)
            self._positions.pop(symbol, None)


def _to_billionths(units: float) -> int:
    """``units`` to the nearest billionth; exact for whole units of any size."""
    whole = int(units)
    return whole * _BILLION + round((units - whole) * _BILLION)
