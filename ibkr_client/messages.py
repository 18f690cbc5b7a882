"""What the gateway says, as plain facts that no library owns."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol


class OrderState(NamedTuple):
    """An order as openOrder or completedOrder tells it.

    ``order_id`` is 0 for a completed order; ``quantity`` in units; ``reference`` is what the order was labelled with.
    Prices per unit, 0 for none.
    """

    order_id: int
    permanent_id: int
    client_id: int
    reference: str
    account: str
    contract_id: int
    symbol: str
    side: str
    quantity: float
    status: str
    limit_price: float = 0.0
    stop_price: float = 0.0
    time_in_force: str = ""
    security_type: str = "STK"
    currency: str = "USD"


class OrderProgress(NamedTuple):
    """An order as orderStatus tells it; ``filled`` in units."""

    order_id: int
    permanent_id: int
    client_id: int
    status: str
    filled: float


class Execution(NamedTuple):
    """One execution; ``side`` is BOT or SLD, ``quantity`` in units, ``price`` per unit, ``time`` in UTC."""

    execution_id: str
    order_id: int
    permanent_id: int
    client_id: int
    reference: str
    account: str
    contract_id: int
    symbol: str
    side: str
    quantity: float
    price: float
    time: datetime
    security_type: str = "STK"
    currency: str = "USD"


class Commission(NamedTuple):
    """What one execution cost, in currency units."""

    execution_id: str
    amount: float
    currency: str


class Notice(NamedTuple):
    """An error or notice; ``number`` is that of a request or an order, or -1."""

    number: int
    code: int
    text: str


class Position(NamedTuple):
    """Units held of a contract; ``cost`` per unit with commissions."""

    account: str
    contract_id: int
    symbol: str
    quantity: float
    cost: float
    security_type: str = "STK"
    currency: str = "USD"

    @property
    def instrument(self) -> str:
        """What is held, told from everything else: an option has the symbol of its stock."""
        return f"{self.symbol} {self.security_type} {self.currency} #{self.contract_id}"


class AccountValue(NamedTuple):
    """One figure of an account, such as TotalCashValue."""

    account: str
    tag: str
    text: str
    currency: str


class HistoryBar(NamedTuple):
    """One bar; ``start`` is yyyymmdd for daily bars and otherwise seconds since 1970, as text."""

    start: str
    open: float
    high: float
    low: float
    close: float
    volume: float


class QuoteChange(NamedTuple):
    """One number of a best quote by request ``number``; ``field`` is bid, ask, bid_size or ask_size."""

    number: int
    field: str
    value: float


class Trade(NamedTuple):
    """One trade by request ``number``, ``time`` in whole seconds UTC, ``size`` in units."""

    number: int
    time: datetime
    price: float
    size: float


@dataclass(frozen=True, slots=True)
class ContractDetails:
    """What a qualified contract trades by: ``exchanges`` and ``rule_ids`` are parallel."""

    contract_id: int
    symbol: str
    exchange: str
    primary_exchange: str
    currency: str
    minimum_tick: float
    size_increment: float
    exchanges: tuple[str, ...]
    rule_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Hello:
    """What a new connection begins with; ``market`` names that of a simulator, and is empty for any other gateway."""

    accounts: tuple[str, ...]
    next_order_id: int
    market: str = ""


class Listener(Protocol):
    """Hears what the gateway says on its own account; who inherits from it hears nothing but what it overrides."""

    def order_state(self, order: OrderState) -> None:
        """An order was listed or changed."""
        return

    def order_progress(self, progress: OrderProgress) -> None:
        """An order's status was told."""
        return

    def execution(self, execution: Execution) -> None:
        """Something traded, or a trade was corrected."""
        return

    def commission(self, commission: Commission) -> None:
        """What an execution cost."""
        return

    def notice(self, notice: Notice) -> None:
        """An error or notice that answers no request."""
        return

    def bar_update(self, number: int, bar: HistoryBar) -> None:
        """A bar that is kept up to date by request ``number`` changed or began."""
        return

    def quote(self, change: QuoteChange) -> None:
        """A number of a best quote changed, or was told again."""
        return

    def trade(self, trade: Trade) -> None:
        """Something traded in a subscribed market."""
        return

    def lost(self) -> None:
        """The connection is gone; nothing else will come of it."""
        return


class Deaf(Listener):
    """Hears nothing: for a connection of which only answers are wanted."""
