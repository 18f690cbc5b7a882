"""The port of the journal: what must survive so that an intent is sent once and never forgotten."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Protocol
from uuid import UUID

from pydantic import JsonValue

from contracts.control import KillSwitchCommand
from contracts.trading import ExecutionReport, OrderIntent
from order_plane.effects import SubmitOrder
from order_plane.facts import Fact
from order_plane.lifecycle import History, Status, history_of

NO_NOTES: Mapping[str, str] = MappingProxyType({})
"""Nothing is to be kept beside what a transaction is about."""


class RowState(StrEnum):
    """How far one attempt to send an intent has come."""

    INTENDED = "INTENDED"
    SUBMITTING = "SUBMITTING"
    ACKED = "ACKED"
    REJECTED = "REJECTED"
    IN_DOUBT = "IN_DOUBT"
    NOT_SENT = "NOT_SENT"


REVISED = frozenset({(RowState.ACKED, RowState.IN_DOUBT), (RowState.NOT_SENT, RowState.ACKED)})
"""From which state to which an answer moves a row whose outcome was known already."""


class Recall(StrEnum):
    """What the journal remembers of an intent."""

    NEW = "NEW"
    KNOWN = "KNOWN"
    CONFLICT = "CONFLICT"


class Answer(NamedTuple):
    """What is now known of an attempt that was sent."""

    intent_id: UUID
    attempt: int
    state: RowState
    order_id: str = ""


class Refused(NamedTuple):
    """An intent that no order came of, and the report that says why."""

    intent: OrderIntent
    account: str
    report: ExecutionReport


class Verdict(StrEnum):
    """What a person found out about an attempt whose outcome was unknown."""

    ADOPTED = "ADOPTED"
    NOT_SENT = "NOT_SENT"
    SEND_AGAIN = "SEND_AGAIN"


class Resolution(NamedTuple):
    """A person's signed decision on one attempt: who, why, when.

    ``order_id`` is the venue's name of an adopted order. SEND_AGAIN says NOT_SENT and asks for the next attempt.
    ``changes`` are the requests for a change of the order that it is about, none when it is about the attempt itself.
    """

    intent_id: UUID
    attempt: int
    verdict: Verdict
    operator: str
    reason: str
    at: datetime
    order_id: str = ""
    changes: tuple[str, ...] = ()


class Past(NamedTuple):
    """Everything the journal holds of one intent's latest attempt; ``reports`` counts those written."""

    intent: OrderIntent
    account: str
    attempt: int
    state: RowState
    order_id: str
    facts: tuple[Fact, ...]
    reports: int

    @property
    def history(self) -> History:
        """What its facts come to, folded anew each time."""
        return history_of(self.intent.quantity, self.facts)

    @property
    def is_no_order(self) -> bool:
        """Whether nothing was sent and nothing asks for it to be sent again."""
        if self.state is RowState.INTENDED:
            return self.attempt == 1
        return self.state is RowState.REJECTED and not self.facts

    @property
    def was_given_up(self) -> bool:
        """Whether somebody signed that it was not sent, and nothing works that was sent since."""
        return self.state is RowState.NOT_SENT or (self.state is RowState.REJECTED and self.attempt > 1)

    def remains_after(self, fact: Fact) -> bool:
        """Whether some of it has not traded, with ``fact`` counted in."""
        return history_of(self.intent.quantity, (*self.facts, fact)).status() is not Status.FILLED


class JournalError(RuntimeError):
    """The journal cannot be trusted or cannot be written; the order plane must stop."""


class JournalUnavailable(JournalError):
    """The database of the journal cannot be reached; nothing is wrong with what it holds."""


class JournalHeld(JournalError):
    """Another process holds the journal."""


class Journal(Protocol):
    """Rows ``(intent, attempt)``, facts, an outbox of reports, and the kill switch.

    What a method has returned from is durable. Every call is one transaction: all of it or nothing.
    ``published`` tells the outbox that its first so many reports have reached their readers.
    """

    @property
    def journal_id(self) -> str:
        """The name of this journal, different for every journal ever made."""
        ...

    @property
    def sequence(self) -> int:
        """How many transactions were ever written; an older copy of a journal has a lower one."""
        ...

    @property
    def appended(self) -> int:
        """How many reports were ever put into the outbox."""
        ...

    def recall(self, intent: OrderIntent) -> Recall:
        """Whether an intent of this id was seen, and with the same content.

        NEW also when its first attempt is INTENDED and nothing was sent.
        """
        ...

    @property
    def shared(self) -> bool:
        """Whether another process can take it over while this one goes on, so that `affirm` must precede each order."""
        ...

    def affirm(self) -> None:
        """Make sure that nobody has taken the journal over since it last answered; raises JournalError else."""
        ...

    def begin(self, admitted: Sequence[SubmitOrder], refused: Sequence[Refused], published: int) -> list[SubmitOrder]:
        """Write what was decided; returns those of ``admitted`` that this call moved from INTENDED to SUBMITTING.

        Only the caller that got an order back may send it, and once.
        """
        ...

    def conclude(
        self,
        answers: Sequence[Answer],
        facts: Sequence[Fact],
        reports: Sequence[ExecutionReport],
        published: int,
        notes: Mapping[str, str] = NO_NOTES,
    ) -> None:
        """Write what the broker said and what is to be reported, with ``notes``; known facts are left as they are.

        An answer moves a row that is SUBMITTING or IN_DOUBT and no other, but that IN_DOUBT also moves one that is
        ACKED (the venue accepted the order and knows it no more), and ACKED one that is NOT_SENT (the venue has it,
        whatever a person signed).
        """
        ...

    def sign(self, resolution: Resolution) -> bool:
        """Write a person's decision; False, and nothing is written, unless that attempt is SUBMITTING or IN_DOUBT.

        ADOPTED moves the row to ACKED, the others to NOT_SENT; SEND_AGAIN adds the next attempt as INTENDED.
        """
        ...

    def resolutions(self) -> Sequence[Resolution]:
        """The newest decision on each attempt, in the order of the first ones."""
        ...

    def reports_of(self, intent_id: UUID) -> Sequence[ExecutionReport]:
        """The reports on an intent, in sequence, as far as they are retained."""
        ...

    def unpublished(self) -> Sequence[ExecutionReport]:
        """The reports that may not have reached their readers, in the order they were written."""
        ...

    def past(self, intent_id: UUID) -> Past | None:
        """What is held of one intent."""
        ...

    def pasts(self) -> Iterator[Past]:
        """What is held of every intent, in the order they were first written."""
        ...

    def record_command(self, command: KillSwitchCommand) -> bool:
        """Write a kill switch command; False when it was written before."""
        ...

    def commands(self) -> Sequence[KillSwitchCommand]:
        """Every kill switch command, in the order they were written."""
        ...

    def note(self, notes: Mapping[str, str], *, synced: bool = True) -> None:
        """Keep each text under its name, in place of the one before it; what is kept so is no transaction.

        Unless ``synced``, it survives the process and not, before the next write, a loss of power.
        """
        ...

    def notes(self) -> Mapping[str, str]:
        """Every text by its name; there is one for each release that was ever refused."""
        ...

    def noted(self, name: str) -> str | None:
        """The text under ``name``, looked up without the others; None when there is none."""
        ...

    def witness(self, entry: Mapping[str, JsonValue]) -> None:
        """Have the audit log, if there is one, hold what a person did that is no transaction of the journal."""
        ...

    def rest(self) -> None:
        """Nobody waits for the journal just now: it may do what has to be done at some time."""
        ...

    def close(self) -> None:
        """Let go of the journal."""
        ...
