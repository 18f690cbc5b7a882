"""The status of an order as a pure function of the set of facts known about it."""

from collections.abc import Iterable, Set
from enum import StrEnum
from math import fsum

from domain.exact_sum import ExactSum
from order_plane.facts import NOT_SENT, Fact, FactKind

RELATIVE_TOLERANCE = 1e-9
"""Filled and ordered quantity count as equal within this fraction: partial fills are binary fractions."""


class Status(StrEnum):
    """Where an order stands."""

    CREATED = "Created"
    SUBMITTED = "Submitted"
    ACCEPTED = "Accepted"
    PARTIALLY_FILLED = "PartiallyFilled"
    PENDING_CANCEL = "PendingCancel"
    PENDING_REPLACE = "PendingReplace"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    EXPIRED = "Expired"
    REJECTED = "Rejected"


TERMINAL = frozenset({Status.FILLED, Status.CANCELLED, Status.EXPIRED, Status.REJECTED})
"""Statuses that no order leaves, except for another of them when a late fact is booked, or an execution taken back.

One that a person marked as not sent, and that the venue turns out to have, works all the same.
"""
# Looking a member up by name costs more than what most of these methods do with it.
_FILL, _ACK, _FILLED, _ACCEPTED = FactKind.FILL, FactKind.ACK, Status.FILLED, Status.ACCEPTED


class Alarm(StrEnum):
    """A set of facts that no healthy venue produces; the symbol must be halted and a person must look."""

    ANSWERED_BEFORE_SENT = "ANSWERED_BEFORE_SENT"
    FILLED_AND_REJECTED = "FILLED_AND_REJECTED"
    MARKED_NOT_SENT_AND_THERE = "MARKED_NOT_SENT_AND_THERE"
    OVERFILLED = "OVERFILLED"
    TAKEN_BACK = "TAKEN_BACK"
    """All of it had traded and some of that was corrected or busted: the venue works it no more, as far as is known."""


class History:
    """The set of facts known about one order, folded as they arrive.

    ``filled`` are units, ``value`` the sum of quantity times price, ``commission`` currency units,
    ``average_price`` per unit and None while nothing is filled.

    Facts commute and repeat harmlessly: any order and any number of deliveries gives the same status,
    quantities and alarms. Sums are exactly rounded, so they do not depend on the order either.
    """

    __slots__ = (
        "_asked",
        "_executions",
        "_refusals",
        "_requests",
        "_seconds",
        "_sums",
        "acked",
        "average_price",
        "cancelled",
        "commission",
        "expired",
        "filled",
        "lowered",
        "quantity",
        "rejected",
        "replaced",
        "submitted",
        "unsent",
        "value",
    )

    def __init__(self, quantity: float) -> None:
        self.quantity = quantity
        self.submitted = self.acked = self.rejected = self.cancelled = self.expired = self.unsent = False
        self.filled = self.value = self.commission = 0.0
        self.average_price: float | None = None
        self._executions: dict[str, Fact] = {}
        self.lowered: dict[str, float] | None = None
        """Of executions with several revisions, the most units that an earlier one had."""
        self._requests: set[str] | None = None
        self._refusals: set[str] | None = None
        self._seconds: set[str] | None = None
        self._asked: dict[str, Fact] | None = None
        self.replaced: Fact | None = None
        self._sums: tuple[ExactSum, ExactSum, ExactSum] | None = None

    def fold(self, fact: Fact) -> bool:
        """Add ``fact``; False when it says nothing new."""
        kind = fact.kind
        if kind is _FILL:
            return self._book(fact)
        if kind is _ACK:
            known, self.acked = self.acked, True
            return not known
        if kind is FactKind.CANCEL_REQUESTED:
            self._requests = self._requests or set()
            return _include(self._requests, fact.fact_id)
        if kind is FactKind.CANCEL_REFUSED:
            self._refusals = self._refusals or set()
            return _include(self._refusals, fact.fact_id)
        if kind in _REPLACING:
            return self._change(fact)
        if kind is FactKind.SECOND_ORDER:
            self._seconds = self._seconds or set()
            return _include(self._seconds, fact.fact_id)
        flag = "unsent" if fact.fact_id == NOT_SENT else _FLAGS[kind]
        if getattr(self, flag):
            return False
        setattr(self, flag, True)
        return True

    @property
    def unanswered(self) -> list[Fact]:
        """The replacements that were asked for while neither they nor a later one was answered."""
        return [fact for fact in (self._asked or {}).values() if self._waits(fact)]

    @property
    def requested(self) -> Set[str]:
        """The cancels that were asked for, whatever was answered."""
        return self._requests or frozenset()

    @property
    def cancelling(self) -> set[str]:
        """The cancels that were asked for and not refused."""
        return (self._requests or set()) - (self._refusals or set())

    @property
    def refused(self) -> Set[str]:
        """The cancels that the venue refused."""
        return self._refusals or frozenset()

    @property
    def changes(self) -> int:
        """How many replacements were asked for, as far as is known."""
        return max((fact.revision for fact in (self._asked or {}).values()), default=0)

    @property
    def size(self) -> float:
        """Units that the order is for, what traded included; while a replacement is unanswered, the least it may be."""
        size = self.quantity if self.replaced is None else self.replaced.quantity
        return min((size, *(fact.quantity for fact in self.unanswered)))

    @property
    def remaining(self) -> float:
        """Units that could still be filled."""
        return max(0.0, self.quantity - self.filled)

    def status(self) -> Status:
        """Where the order stands, by the first rule that applies."""
        if self.filled >= self.quantity * (1 - RELATIVE_TOLERANCE):
            return _FILLED
        if self.cancelled:
            return Status.CANCELLED
        if self.expired:
            return Status.EXPIRED
        if self.rejected:
            return Status.CANCELLED if self.filled else Status.REJECTED
        if self.lowered and self.taken_back:
            return Status.CANCELLED
        return Status.REJECTED if self.unsent and not self.there else self._open_status()

    def alarms(self) -> tuple[Alarm, ...]:
        """What is odd about these facts."""
        if self.submitted and not (self.rejected or self.unsent or self.lowered) and self.filled <= self.quantity:
            return ()
        found = []
        if not self.submitted and (self.acked or self.filled or self.cancelled or self.replaced):
            found.append(Alarm.ANSWERED_BEFORE_SENT)
        if self.rejected and self.filled:
            found.append(Alarm.FILLED_AND_REJECTED)
        if self.unsent and self.there:
            found.append(Alarm.MARKED_NOT_SENT_AND_THERE)
        if self.filled > self.quantity * (1 + RELATIVE_TOLERANCE):
            found.append(Alarm.OVERFILLED)
        if self.taken_back and self.filled < self.quantity * (1 - RELATIVE_TOLERANCE):
            found.append(Alarm.TAKEN_BACK)
        return tuple(found)

    @property
    def taken_back(self) -> bool:
        """Whether all of it had traded by the largest revision of each execution, and so ended at the venue."""
        return bool(self.lowered) and self.most >= self.quantity * (1 - RELATIVE_TOLERANCE)

    @property
    def most(self) -> float:
        """Units traded by the largest revision of each execution."""
        most = self.lowered
        if not most:
            return self.filled
        return fsum(max(each.quantity, most.get(name, 0.0)) for name, each in self._executions.items())

    @property
    def there(self) -> bool:
        """Whether the venue has said that it has the order."""
        return bool(self.acked or self.filled or self.replaced)

    def _open_status(self) -> Status:
        if self._requests and self.cancelling:
            sent = self.submitted or self.acked or self.filled > 0
            return Status.PENDING_CANCEL if sent else Status.CANCELLED
        if self._asked and (self.submitted or self.acked or self.filled) and self.unanswered:
            return Status.PENDING_REPLACE
        if self.filled:
            return Status.PARTIALLY_FILLED
        if self.acked:
            return _ACCEPTED
        return Status.SUBMITTED if self.submitted else Status.CREATED

    def _change(self, fact: Fact) -> bool:
        """Book what is known of a request; the newest that the venue took says how large the order is."""
        asked = self._asked = self._asked or {}
        name = fact.fact_id
        known = asked.get(name)
        if known is not None and (known.kind is fact.kind or _REPLACING[known.kind] > _REPLACING[fact.kind]):
            return False
        asked[name] = fact
        if fact.kind is FactKind.REPLACED:
            newest = self.replaced or fact
            self.replaced = max(newest, fact, key=lambda each: (each.revision, each.fact_id))
        return True

    def _waits(self, asked: Fact) -> bool:
        taken = 0 if self.replaced is None else self.replaced.revision
        return asked.kind is FactKind.REPLACE_REQUESTED and asked.revision > taken

    def _book(self, fact: Fact) -> bool:
        known, earlier = self._executions, None
        if known:
            earlier = known.get(fact.fact_id)
            if earlier is not None:
                was = self.taken_back
                self._lower(*((earlier, fact) if earlier.revision < fact.revision else (fact, earlier)))
                if earlier.revision >= fact.revision:
                    return self.taken_back is not was
        known[fact.fact_id] = fact
        if len(known) == 1:
            quantity, price = fact.quantity, fact.price
            self.filled, self.value, self.commission = quantity, quantity * price, fact.commission
            self.average_price = price if quantity else None
        else:
            self._add(fact, earlier)
        return True

    def _lower(self, before: Fact, after: Fact) -> None:
        """Remember of how much an execution was once, whichever of two revisions is heard first."""
        if before.revision < after.revision:
            most = self.lowered = self.lowered or {}
            most[before.fact_id] = max(before.quantity, most.get(before.fact_id, 0.0))

    def _add(self, fact: Fact, earlier: Fact | None) -> None:
        """Add an execution to the sums, in place of an earlier revision of it: an order may have thousands."""
        new: Iterable[Fact] = (fact,)
        if self._sums is None:  # this is the second one
            self._sums, new = (ExactSum(), ExactSum(), ExactSum()), self._executions.values()
        elif earlier is not None:
            for total, amount in zip(self._sums, _amounts(earlier), strict=True):
                total.add(-amount)
        for each in new:
            for total, amount in zip(self._sums, _amounts(each), strict=True):
                total.add(amount)
        self.filled, self.value, self.commission = (total.value for total in self._sums)
        self.average_price = self.value / self.filled if self.filled else None


_REPLACING = {FactKind.REPLACE_REQUESTED: 0, FactKind.REPLACE_REFUSED: 1, FactKind.REPLACED: 2}
"""What is known of a replacement; the later of two counts."""
_FLAGS = {
    FactKind.SUBMITTING: "submitted",
    FactKind.REJECT: "rejected",
    FactKind.CANCELLED: "cancelled",
    FactKind.EXPIRED: "expired",
}


def _amounts(fact: Fact) -> tuple[float, float, float]:
    return fact.quantity, fact.quantity * fact.price, fact.commission


def _include(names: set[str], name: str) -> bool:
    if name in names:
        return False
    names.add(name)
    return True


def history_of(quantity: float, facts: Iterable[Fact]) -> History:
    """The history of an order for ``quantity`` units of which ``facts`` are known."""
    history = History(quantity)
    for fact in facts:
        history.fold(fact)
    return history
