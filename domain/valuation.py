"""What an account is worth now, for showing it while a run goes on."""

from contracts.base import Message
from contracts.market import BarEvent
from contracts.trading import ExecutionReport
from domain.currency import ONE_CURRENCY, Currencies
from domain.ledger import Ledger


class Valuation:
    """Cash and positions at the closes seen last; a position without a close counts as nothing.

    ``cash`` is the capital at the start, in account currency.
    """

    def __init__(self, cash: float, currencies: Currencies = ONE_CURRENCY) -> None:
        self._ledger = Ledger(cash, currencies)
        self._marks: dict[str, float] = {}

    def take(self, message: Message) -> None:
        """Take note of a bar or of an execution report; anything else changes nothing."""
        if isinstance(message, BarEvent):
            self._marks[message.symbol] = message.close
        elif isinstance(message, ExecutionReport):
            self._ledger.apply(message)

    @property
    def equity(self) -> float:
        """The account's worth in its currency, not-a-number while an exchange rate that it needs is unknown."""
        return self._ledger.equity(dict.fromkeys(self._ledger.positions, 0.0) | self._marks)
