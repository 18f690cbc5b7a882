"""The port of a broker: what the order plane asks of any venue."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable
from uuid import UUID

from contracts.market import BarEvent
from contracts.trading import Side
from order_plane.effects import CancelOrder, ReplaceOrder, SubmitOrder
from order_plane.facts import Fact
from order_plane.lifecycle import Status

Reply = Callable[[], Sequence[Fact]]
"""Waits for what a venue says at once of an order that has left; raises as `Broker.submit` does."""


class KeyLife(StrEnum):
    """How long a venue refuses a second order with the same client key.

    Only LIFETIME makes it safe to send an order again that the venue says it never got; a venue that
    forgets keys, or answers from a copy that lags, must not claim it.
    """

    NONE = "NONE"
    WHILE_OPEN = "WHILE_OPEN"
    LIFETIME = "LIFETIME"


class BrokerRefused(Exception):
    """The venue said no; ``reason`` is ``CODE: sentence``. There is no order."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class BrokerUnavailable(Exception):
    """Nothing was sent: the venue could not be reached at all."""


class BrokerStateUnknown(Exception):
    """Something may have been sent and no clear answer came: a timeout, a cut line, an unreadable reply."""


Outcome = Sequence[Fact] | BrokerRefused | BrokerUnavailable | BrokerStateUnknown
"""What a venue says to a request, or what `Broker` would raise of it."""


def outcome_of(ask: Reply) -> Outcome:
    """What comes of ``ask``."""
    try:
        return ask()
    except (BrokerRefused, BrokerUnavailable, BrokerStateUnknown) as problem:
        return problem


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that works at the venue; ``quantity`` and what is ``filled`` of it in units.

    One that is not ours has an ``intent_id`` that the adapter derives from ``order_id``.
    """

    intent_id: UUID
    order_id: str
    symbol: str
    filled: float
    direction: Side
    quantity: float


@dataclass(frozen=True, slots=True)
class CompletedOrder:
    """An order that has ended at the venue."""

    intent_id: UUID
    order_id: str
    symbol: str
    filled: float
    status: Status


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the venue says of the account.

    ``open_orders`` and ``positions`` (units by symbol) are complete; of executions and completed orders it is what the
    venue still lists. ``cash`` is in currency units, None when the venue does not say.
    """

    open_orders: tuple[OpenOrder, ...]
    executions: tuple[Fact, ...]
    positions: Mapping[str, float]
    completed_orders: tuple[CompletedOrder, ...] = ()
    cash: float | None = None


class Broker(Protocol):
    """A venue; every call is synchronous and made from one thread."""

    @property
    def key_life(self) -> KeyLife:
        """How long this venue knows an intent id as the key of its order."""
        ...

    @property
    def converts(self) -> bool:
        """Whether `replace` can make a market order of one that works, under its order id."""
        ...

    @property
    def dormant(self) -> bool:
        """Whether nothing can happen here until an order comes; only a simulated venue can know that."""
        ...

    def submit(self, order: SubmitOrder) -> Sequence[Fact]:
        """Send ``order`` once, keyed by its intent id, and return what is known at once.

        Raises:
            BrokerRefused: there is no order.
            BrokerUnavailable: nothing was sent.
            BrokerStateUnknown: there may be an order.
        """
        ...

    def cancel(self, order: CancelOrder) -> Sequence[Fact]:
        """Ask for the rest of an order to be cancelled; raises as `submit` does."""
        ...

    def replace(self, order: ReplaceOrder) -> Sequence[Fact]:
        """Change size and prices of an order that works; returns what is known at once, and then they are changed.

        The terms are absolute: a venue that is told them twice does what it would have done.

        Raises:
            BrokerRefused: the order goes on as it was, or has ended.
            BrokerUnavailable: nothing was sent.
            BrokerStateUnknown: the order works, as it was or as it was to be; `lookup` may say what became of it.
        """
        ...

    def drain(self) -> Sequence[Fact]:
        """Facts that arrived since the last call, oldest first within each order."""
        ...

    def lookup(self, intent_id: UUID) -> Sequence[Fact] | None:
        """Every fact of the order of ``intent_id``; None when the venue answers that it has none.

        Raises:
            BrokerUnavailable: the venue could not be asked.
            BrokerStateUnknown: it gave no clear answer.
        """
        ...

    def snapshot(self) -> Snapshot:
        """The account as the venue sees it; raises as `lookup` does."""
        ...

    def observe(self, bar: BarEvent) -> None:
        """Take note of a market event; only a simulated venue needs it."""
        ...

    def rest(self) -> None:
        """Nobody waits for the venue just now: it may do what has to be done at some time."""
        ...

    def close(self) -> None:
        """Let go of the venue."""
        ...


@runtime_checkable
class NamesExecutions(Protocol):
    """A venue whose name of an execution says, too, which correction of it that is."""

    def execution(self, name: str) -> tuple[str, int]:
        """The part that all corrections share, and the number of this one: `fact_id` and `revision` of its FILL."""
        ...


@runtime_checkable
class CountsTraded(Protocol):
    """A venue that counts what an order has traded apart from the executions that it lists."""

    def traded(self, intent_id: UUID) -> float:
        """Units traded as far as it has said, by executions of earlier days too; 0 for an order that is unknown."""
        ...


@runtime_checkable
class Remote(Protocol):
    """A venue behind a connection."""

    @property
    def ready(self) -> bool:
        """Whether orders can be sent now."""
        ...


@runtime_checkable
class Overlapping(Protocol):
    """A venue that takes the next order before it has answered to the one before."""

    def dispatch(self, order: SubmitOrder) -> Reply:
        """Send ``order`` after all that were dispatched before, and do not wait for an answer.

        The reply must be called once. Raises as `Broker.submit` does, when it is known already.
        """
        ...


@runtime_checkable
class Preparing(Protocol):
    """A venue that must be asked something, such as what a symbol means there, before an order of it can leave."""

    def prepare(self, order: SubmitOrder) -> bool:
        """Ask it, so that ``order`` can leave at once; True when that is known.

        Raises:
            BrokerRefused: there can be no such order.
            BrokerUnavailable: it could not be asked.
        """
        ...


@runtime_checkable
class CancelsTogether(Protocol):
    """A venue that can be asked for many cancels in the time of one."""

    def cancel_together(self, orders: Sequence[CancelOrder]) -> Sequence[Outcome]:
        """What `Broker.cancel` says of each of ``orders``, of which no two are of one intent; all leave at once."""
        ...
