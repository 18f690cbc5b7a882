"""The account of what became of every intent: nothing may have vanished."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from order_plane.journals.port import Past, RowState
from order_plane.lifecycle import Status


class End(StrEnum):
    """How an intent may end, the two ways in which it has not, and that nobody knows."""

    ACKED = "ACKED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    DEAD_LETTERED = "DEAD-LETTERED"
    IN_DOUBT = "IN_DOUBT"
    WAITING = "WAITING"
    LOST = "LOST"
    UNKNOWN = "UNKNOWN"


ENDS_OF_STATUS: Mapping[str, End] = {
    "REJECTED": End.REJECTED,
    "EXPIRED": End.EXPIRED,
    "IN_DOUBT": End.IN_DOUBT,
    "UNANSWERED": End.LOST,
}
"""How an intent ended by the status of the newest report on it; every other status had an order."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """How many intents ended how, and those that need a look: lost, waiting or in doubt."""

    counts: Counter[End]
    open: Mapping[UUID, End]

    @property
    def holds(self) -> bool:
        """Whether every intent is known to have ended."""
        return not any(self.counts[each] for each in (End.LOST, End.WAITING, End.UNKNOWN))


def end_of(past: Past) -> End:
    """How an intent ended that the journal holds."""
    if past.state in (RowState.SUBMITTING, RowState.IN_DOUBT):
        return End.IN_DOUBT
    if past.state is RowState.INTENDED:
        return End.WAITING
    status = past.history.status()
    if past.state in (RowState.REJECTED, RowState.NOT_SENT) and status not in (Status.CANCELLED, Status.FILLED):
        return End.REJECTED
    if status is Status.PENDING_REPLACE:  # in the journal it is that only while nobody knows how the order works
        return End.IN_DOUBT
    return {Status.EXPIRED: End.EXPIRED, Status.REJECTED: End.REJECTED}.get(status, End.ACKED)


def settled(consumed: Iterable[UUID], journaled: Mapping[UUID, End], dead_lettered: Collection[UUID]) -> Ledger:
    """The account of the ``consumed`` intents against what the journal and the dead letters hold."""
    ends = {
        name: journaled.get(name, End.DEAD_LETTERED if name in dead_lettered else End.LOST)
        for name in dict.fromkeys(consumed)
    }
    look = {name: end for name, end in ends.items() if end in (End.LOST, End.WAITING, End.IN_DOUBT)}
    return Ledger(Counter(ends.values()), look)
