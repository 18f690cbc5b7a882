"""The durable journal in the tables of a database."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

from pydantic import JsonValue

from contracts.codec import encode
from contracts.control import KillSwitchCommand
from contracts.trading import ExecutionReport, OrderIntent
from domain.ids import text_of as spelled
from kernel.crash_points import crash_point
from order_plane.effects import SubmitOrder
from order_plane.facts import Fact
from order_plane.journals.bodies import message_of, readable
from order_plane.journals.database import Database, hold_seals
from order_plane.journals.past_rows import pasts_of
from order_plane.journals.port import (
    NO_NOTES,
    Answer,
    JournalError,
    Past,
    Recall,
    Refused,
    Resolution,
    RowState,
    Verdict,
)
from order_plane.journals.tables import (
    COUNTED,
    COUNTERS,
    FACT_ROW,
    INTENT_ROW,
    MOVE_OPEN,
    MOVE_REVISED,
    NOTE_ROW,
    PLACE,
    REPORT_ROW,
    RESOLUTION_ROW,
    Counters,
    fact_row,
    number_of,
    seal,
    sealed,
    sealed_state,
)

Result = TypeVar("Result")
TAKEN_OVER = "another order plane took this journal over; this one must stop"


class SqlJournal:
    """Rows in a database that has the tables of `journal_tables`.

    Raises:
        JournalError: when it cannot be read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counters = self._read_counters("")
        self._epoch = self._counters.epoch

    @property
    def journal_id(self) -> str:
        """The name of this journal, drawn when it was made."""
        return self._counters.journal_id

    @property
    def sequence(self) -> int:
        """How many transactions were ever written."""
        return self._counters.sequence

    @property
    def appended(self) -> int:
        """How many reports were ever put into the outbox."""
        return self._counters.appended

    def recall(self, intent: OrderIntent) -> Recall:
        """What is remembered of an intent."""
        rows = self._database.rows(
            "SELECT content_hash, state, attempt FROM intents WHERE intent_id = ? ORDER BY attempt DESC LIMIT 1",
            (spelled(intent.intent_id),),
        )
        if not rows:
            return Recall.NEW
        content_hash, state, attempt = rows[0]
        if content_hash != sha256(encode(intent)).digest():
            return Recall.CONFLICT
        return Recall.NEW if state == RowState.INTENDED and attempt == 1 else Recall.KNOWN

    def begin(self, admitted: Sequence[SubmitOrder], refused: Sequence[Refused], published: int) -> list[SubmitOrder]:
        """Write what was decided; returns the orders that may be sent."""

        def change() -> list[SubmitOrder]:
            won = [order for order in admitted if self._is_new(order) or self._win(order)]
            crash_point("after_intended")
            for each in refused:
                self._intend(each.intent, each.account, 1, RowState.REJECTED)
            self._append([each.report for each in refused])
            return won

        return self._write(change, published)

    def conclude(
        self,
        answers: Sequence[Answer],
        facts: Sequence[Fact],
        reports: Sequence[ExecutionReport],
        published: int,
        notes: Mapping[str, str] = NO_NOTES,
    ) -> None:
        """Write what the broker said and what is to be reported."""

        def change() -> None:
            for answer in answers:
                move = MOVE_REVISED.get(answer.state, MOVE_OPEN)
                self._move(move, spelled(answer.intent_id), answer.attempt, answer.state, answer.order_id)
            if facts:
                self._database.change_many(FACT_ROW, [fact_row(fact) for fact in facts])
            self._append(reports)
            self._keep(notes)

        self._write(change, published)

    def sign(self, resolution: Resolution) -> bool:
        """Write a person's decision; False unless that attempt is SUBMITTING or IN_DOUBT."""
        intent_id, attempt, verdict, operator, reason, at, order_id, _ = resolution
        adopted = verdict is Verdict.ADOPTED
        name = str(intent_id)

        def change() -> bool:
            state = RowState.ACKED if adopted else RowState.NOT_SENT
            if not self._move(MOVE_OPEN, name, attempt, state, order_id):
                return False
            self._database.change(
                RESOLUTION_ROW,
                sealed(name, attempt, verdict.value, operator, reason, at.isoformat(), order_id),
            )
            if verdict is Verdict.SEND_AGAIN:
                past = next(pasts_of(self._database, " AND intent_id = ?", (name,)))
                self._intend(past.intent, past.account, attempt + 1, RowState.INTENDED)
            return True

        return self._write(change)

    def resolutions(self) -> Sequence[Resolution]:
        """The newest decision on each attempt, in the order of the first ones."""
        rows = self._database.rows(
            "SELECT intent_id, attempt, verdict, operator, reason, at, order_id FROM resolutions ORDER BY position"
        )
        return [
            Resolution(UUID(name), attempt, Verdict(verdict), operator, reason, datetime.fromisoformat(at), order_id)
            for name, attempt, verdict, operator, reason, at, order_id in rows
        ]

    def reports_of(self, intent_id: UUID) -> Sequence[ExecutionReport]:
        """The reports on an intent, in sequence."""
        return self._reports("WHERE intent_id = ?", str(intent_id))

    def unpublished(self) -> Sequence[ExecutionReport]:
        """The reports that may not have reached their readers, in the order they were written."""
        return self._reports("WHERE position > ?", self._counters.published)

    def past(self, intent_id: UUID) -> Past | None:
        """What is held of one intent."""
        return next(pasts_of(self._database, " AND intent_id = ?", (str(intent_id),)), None)

    def pasts(self) -> Iterator[Past]:
        """What is held of every intent, in the order they were first written."""
        return pasts_of(self._database)

    def record_command(self, command: KillSwitchCommand) -> bool:
        """Write a kill switch command; False when it was written before."""
        statement = "INSERT INTO kill_commands (command_id, body, seal) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        row = sealed(str(command.command_id), readable(command))
        return self._write(lambda: self._database.change(statement, row)) == 1

    def commands(self) -> Sequence[KillSwitchCommand]:
        """Every kill switch command, in the order they were written."""
        rows = self._database.rows("SELECT command_id, body, seal FROM kill_commands ORDER BY position")
        hold_seals("kill_commands", rows)
        return [message_of(body, KillSwitchCommand) for _, body, _ in rows]

    def note(self, notes: Mapping[str, str], *, synced: bool = True) -> None:
        """Keep each text under its name."""
        with self._database.transaction(synced=synced):
            self._own_counters()
            self._keep(notes)

    def notes(self) -> Mapping[str, str]:
        """Every text by its name."""
        return dict(self._database.rows("SELECT name, body FROM notes WHERE name <> ? ORDER BY name", (PLACE,)))

    def noted(self, name: str) -> str | None:
        """The text under ``name``."""
        rows = self._database.rows("SELECT body FROM notes WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else None

    def witness(self, entry: Mapping[str, JsonValue]) -> None:
        """There is no audit log here."""

    def rest(self) -> None:
        """Let the database tidy up."""
        self._database.rest()

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def _write(self, change: Callable[[], Result], published: int = 0) -> Result:
        """Carry out ``change`` as one transaction, and return what it does."""
        before = self._counters
        try:
            with self._database.transaction():
                name, epoch, sequence, appended, known = self._own_counters()
                self._counters = Counters(name, epoch, sequence + 1, appended, max(known, published))
                result = change()
                now = self._counters
                self._database.change(COUNTED, (*now[2:], seal(*now)))
        except BaseException:
            self._counters = before
            raise
        self._database.written(now.journal_id, now.sequence)
        return result

    def _own_counters(self) -> Counters:
        locking = self._database.locking
        if locking is None:
            return self._counters
        now = self._read_counters(locking)
        if now.epoch != self._epoch:
            raise JournalError(TAKEN_OVER)
        return now

    def _read_counters(self, locking: str) -> Counters:
        rows = self._database.rows(f"SELECT {COUNTERS} FROM meta{locking}")  # noqa: S608 - own columns
        if not rows:
            raise JournalError("the journal lacks its own description; restore it from a backup")
        return Counters(*rows[0])

    def _move(self, statement: str, name: str, attempt: int, state: RowState, order_id: str) -> bool:
        """Let an attempt that is in one of the states of ``statement`` become ``state``; False when it is in none."""
        known = state.value
        row = (known, order_id, seal(name, attempt, known, order_id), name, attempt)
        return self._database.change(statement, row) == 1

    def _is_new(self, order: SubmitOrder) -> bool:
        """Write a first attempt as one that is about to be sent; False when it was written before.

        A later attempt was written with the decision that asked for it.
        """
        return order.attempt == 1 and self._intend(order.intent, order.account, 1, RowState.SUBMITTING)

    def _win(self, order: SubmitOrder) -> bool:
        """Let an attempt that an earlier transaction wrote be sent now; False when it is not to be sent any more."""
        name = spelled(order.intent.intent_id)
        changed = self._database.change(
            "UPDATE intents SET state = 'SUBMITTING', state_seal = ?"
            " WHERE intent_id = ? AND attempt = ? AND state = 'INTENDED'",
            (seal(name, order.attempt, "SUBMITTING", ""), name, order.attempt),
        )
        return changed == 1

    def _intend(self, intent: OrderIntent, account: str, attempt: int, state: RowState) -> bool:
        """Write an attempt unless it is there already; whether it was written."""
        body, name, side = readable(intent), spelled(intent.intent_id), intent.direction.value
        row = sealed(
            name, attempt, sha256(body).digest(), account, intent.symbol, side, number_of(intent.quantity), body
        )
        return self._database.change(INTENT_ROW, (*row, *sealed_state(name, attempt, state))) == 1

    def _keep(self, notes: Mapping[str, str]) -> None:
        if notes:
            self._database.change_many(NOTE_ROW, [sealed(name, body) for name, body in notes.items()])

    def _append(self, reports: Sequence[ExecutionReport]) -> None:
        if not reports:
            return
        first = self._counters.appended + 1
        self._database.change_many(
            REPORT_ROW,
            [
                sealed(position, str(report.report_id), spelled(report.intent_id), readable(report))
                for position, report in enumerate(reports, start=first)
            ],
        )
        self._counters = self._counters._replace(appended=self._counters.appended + len(reports))

    def _reports(self, where: str, parameter: object) -> list[ExecutionReport]:
        query = f"SELECT body FROM reports {where} ORDER BY position"  # noqa: S608 - own columns
        return [message_of(body, ExecutionReport) for (body,) in self._database.rows(query, (parameter,))]
