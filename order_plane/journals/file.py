"""The file of the durable journal: made once, locked by one process, verified at every start."""

import fcntl
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import structlog

from kernel.clock import monotonic
from order_plane.journals.database import verify
from order_plane.journals.file_place import place_of
from order_plane.journals.port import JournalError, JournalHeld
from order_plane.journals.sqlite_file import opened, recognise
from order_plane.journals.tables import COUNTERS, NOTE_ROW, PLACE, sealed

_REST_EVERY = 256
"""Transactions after which the write-ahead log is copied in the next `SqliteDatabase.rest`, about 1,400 pages."""
_MOMENT_SECONDS, _RETRY_SECONDS = 2.0, 0.05
"""How long a command that writes one decision may hold a journal; an order plane that starts meanwhile waits for it."""


class SqliteDatabase:
    """One file in write-ahead mode that is synchronised to disk at every commit, and a lock file beside it.

    The lock file also holds the journal's name and how many transactions it has, so that another journal or an
    older copy in its place is noticed. It is not synchronised: after a loss of power it may lag, never lead.

    Raises:
        JournalError: when the file is held by another process, is no journal, another one, older, or damaged.
    """

    locking = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unrested = 0
        self._lock = _locked(path)
        try:
            here = place_of(path)
            self._connection = opened(path)
            self._cursor = self._connection.cursor()  # the connection would make one for every statement
            try:
                self._check(here)
            except BaseException:
                self._connection.close()
                raise
        except BaseException:
            self._lock.close()
            raise

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Every row of the answer."""
        return rows_of(self._connection, query, parameters)

    def change(self, statement: str, parameters: Sequence[object]) -> int:
        """Carry out a statement and return how many rows it changed."""
        return self._cursor.execute(statement, parameters).rowcount

    def change_many(self, statement: str, parameters: Sequence[Sequence[object]]) -> None:
        """Carry out a statement for each of ``parameters``."""
        self._cursor.executemany(statement, parameters)

    def transaction(self, *, synced: bool = True) -> AbstractContextManager[None]:
        """All or nothing, and on the disk at the end; unless ``synced``, handed to the operating system."""
        self._unrested += 1
        return _Transaction(self._cursor) if synced else _unsynced(self._cursor)

    def written(self, journal_id: str, sequence: int) -> None:
        """Note in the lock file how far the journal is."""
        try:
            os.pwrite(self._lock.fileno(), f"{journal_id} {sequence:020d}\n".encode(), 0)
        except OSError as error:
            raise JournalError(f"the journal's lock file cannot be written: {error}; free disk space") from error

    def rest(self) -> None:
        """Copy the write-ahead log into the file if it has grown: that takes several waits for the disk."""
        if self._unrested >= _REST_EVERY:
            self._unrested = 0
            try:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.Error as error:
                raise _unwritable(error) from error

    def close(self) -> None:
        """Close the file and release its lock."""
        self._connection.close()
        self._lock.close()

    def _check(self, here: str) -> None:
        verify(self)
        ((journal_id, *counts),) = self.rows(f"SELECT {COUNTERS} FROM meta")  # noqa: S608 - own columns
        sequence = counts[1]
        noted = os.pread(self._lock.fileno(), 100, 0).split()
        if len(noted) == 2:
            name, count = noted[0].decode("ascii", "replace"), int(noted[1])
            if name != journal_id:
                raise JournalError(
                    f"{self._path} is a foreign journal: {self._path}.lock belongs to another one; put the right file"
                    " back, or delete the lock file when this one is meant"
                )
            if count > sequence:
                raise JournalError(
                    f"journal {self._path} is an older copy: it has {sequence} transactions where {count} were written;"
                    " restore the newest one, what it lacks may have been sent"
                )
        self.written(self._settled(here, journal_id, counts), sequence)

    def _settled(self, here: str, journal_id: str, counts: Sequence[int]) -> str:
        """The name of this journal, a new one for a copy: its original may send, or have sent what it does not hold."""
        noted = self.rows("SELECT body FROM notes WHERE name = ?", (PLACE,))
        if noted == [(here,)]:
            return journal_id
        os.ftruncate(self._lock.fileno(), 0)  # whoever dies before the new name is noted there can start again
        with self.transaction():
            self.change(NOTE_ROW, sealed(PLACE, here))
            if not noted:
                return journal_id
            values = sealed(secrets.token_hex(16), *counts)
            self.change("UPDATE meta SET journal_id = ?, seal = ?", (values[0], values[-1]))
        structlog.get_logger().warning(
            "this journal is a copy, and another one from now on", copy_of=journal_id, journal=values[0]
        )
        return str(values[0])


class _Transaction:
    """A generator would do the same in twice the time, three times for each order."""

    __slots__ = ("_cursor",)

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    def __enter__(self) -> None:
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _unwritable(error) from error
        except BaseException as error:  # a signal that comes when it has begun: nobody else would end it
            self.__exit__(type(error), error, None)
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._cursor.execute("COMMIT")
        except sqlite3.Error as failed:
            raise _unwritable(failed) from failed
        finally:
            if self._cursor.connection.in_transaction:
                self._cursor.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise _unwritable(error) from error


@contextmanager
def _unsynced(cursor: sqlite3.Cursor) -> Iterator[None]:
    try:
        cursor.execute("PRAGMA synchronous = NORMAL")
        with _Transaction(cursor):
            yield
    except sqlite3.Error as error:
        raise _unwritable(error) from error
    finally:
        cursor.execute("PRAGMA synchronous = FULL")


class SqliteView:
    """The file of a journal that a running order plane holds, to be looked at only.

    Raises:
        JournalError: when there is no journal, or on any attempt to write.
    """

    locking = ""

    def __init__(self, path: Path) -> None:
        try:
            self._connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            recognise(self._connection, path)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise JournalError(f"journal {path} cannot be read: {error}") from None

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Every row of the answer."""
        return rows_of(self._connection, query, parameters)

    def change(self, statement: str, parameters: Sequence[object]) -> int:
        """Refuse."""
        raise JournalError("this journal is open for reading only")

    def change_many(self, statement: str, parameters: Sequence[Sequence[object]]) -> None:
        """Refuse."""
        raise JournalError("this journal is open for reading only")

    @contextmanager
    def transaction(self, *, synced: bool = True) -> Iterator[None]:
        """What is read in here fits together."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def written(self, journal_id: str, sequence: int) -> None:
        """Nothing was."""

    def rest(self) -> None:
        """Nothing has to be done."""

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _unwritable(error: sqlite3.Error) -> JournalError:
    return JournalError(f"the journal cannot be written: {error}; free disk space or repair it")


def rows_of(connection: sqlite3.Connection, query: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
    """Every row of the answer; raises JournalError when there is none to be had."""
    try:
        return connection.execute(query, parameters).fetchall()
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise JournalError(f"the journal cannot be read: {error}; restore it from a backup") from error


def _locked(path: Path) -> FileIO:
    """The lock file beside ``path``, locked until it is closed; raises JournalHeld when somebody else keeps it."""
    if path.is_dir():
        raise JournalError(f"journal {path} is a folder; set journal_path to a file, such as {path / 'journal.sqlite'}")
    name = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileIO(os.open(name, os.O_RDWR | os.O_CREAT, 0o600), "r+")
    except OSError as error:
        raise JournalError(
            f"journal {path} cannot be made or locked: {error.strerror}: {error.filename}; make its folder a writable"
            " one, or set journal_path to another place"
        ) from None
    deadline = monotonic() + _MOMENT_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if monotonic() < deadline:
                time.sleep(_RETRY_SECONDS)
                continue
            lock.close()
            raise JournalHeld(f"journal {path} is held by another order plane; stop that one first") from None
        return lock
