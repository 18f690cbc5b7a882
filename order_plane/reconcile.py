"""The difference between what we believe and what the venue says, as findings with names."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from order_plane.brokers.port import CompletedOrder, OpenOrder, Snapshot
from order_plane.facts import Fact, FactKind
from order_plane.journals.port import Past, RowState
from order_plane.lifecycle import TERMINAL, Status
from order_plane.safety.symbol_halts import EVERY_SYMBOL

_UNITS = 1e-6
"""Units below which two quantities are the same: sums of binary fractions."""


class Difference(StrEnum):
    """Every way in which the two can differ."""

    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    """An order works or ended at the venue that no intent of ours asked for."""
    UNKNOWN_EXECUTION = "UNKNOWN_EXECUTION"
    """An execution of such an order."""
    FOUND_ORDER = "FOUND_ORDER"
    """The venue has an order whose outcome we did not know."""
    MISSING_ORDER = "MISSING_ORDER"
    """An order of ours works here, and the venue lists it nowhere."""
    MISSED_END = "MISSED_END"
    """An order of ours works here and has ended at the venue."""
    STILL_WORKS = "STILL_WORKS"
    """An order of ours has ended here and works at the venue."""
    END_DIFFERS = "END_DIFFERS"
    """An order has ended on both sides, and not in the same way."""
    ORDER_DIFFERS = "ORDER_DIFFERS"
    """Symbol, side or quantity of a working order are not those of its intent."""
    MISSED_EXECUTION = "MISSED_EXECUTION"
    """An execution of ours, or its newest revision, that is not booked here."""
    EXECUTION_DIFFERS = "EXECUTION_DIFFERS"
    """An execution that is booked with another quantity, price or commission."""
    EXECUTION_NOT_AT_VENUE = "EXECUTION_NOT_AT_VENUE"
    """More is booked here of a working order than the venue has executed."""
    POSITION_DIFFERS = "POSITION_DIFFERS"
    CASH_DIFFERS = "CASH_DIFFERS"


REPAIRABLE = frozenset(
    {
        Difference.FOUND_ORDER,
        Difference.MISSING_ORDER,
        Difference.MISSED_END,
        Difference.MISSED_EXECUTION,
        Difference.END_DIFFERS,
    }
)
"""What asking the venue for the facts of the order can bring in line."""
UNKNOWN = frozenset({Difference.UNKNOWN_ORDER, Difference.UNKNOWN_EXECUTION})


class UnknownOrders(StrEnum):
    """What becomes of an order that works at the venue and that no intent asked for."""

    ALARM = "alarm"
    ADOPT = "adopt"


class Finding(NamedTuple):
    """One difference: of a ``symbol`` (``*`` for the account), of an order if there is one, in a sentence.

    The sentence names amounts that stay as they are while trading goes on, so the same difference is the same finding.
    ``stray`` is the venue's name of an order that works there and nobody wants.
    """

    difference: Difference
    symbol: str
    intent_id: UUID | None
    detail: str
    stray: str = ""


@dataclass(frozen=True, slots=True)
class OwnView:
    """What we believe: the pasts of all open orders and of whatever the snapshot names, positions (units), cash.

    ``cash`` is in currency units. ``cash_tolerance`` is how far two amounts may be apart and still be the same.
    """

    pasts: Mapping[UUID, Past]
    positions: Mapping[str, float]
    cash: float
    cash_tolerance: float = 0.01


class _Own(NamedTuple):
    past: Past
    status: Status
    filled: float
    executions: Mapping[str, Fact]


def differences(own: OwnView, venue: Snapshot) -> tuple[Finding, ...]:
    """Everything in which ``venue`` is not as we believe; nothing when both follow from the same facts.

    An order that was never sent, or whose outcome we know that we do not know, may be absent at the venue.
    """
    orders = {name: _own(past) for name, past in own.pasts.items()}
    listed: dict[UUID, OpenOrder | CompletedOrder] = {each.intent_id: each for each in venue.completed_orders}
    listed |= {each.intent_id: each for each in venue.open_orders}
    return (
        *_of_listed_orders(orders, listed),
        *_of_missing_orders(orders, listed),
        *_of_executions(orders, venue.executions, listed),
        *_of_positions(own.positions, venue.positions),
        *_of_cash(own, venue.cash),
    )


def named(venue: Snapshot) -> frozenset[UUID]:
    """The intents that a snapshot speaks of."""
    everything: Iterable[OpenOrder | CompletedOrder | Fact]
    everything = (*venue.open_orders, *venue.completed_orders, *venue.executions)
    return frozenset(each.intent_id for each in everything)


def _own(past: Past) -> _Own:
    history = past.history
    history.submitted = True
    newest: dict[str, Fact] = {}
    for fact in past.facts:
        known = newest.get(fact.fact_id)
        if fact.kind is FactKind.FILL and (known is None or known.revision < fact.revision):
            newest[fact.fact_id] = fact
    return _Own(past, history.status(), history.filled, newest)


def _of_listed_orders(
    orders: Mapping[UUID, _Own], listed: Mapping[UUID, OpenOrder | CompletedOrder]
) -> Iterator[Finding]:
    for name, theirs in listed.items():
        ours = orders.get(name)
        if ours is None or ours.past.is_no_order:
            what = "works" if isinstance(theirs, OpenOrder) else "ended"
            detail = f"order {theirs.order_id} {what} at the venue and no intent asked for it"
            yield Finding(Difference.UNKNOWN_ORDER, theirs.symbol, name, detail)
        elif ours.past.state in (RowState.SUBMITTING, RowState.IN_DOUBT):
            yield _finding(Difference.FOUND_ORDER, ours, "the venue has the order whose outcome was unknown")
        elif isinstance(theirs, OpenOrder):
            yield from _of_working(ours, theirs)
        elif ours.status not in TERMINAL:
            yield _finding(Difference.MISSED_END, ours, f"it is {theirs.status} at the venue")
        elif ours.status is not theirs.status:
            yield _finding(Difference.END_DIFFERS, ours, f"{ours.status} here and {theirs.status} at the venue")


def _of_working(ours: _Own, theirs: OpenOrder) -> Iterator[Finding]:
    intent = ours.past.intent
    if ours.status in TERMINAL:
        found = _finding(Difference.STILL_WORKS, ours, f"it is {ours.status} here and works at the venue")
        yield found._replace(stray=theirs.order_id)
    if (theirs.symbol, theirs.direction) != (intent.symbol, intent.direction) or not _same(
        theirs.quantity, intent.quantity
    ):
        terms = f"{theirs.direction} {theirs.quantity:g} {theirs.symbol}"
        yield _finding(Difference.ORDER_DIFFERS, ours, f"it is {terms} at the venue")
    if ours.filled > theirs.filled + _UNITS:
        more = ours.filled - theirs.filled
        yield _finding(Difference.EXECUTION_NOT_AT_VENUE, ours, f"{more:g} units more are booked here than executed")
    elif theirs.filled > ours.filled + _UNITS:
        yield _finding(Difference.MISSED_EXECUTION, ours, "more was executed at the venue than is booked here")


def _of_missing_orders(
    orders: Mapping[UUID, _Own], listed: Mapping[UUID, OpenOrder | CompletedOrder]
) -> Iterator[Finding]:
    for name, ours in orders.items():
        if name not in listed and ours.past.state is RowState.ACKED and ours.status not in TERMINAL:
            yield _finding(Difference.MISSING_ORDER, ours, "the venue lists it neither as working nor as ended")


def _of_executions(
    orders: Mapping[UUID, _Own], executions: Iterable[Fact], listed: Mapping[UUID, OpenOrder | CompletedOrder]
) -> Iterator[Finding]:
    for theirs in executions:
        ours = orders.get(theirs.intent_id)
        if ours is None or ours.past.is_no_order:
            order = listed.get(theirs.intent_id)
            symbol = EVERY_SYMBOL if order is None else order.symbol
            detail = f"execution {theirs.fact_id} of order {theirs.order_id} belongs to no intent"
            yield Finding(Difference.UNKNOWN_EXECUTION, symbol, theirs.intent_id, detail)
            continue
        booked = ours.executions.get(theirs.fact_id)
        if booked is None or booked.revision < theirs.revision:
            yield _finding(Difference.MISSED_EXECUTION, ours, f"execution {theirs.fact_id} is not booked here")
        elif booked.revision == theirs.revision and _terms(booked) != _terms(theirs):
            yield _finding(Difference.EXECUTION_DIFFERS, ours, f"execution {theirs.fact_id} has other terms here")


def _of_positions(ours: Mapping[str, float], theirs: Mapping[str, float]) -> Iterator[Finding]:
    for symbol in sorted({*ours, *theirs}):
        more = theirs.get(symbol, 0.0) - ours.get(symbol, 0.0)
        if not abs(more) <= _UNITS:  # so that not-a-number differs too
            yield Finding(Difference.POSITION_DIFFERS, symbol, None, f"the venue holds {more:+g} units against here")


def _of_cash(own: OwnView, theirs: float | None) -> Iterator[Finding]:
    if theirs is not None and not abs(theirs - own.cash) <= own.cash_tolerance:
        detail = f"the venue has {theirs - own.cash:+.2f} against here"
        yield Finding(Difference.CASH_DIFFERS, EVERY_SYMBOL, None, detail)


def _finding(difference: Difference, ours: _Own, detail: str) -> Finding:
    intent = ours.past.intent
    return Finding(difference, intent.symbol, intent.intent_id, f"order of {intent.intent_id}: {detail}")


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= _UNITS


def _terms(execution: Fact) -> tuple[float, float, float]:
    return execution.quantity, execution.price, execution.commission
