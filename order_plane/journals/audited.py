"""A journal that also tells an audit log what was decided, sent, heard and ordered by people."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from pydantic import JsonValue

from contracts.control import KillSwitchCommand
from contracts.trading import ExecutionReport, OrderIntent
from domain.ids import text_of as spelled
from domain.moments import text_of as moment_text
from order_plane.effects import SubmitOrder
from order_plane.facts import Fact
from order_plane.journals.port import NO_NOTES, Answer, Journal, Past, Recall, Refused, Resolution

Entry = dict[str, JsonValue]
_PLAIN = (int, float, str)


class AuditSink(Protocol):
    """Where entries go: a file with a chain."""

    def write(self, entries: Sequence[Mapping[str, JsonValue]]) -> None:
        """Append ``entries``; raises when they cannot be kept, which stops the order plane."""
        ...

    def rest(self) -> None:
        """Nobody waits for it just now."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Gap(NamedTuple):
    """Transactions of a journal, from the first to the last of them."""

    journal: str
    first: int
    last: int


class AuditedJournal:
    """The journal port around another journal; after each of its transactions the log gets one batch of entries.

    Each batch names the transaction. Opening names the journal's last one and closing the last that was told, so that
    what a crash kept from the log shows (`gaps`).
    """

    def __init__(self, journal: Journal, log: AuditSink) -> None:
        self._journal = journal
        self._log = log
        self._told = journal.sequence
        self._closed = False
        log.write([{"event": "OPENED", "journal": journal.journal_id, "transaction": journal.sequence}])

    @property
    def journal_id(self) -> str:
        """The name of the journal."""
        return self._journal.journal_id

    @property
    def sequence(self) -> int:
        """How many transactions were ever written."""
        return self._journal.sequence

    @property
    def appended(self) -> int:
        """How many reports were ever put into the outbox."""
        return self._journal.appended

    def recall(self, intent: OrderIntent) -> Recall:
        """What is remembered of an intent."""
        return self._journal.recall(intent)

    @property
    def shared(self) -> bool:
        """Whether another process can take the journal over."""
        return self._journal.shared

    def affirm(self) -> None:
        """Make sure that nobody has taken the journal over."""
        self._journal.affirm()

    def begin(self, admitted: Sequence[SubmitOrder], refused: Sequence[Refused], published: int) -> list[SubmitOrder]:
        """Write what was decided, and who may send."""
        won = self._journal.begin(admitted, refused, published)
        verdicts = [_verdict(order.intent, "ADMITTED", order.attempt) for order in admitted]
        verdicts += [_verdict(each.intent, each.report.reject_reason or "", 1) for each in refused]
        self._tell(verdicts + [_submission(order) for order in won])
        return won

    def conclude(
        self,
        answers: Sequence[Answer],
        facts: Sequence[Fact],
        reports: Sequence[ExecutionReport],
        published: int,
        notes: Mapping[str, str] = NO_NOTES,
    ) -> None:
        """Write what the broker said and what is to be reported."""
        self._journal.conclude(answers, facts, reports, published, notes)
        self._tell([*map(_answer, answers), *map(_fact, facts), *map(_report, reports)])

    def sign(self, resolution: Resolution) -> bool:
        """Write a person's decision, and that one was refused."""
        done = self._journal.sign(resolution)
        self._tell([{"event": "RESOLUTION", "done": done, **_plain(resolution._asdict())}])
        return done

    def resolutions(self) -> Sequence[Resolution]:
        """The newest decision on each attempt."""
        return self._journal.resolutions()

    def reports_of(self, intent_id: UUID) -> Sequence[ExecutionReport]:
        """The reports on an intent."""
        return self._journal.reports_of(intent_id)

    def unpublished(self) -> Sequence[ExecutionReport]:
        """The reports that may not have reached their readers."""
        return self._journal.unpublished()

    def past(self, intent_id: UUID) -> Past | None:
        """What is held of one intent."""
        return self._journal.past(intent_id)

    def pasts(self) -> Iterator[Past]:
        """What is held of every intent."""
        return self._journal.pasts()

    def record_command(self, command: KillSwitchCommand) -> bool:
        """Write a kill switch command."""
        new = self._journal.record_command(command)
        entry: Entry = {"event": "KILL_SWITCH", **command.model_dump(mode="json", exclude={"event_type"})}
        self._tell([entry] if new else [])
        return new

    def commands(self) -> Sequence[KillSwitchCommand]:
        """Every kill switch command."""
        return self._journal.commands()

    def note(self, notes: Mapping[str, str], *, synced: bool = True) -> None:
        """Keep each text under its name, without an entry: what a guard measures is no decision."""
        self._journal.note(notes, synced=synced)

    def notes(self) -> Mapping[str, str]:
        """Every text by its name."""
        return self._journal.notes()

    def noted(self, name: str) -> str | None:
        """The text under ``name``."""
        return self._journal.noted(name)

    def witness(self, entry: Mapping[str, JsonValue]) -> None:
        """Write what a person did."""
        self._log.write([{"transaction": self._told, **entry}])

    def rest(self) -> None:
        """Let log and journal do what has to be done at some time."""
        self._log.rest()
        self._journal.rest()

    def close(self) -> None:
        """Close log and journal; without a last entry, whoever checks the log is told what may be missing."""
        try:
            if not self._closed:
                self._closed = True
                self._log.write([{"event": "CLOSED", "transaction": self._told}])
        finally:
            try:
                self._log.close()
            finally:
                self._journal.close()

    def _tell(self, entries: list[Entry]) -> None:
        number = self._journal.sequence
        if entries:
            self._log.write([{"transaction": number, **entry} for entry in entries])
        self._told = number


def gaps(entries: Iterable[Mapping[str, JsonValue]]) -> Iterator[Gap]:
    """Transactions that a log, oldest entry first, holds nothing of though its journal had them when it was opened.

    A kill between the journal's commit and the log leaves one. So do lives without this log, and what a life that was
    killed did last when there was nothing to tell of it.
    """
    name, newest = "", 0
    for entry in entries:
        number = entry.get("transaction")
        if not isinstance(number, int):
            continue
        if entry.get("event") == "OPENED":
            journal = str(entry.get("journal"))
            name, newest = journal, newest if journal == name else 0
            if number > newest:
                yield Gap(name, newest + 1, number)
        newest = number


def _verdict(intent: OrderIntent, verdict: str, attempt: int) -> Entry:
    return {
        "event": "INTENT",
        "intent_id": spelled(intent.intent_id),
        "attempt": attempt,
        "strategy": intent.strategy_id,
        "symbol": intent.symbol,
        "side": intent.direction.value,
        "quantity": intent.quantity,
        "type": intent.order_type.value,
        "decided_at": moment_text(intent.timestamp),
        "verdict": verdict,
    }


def _submission(order: SubmitOrder) -> Entry:
    name = spelled(order.intent.intent_id)
    return {"event": "SUBMIT", "intent_id": name, "attempt": order.attempt, "account": order.account}


def _answer(answer: Answer) -> Entry:
    return {
        "event": "ANSWER",
        "intent_id": spelled(answer.intent_id),
        "attempt": answer.attempt,
        "state": answer.state.value,
        "order_id": answer.order_id,
    }


def _fact(fact: Fact) -> Entry:
    return {
        "event": "FACT",
        "intent_id": spelled(fact.intent_id),
        "kind": fact.kind.value,
        "fact_id": fact.fact_id,
        "timestamp": moment_text(fact.timestamp).replace("T", " "),
        "order_id": fact.order_id,
        "quantity": fact.quantity,
        "price": fact.price,
        "commission": fact.commission,
        "revision": fact.revision,
        "reason": fact.reason,
    }


def _report(report: ExecutionReport) -> Entry:
    name = spelled(report.intent_id)
    return {"event": "REPORT", "intent_id": name, "sequence": report.sequence, "status": report.status.value}


def _plain(fields: Mapping[str, object]) -> Entry:
    """Numbers and texts as they are, everything else as its text."""
    return {name: value if isinstance(value, _PLAIN) else _text(value) for name, value in fields.items()}


def _text(value: object) -> str:
    return spelled(value) if isinstance(value, UUID) else str(value)
