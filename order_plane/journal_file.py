"""The file of the durable journal: made once, locked by one process, verified at every start."""

import fcntl
import secrets
import sqlite3
from pathlib import Path
from typing import IO

from order_plane.journal import JournalError

_APPLICATION = 0x414C474F  # "ALGO" in the file's header says whose file it is
_VERSION = 1
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE intents (
    position INTEGER PRIMARY KEY,
    intent_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    state TEXT NOT NULL,
    content_hash BLOB NOT NULL,
    account TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    quantity REAL NOT NULL,
    order_id TEXT NOT NULL DEFAULT '',
    body BLOB NOT NULL,
    UNIQUE (intent_id, attempt)
) STRICT;
CREATE INDEX intents_unresolved ON intents (state) WHERE state IN ('INTENDED', 'SUBMITTING', 'IN_DOUBT');
CREATE TABLE facts (
    position INTEGER PRIMARY KEY,
    intent_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    fact_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    at TEXT NOT NULL,
    order_id TEXT NOT NULL,
    quantity REAL NOT NULL,
    price REAL NOT NULL,
    commission REAL NOT NULL,
    reason TEXT NOT NULL,
    UNIQUE (intent_id, kind, fact_id, revision)
) STRICT;
CREATE TABLE reports (
    position INTEGER PRIMARY KEY,
    report_id TEXT NOT NULL UNIQUE,
    intent_id TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX reports_by_intent ON reports (intent_id);
CREATE TABLE kill_commands (position INTEGER PRIMARY KEY, command_id TEXT NOT NULL UNIQUE, body BLOB NOT NULL) STRICT;
"""


def locked(path: Path) -> IO[bytes]:
    """The lock file beside ``path``, locked until it is closed; raises JournalError when somebody else has it."""
    lock = path.with_name(path.name + ".lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise JournalError(f"journal {path} is held by another order plane; stop that one first") from None
    return lock


def opened(path: Path) -> sqlite3.Connection:
    """The journal at ``path``, made when there is none and verified; raises JournalError when it cannot be trusted."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            _create(connection)
        _verify(connection, path)
    except sqlite3.Error as error:
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
    for statement in _SCHEMA.split(";\n"):
        connection.execute(statement)
    meta = [("journal_id", secrets.token_hex(16)), ("published", "0")]
    connection.executemany("INSERT INTO meta VALUES (?, ?)", meta)
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")


def _verify(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION:
        raise JournalError(f"{path} is not an order journal; set journal_path to another file")
    if version != _VERSION:
        raise JournalError(f"journal {path} has schema version {version}, this program needs {_VERSION}")
    verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise JournalError(f"journal {path} is damaged: {verdict}; restore it from a backup")
    logged = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if logged != "wal":
        raise JournalError(f"journal {path} cannot use a write-ahead log here; put it on a local disk")
    connection.execute("PRAGMA synchronous = FULL")
