"""The durable journal in a PostgreSQL database, for order planes on several hosts."""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import psycopg

from kernel.clock import monotonic
from order_plane.journals.database import verify
from order_plane.journals.port import JournalError, JournalHeld, JournalUnavailable
from order_plane.journals.sql import TAKEN_OVER, SqlJournal
from order_plane.journals.tables import COUNTERS, POSTGRES, VERSION, sealed, statements

_LOCK = 0x414C474F
"""Names the lock of the order plane that is active, within one database."""
_RETRY_SECONDS = 0.2
_SESSION = (
    "-c synchronous_commit=on -c default_transaction_isolation=read\\ committed"
    " -c idle_in_transaction_session_timeout=30s -c lock_timeout=10s"
    " -c tcp_keepalives_idle=2 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3"
    " -c tcp_user_timeout=5000"
)

_AWAY = ("", "08", "57")
"""Classes of SQLSTATE of a server that is not there, goes down or comes up; a client that reaches none has no state."""
_IDLED = "25P03"
"""The server has ended a session of a process that was stopped in a transaction."""
_UNACKNOWLEDGED_MS = 5_000
"""After so long a host that vanished is noticed: orders wait for its answer."""


class PostgresDatabase:
    """One session of a PostgreSQL server, its tables made when there are none.

    Raises:
        JournalError: when the server does not answer, or what it holds is no journal or damaged. The text never
            repeats the address, which may hold a password.
    """

    locking = " FOR UPDATE"

    def __init__(self, address: str) -> None:
        with _told("reached"):
            self._connection = psycopg.connect(
                address,
                autocommit=True,
                options=_SESSION,
                connect_timeout=10,
                keepalives_idle=2,
                keepalives_interval=1,
                keepalives_count=3,
                tcp_user_timeout=_UNACKNOWLEDGED_MS,
            )
        try:
            with _told("read"):
                self._prepare()
            verify(self)
        except BaseException:
            self._connection.close()
            raise

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Every row of the answer."""
        with _told("read"):
            return self._connection.execute(_dialect(query), parameters or None).fetchall()

    def change(self, statement: str, parameters: Sequence[object]) -> int:
        """Carry out a statement and return how many rows it changed."""
        return self._connection.execute(_dialect(statement), parameters or None).rowcount

    def change_many(self, statement: str, parameters: Sequence[Sequence[object]]) -> None:
        """Carry out a statement for each of ``parameters``."""
        if parameters:
            self._connection.cursor().executemany(_dialect(statement), parameters)

    @contextmanager
    def transaction(self, *, synced: bool = True) -> Iterator[None]:
        """All or nothing, and durable at the end; unless ``synced``, handed to the server."""
        with _told("written"), self._connection.transaction():
            if not synced:
                self._connection.execute("SET LOCAL synchronous_commit = off")
            yield

    def written(self, journal_id: str, sequence: int) -> None:
        """There is no other place."""

    def rest(self) -> None:
        """The server does that by itself."""

    def close(self) -> None:
        """End the session, and with it its lock."""
        self._connection.close()

    def activate(self, wait_seconds: float) -> None:
        """Become the one active order plane of this journal.

        Waits for the one before to end; whoever it was cannot write any more.

        Raises:
            JournalError: when it is still there after ``wait_seconds``.
        """
        deadline = monotonic() + wait_seconds
        while not self.rows("SELECT pg_try_advisory_lock(?)", (_LOCK,))[0][0]:
            if monotonic() >= deadline:
                raise JournalHeld("the journal is held by another order plane; stop that one first")
            time.sleep(_RETRY_SECONDS)
        with self.transaction():
            (row,) = self.rows(f"SELECT {COUNTERS} FROM meta FOR UPDATE")  # noqa: S608 - own columns
            journal_id, epoch, *counts = row
            values = sealed(journal_id, epoch + 1, *counts)
            self.change("UPDATE meta SET epoch = ?, seal = ?", (values[1], values[-1]))

    def _prepare(self) -> None:
        with self._connection.transaction():
            self.rows("SELECT pg_advisory_xact_lock(?)", (_LOCK + 1,))  # two planes may start at the same moment
            if self.rows("SELECT to_regclass('meta') IS NULL")[0][0]:
                self._create()
            comment = self.rows("SELECT obj_description('meta'::regclass)")[0][0]
        if self.rows("SHOW fsync")[0][0] != "on":
            raise JournalError("the journal's PostgreSQL runs with fsync off and may forget what was sent; turn it on")
        if comment != _comment():
            raise JournalError(
                f"the database holds no order journal of schema version {VERSION}; give the journal a database of its"
                " own, or use the program that made this one"
            )

    def _create(self) -> None:
        for statement in statements(POSTGRES):
            self._connection.execute(statement.encode())
        values = sealed(secrets.token_hex(16), 1, 0, 0, 0)
        self.change(f"INSERT INTO meta (one, {COUNTERS}, seal) VALUES (1, ?, ?, ?, ?, ?, ?)", values)  # noqa: S608
        self._connection.execute(f"COMMENT ON TABLE meta IS '{_comment()}'".encode())


class PostgresJournal(SqlJournal):
    """A journal that the order planes of several hosts share; one of them is active, the others wait.

    The active one holds a lock that ends with its session, and everything it writes carries the epoch in which it
    became active: one that was cut off and comes back can decide nothing new, since its next write is refused, and what
    it had decided leaves only after the journal has answered (`affirm`).

    Raises:
        JournalError: when another order plane is still active after ``wait_seconds``, or as `PostgresDatabase` does.
    """

    def __init__(self, address: str, wait_seconds: float = 0.0) -> None:
        database = PostgresDatabase(address)
        try:
            database.activate(wait_seconds)
            super().__init__(database)
        except BaseException:
            database.close()
            raise

    @property
    def shared(self) -> bool:
        """Whoever cuts this session, or its host, off may let another order plane take over at once."""
        return True

    def affirm(self) -> None:
        """Compare the epoch; raises JournalError when another order plane is active, or none can be told.

        It takes no lock and so writes nothing: that it is answered proves that the session lives which holds the lock.
        """
        if self._database.rows("SELECT epoch FROM meta") != [(self._epoch,)]:
            raise JournalError(TAKEN_OVER)


def view(address: str) -> SqlJournal:
    """The journal at ``address`` beside the order plane that is active: to be read, not written."""
    return SqlJournal(PostgresDatabase(address))


@cache
def _dialect(query: str) -> bytes:
    return query.replace("?", "%s").encode()


def _comment() -> str:
    return f"order journal, schema version {VERSION}"


@contextmanager
def _told(done: str) -> Iterator[None]:
    """Turn an error of the client into ours."""
    try:
        yield
    except psycopg.Error as error:
        state = error.sqlstate or ""
        said = f"the journal's PostgreSQL cannot be {done}: {type(error).__name__}"
        lost = state == _IDLED or (isinstance(error, psycopg.OperationalError) and state[:2] in _AWAY)
        kind = JournalUnavailable if lost else JournalError
        raise kind(f"{said} (SQLSTATE {state})" if state else said) from None
