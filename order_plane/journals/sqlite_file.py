"""How the file of the durable journal is made, recognised and looked through."""

import secrets
import sqlite3
from pathlib import Path

from order_plane.journals.port import JournalError
from order_plane.journals.tables import COUNTERS, SQLITE, VERSION, sealed, statements

_APPLICATION = 0x414C474F  # "ALGO" in the file's header says whose file it is
_LOG_PAGES = 8000
"""Pages of the write-ahead log that are copied into the file at the latest, in the middle of whatever."""
_OBJECTS = "SELECT type, name, sql FROM sqlite_schema ORDER BY name"


def opened(path: Path) -> sqlite3.Connection:
    """The journal at ``path``, made when there is none and looked through; raises JournalError."""
    try:
        connection = sqlite3.connect(path, isolation_level=None)
    except sqlite3.Error as error:
        raise JournalError(f"journal {path} cannot be opened: {error}; make it a file that can be written") from None
    try:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            _create(connection)
        recognise(connection, path)
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


def recognise(connection: sqlite3.Connection, path: Path) -> None:
    """Raise JournalError unless the file is a journal of this version."""
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
