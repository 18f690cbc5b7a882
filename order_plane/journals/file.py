"""The file of the durable journal: made once, locked by one process, verified at every start."""

import fcntl
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import structlog

from kernel.clock import monotonic
from order_plane.journals.database import verify
from order_plane.journals.file_place import place_of
from order_plane.journals.port import JournalError, JournalHeld
from order_plane.journals.tables import COUNTERS, NOTE_ROW, PLACE, SQLITE, VERSION, sealed, statements

_APPLICATION = 0x414C474F  # "ALGO" in the file's header says whose file it is
_LOG_PAGES = 8000
"""Pages of the write-ahead log (4 KiB each) that are copied into the file at the latest, in the middle of whatever."""
_REST_EVERY = 512
"""Transactions after which they are copied in the next `SqliteDatabase.rest`, about 2,100 pages."""
_MOMENT_SECONDS, _RETRY_SECONDS = 2.0, 0.05
"""How long a command that writes one decision may hold a journal; an order plane that starts meanwhile waits for it."""
_OBJECTS = "SELECT type, name, sql FROM sqlite_schema ORDER BY name"


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
            self._connection = _opened(path)
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
        return self._connection.execute(statement, parameters).rowcount

    def change_many(self, statement: str, parameters: Sequence[Sequence[object]]) -> None:
        """Carry out a statement for each of ``parameters``."""
        self._connection.executemany(statement, parameters)

    @contextmanager
    def transaction(self, *, synced: bool = True) -> Iterator[None]:
        """All or nothing, and on the disk at the end; unless ``synced``, handed to the operating system."""
        self._unrested += 1
        connection = self._connection
        try:
            if not synced:
                connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise JournalError(f"the journal cannot be written: {error}; free disk space or repair it") from error
            raise
        finally:
            if not synced:
                connection.execute("PRAGMA synchronous = FULL")

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
                raise JournalError(f"the journal cannot be written: {error}; free disk space or repair it") from error

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


class SqliteView:
    """The file of a journal that a running order plane holds, to be looked at only.

    Raises:
        JournalError: when there is no journal, or on any attempt to write.
    """

    locking = ""

    def __init__(self, path: Path) -> None:
        try:
            self._connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            _recognise(self._connection, path)
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


def _opened(path: Path) -> sqlite3.Connection:
    """The journal at ``path``, made when there is none and looked through."""
    try:
        connection = sqlite3.connect(path, isolation_level=None)
    except sqlite3.Error as error:
        raise JournalError(f"journal {path} cannot be opened: {error}; make it a file that can be written") from None
    try:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            _create(connection)
        _recognise(connection, path)
        _look_through(connection, path)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        connection.close()
        raise JournalError(f"journal {path} is damaged or no journal: {error}; restore it from a backup") from None
    except JournalError:
        connection.close()
        raise
    return connection


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    for statement in statements(SQLITE):
        connection.execute(statement)
    values = sealed(secrets.token_hex(16), 1, 0, 0, 0)
    connection.execute(f"INSERT INTO meta (one, {COUNTERS}, seal) VALUES (1, ?, ?, ?, ?, ?, ?)", values)  # noqa: S608
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _recognise(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION:
        raise JournalError(f"{path} is not an order journal; set journal_path to another file")
    if version != VERSION:
        raise JournalError(f"journal {path} has schema version {version}, this program needs {VERSION}")


def _look_through(connection: sqlite3.Connection, path: Path) -> None:
    verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise JournalError(f"journal {path} is damaged: {verdict}; restore it from a backup")
    model = sqlite3.connect(":memory:")
    try:
        for statement in statements(SQLITE):
            model.execute(statement)
        if connection.execute(_OBJECTS).fetchall() != model.execute(_OBJECTS).fetchall():
            raise JournalError(f"journal {path} is damaged: its tables are not those of a journal; restore a backup")
    finally:
        model.close()
    logged = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if logged != "wal":
        raise JournalError(f"journal {path} cannot use a write-ahead log here; put it on a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
