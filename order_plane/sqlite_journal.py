"""The durable journal in one SQLite file, held by one process at a time."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from contracts.codec import decode, encode
from contracts.control import KillSwitchCommand
from contracts.trading import ExecutionReport, OrderIntent
from order_plane.crash_points import crash_point
from order_plane.effects import SubmitOrder
from order_plane.journal import Answer, JournalError, Past, Recall, Refused, RowState
from order_plane.journal_file import locked, opened
from order_plane.lifecycle import Fact, FactKind


class SqliteJournal:
    """One file in write-ahead mode that is synchronised to disk at every commit.

    A lock on a file beside it keeps a second process out until the first one is dead; a stopped process
    keeps its lock, so a take-over waits for proof of death.

    Raises:
        JournalError: when the file is held by another process, is no journal, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = locked(path)
        try:
            self._connection = opened(path)
        except BaseException:
            self._lock.close()
            raise
        self._id = str(self._value("SELECT value FROM meta WHERE name = 'journal_id'"))
        self._appended = int(self._value("SELECT coalesce(max(position), 0) FROM reports"))
        self._published = int(self._value("SELECT value FROM meta WHERE name = 'published'"))

    @property
    def journal_id(self) -> str:
        """The name of this journal, drawn when the file was made."""
        return self._id

    @property
    def appended(self) -> int:
        """How many reports were ever put into the outbox."""
        return self._appended

    def recall(self, intent: OrderIntent) -> Recall:
        """What is remembered of an intent."""
        row = self._connection.execute(
            "SELECT content_hash, state FROM intents WHERE intent_id = ? ORDER BY attempt DESC LIMIT 1",
            (str(intent.intent_id),),
        ).fetchone()
        if row is None:
            return Recall.NEW
        if row[0] != sha256(encode(intent)).digest():
            return Recall.CONFLICT
        return Recall.NEW if row[1] == RowState.INTENDED else Recall.KNOWN

    def begin(self, admitted: Sequence[SubmitOrder], refused: Sequence[Refused], published: int) -> list[SubmitOrder]:
        """Write what was decided; returns the orders that may be sent."""
        with self._transaction():
            for order in admitted:
                self._intend(order.intent, order.account, order.attempt, RowState.INTENDED)
            crash_point("after_intended")
            won = [order for order in admitted if self._win(order)]
            for each in refused:
                self._intend(each.intent, each.account, 1, RowState.REJECTED)
            self._append([each.report for each in refused], published)
        return won

    def conclude(
        self, answers: Sequence[Answer], facts: Sequence[Fact], reports: Sequence[ExecutionReport], published: int
    ) -> None:
        """Write what the broker said and what is to be reported."""
        with self._transaction() as write:
            write.executemany(
                "UPDATE intents SET state = ?, order_id = ? WHERE intent_id = ? AND attempt = ?"
                " AND state IN ('SUBMITTING', 'IN_DOUBT')",
                [(each.state.value, each.order_id, str(each.intent_id), each.attempt) for each in answers],
            )
            write.executemany(
                "INSERT OR IGNORE INTO facts"
                " (intent_id, kind, fact_id, revision, at, order_id, quantity, price, commission, reason)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [_fact_row(fact) for fact in facts],
            )
            self._append(reports, published)

    def reports_of(self, intent_id: UUID) -> Sequence[ExecutionReport]:
        """The reports on an intent, in sequence."""
        return self._reports("SELECT body FROM reports WHERE intent_id = ? ORDER BY position", str(intent_id))

    def unpublished(self) -> Sequence[ExecutionReport]:
        """The reports that may not have reached their readers, in the order they were written."""
        return self._reports("SELECT body FROM reports WHERE position > ? ORDER BY position", self._published)

    def past(self, intent_id: UUID) -> Past | None:
        """What is held of one intent."""
        return next(self._pasts("WHERE intent_id = ?", (str(intent_id),)), None)

    def pasts(self) -> Iterator[Past]:
        """What is held of every intent, in the order they were first written."""
        return self._pasts("", ())

    def record_command(self, command: KillSwitchCommand) -> bool:
        """Write a kill switch command; False when it was written before."""
        with self._transaction() as write:
            cursor = write.execute(
                "INSERT OR IGNORE INTO kill_commands (command_id, body) VALUES (?, ?)",
                (str(command.command_id), encode(command)),
            )
        return cursor.rowcount == 1

    def commands(self) -> Sequence[KillSwitchCommand]:
        """Every kill switch command, in the order they were written."""
        rows = self._connection.execute("SELECT body FROM kill_commands ORDER BY position")
        decoded = [decode(body, (KillSwitchCommand,)) for (body,) in rows]
        return [each for each in decoded if isinstance(each, KillSwitchCommand)]

    def close(self) -> None:
        """Close the file and release its lock."""
        self._connection.close()
        self._lock.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        appended, published = self._appended, self._published
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException as error:
            self._appended, self._published = appended, published
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise JournalError(f"the journal cannot be written: {error}; free disk space or repair it") from error
            raise

    def _win(self, order: SubmitOrder) -> bool:
        cursor = self._connection.execute(
            "UPDATE intents SET state = 'SUBMITTING' WHERE intent_id = ? AND attempt = ? AND state = 'INTENDED'",
            (str(order.intent.intent_id), order.attempt),
        )
        return cursor.rowcount == 1

    def _intend(self, intent: OrderIntent, account: str, attempt: int, state: RowState) -> None:
        body = encode(intent)
        self._connection.execute(
            "INSERT OR IGNORE INTO intents"
            " (intent_id, attempt, state, content_hash, account, symbol, side, quantity, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                str(intent.intent_id),
                attempt,
                state.value,
                sha256(body).digest(),
                account,
                intent.symbol,
                intent.direction.value,
                intent.quantity,
                body,
            ),
        )

    def _append(self, reports: Sequence[ExecutionReport], published: int) -> None:
        self._connection.executemany(
            "INSERT INTO reports (position, report_id, intent_id, body) VALUES (?, ?, ?, ?)",
            [
                (position, str(report.report_id), str(report.intent_id), encode(report))
                for position, report in enumerate(reports, start=self._appended + 1)
            ],
        )
        self._appended += len(reports)
        if published > self._published:
            self._connection.execute("UPDATE meta SET value = ? WHERE name = 'published'", (str(published),))
            self._published = published

    def _reports(self, query: str, parameter: object) -> list[ExecutionReport]:
        decoded = [decode(body, (ExecutionReport,)) for (body,) in self._connection.execute(query, (parameter,))]
        return [each for each in decoded if isinstance(each, ExecutionReport)]

    def _pasts(self, where: str, parameters: tuple[str, ...]) -> Iterator[Past]:
        rows = self._connection.execute(
            f"SELECT intent_id, body, account, max(attempt), state, order_id FROM intents {where}"  # noqa: S608
            " GROUP BY intent_id ORDER BY min(position)",
            parameters,
        )
        for intent_id, body, account, attempt, state, order_id in rows:
            intent = decode(body, (OrderIntent,))
            if isinstance(intent, OrderIntent):
                count = int(self._value("SELECT count(*) FROM reports WHERE intent_id = ?", intent_id))
                facts = self._facts(intent_id)
                yield Past(intent, account, attempt, RowState(state), order_id, facts, count)

    def _facts(self, intent_id: str) -> tuple[Fact, ...]:
        rows = self._connection.execute(
            "SELECT kind, fact_id, at, order_id, quantity, price, commission, revision, reason"
            " FROM facts WHERE intent_id = ? ORDER BY position",
            (intent_id,),
        )
        name = UUID(intent_id)
        return tuple(Fact(name, FactKind(row[0]), row[1], datetime.fromisoformat(row[2]), *row[3:]) for row in rows)

    def _value(self, query: str, *parameters: object) -> str | int:
        row = self._connection.execute(query, parameters).fetchone()
        if row is None:
            raise JournalError("the journal lacks its own description; restore it from a backup")
        value: str | int = row[0]
        return value


def _fact_row(fact: Fact) -> tuple[object, ...]:
    return (
        str(fact.intent_id),
        fact.kind.value,
        fact.fact_id,
        fact.revision,
        fact.timestamp.isoformat(),
        fact.order_id,
        fact.quantity,
        fact.price,
        fact.commission,
        fact.reason,
    )
