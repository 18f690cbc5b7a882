"""The tables of a durable journal, in words that more than one database understands, and the seals of their rows."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from zlib import crc32

from domain.ids import text_of as spelled
from domain.moments import text_of as moment_text
from order_plane.facts import Fact
from order_plane.journals.port import REVISED, RowState

VERSION = 4
"""Of the tables; a journal of another version is refused."""
_TABLES = """
CREATE TABLE meta (
    one {integer} PRIMARY KEY CHECK (one = 1),
    journal_id TEXT NOT NULL,
    epoch {integer} NOT NULL,
    sequence {integer} NOT NULL,
    appended {integer} NOT NULL,
    published {integer} NOT NULL,
    seal {integer} NOT NULL
){strict};
CREATE TABLE notes (
    name TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL,
    seal {integer} NOT NULL
){strict};
CREATE TABLE intents (
    position {serial},
    intent_id TEXT NOT NULL,
    attempt {integer} NOT NULL,
    content_hash {bytes} NOT NULL,
    account TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    quantity {real} NOT NULL,
    body {bytes} NOT NULL,
    seal {integer} NOT NULL,
    state TEXT NOT NULL,
    order_id TEXT NOT NULL,
    state_seal {integer} NOT NULL,
    UNIQUE (intent_id, attempt)
){strict};
CREATE TABLE facts (
    position {serial},
    intent_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    fact_id TEXT NOT NULL,
    revision {integer} NOT NULL,
    at TEXT NOT NULL,
    order_id TEXT NOT NULL,
    quantity {real} NOT NULL,
    price {real} NOT NULL,
    commission {real} NOT NULL,
    reason TEXT NOT NULL,
    seal {integer} NOT NULL,
    UNIQUE (intent_id, kind, fact_id, revision)
){strict};
CREATE TABLE reports (
    position {integer} PRIMARY KEY,
    report_id TEXT NOT NULL,
    intent_id TEXT NOT NULL,
    body {bytes} NOT NULL,
    seal {integer} NOT NULL,
    UNIQUE (intent_id, report_id)
){strict};
CREATE TABLE kill_commands (
    position {serial},
    command_id TEXT NOT NULL UNIQUE,
    body {bytes} NOT NULL,
    seal {integer} NOT NULL
){strict};
CREATE TABLE resolutions (
    position {serial},
    intent_id TEXT NOT NULL,
    attempt {integer} NOT NULL,
    verdict TEXT NOT NULL,
    operator TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    order_id TEXT NOT NULL,
    seal {integer} NOT NULL,
    UNIQUE (intent_id, attempt)
){strict};
"""
SQLITE = {"integer": "INTEGER", "serial": "INTEGER PRIMARY KEY", "bytes": "BLOB", "real": "REAL", "strict": " STRICT"}
POSTGRES = {
    "integer": "BIGINT",
    "serial": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "bytes": "BYTEA",
    "real": "DOUBLE PRECISION",
    "strict": "",
}
_MOVE = (
    "UPDATE intents SET state = ?, order_id = ?, state_seal = ?"
    " WHERE intent_id = ? AND attempt = ? AND (state = 'SUBMITTING' OR state = 'IN_DOUBT'"
)
"""Each state is compared by itself: for a list of them SQLite fills a table at every move."""
MOVE_OPEN = f"{_MOVE})"
"""Give an attempt whose outcome is open another state."""
MOVE_REVISED = {after: f"{_MOVE} OR state = '{before.value}')" for before, after in REVISED}
"""The same by an answer that revises a state as well."""
PLACE = ".place"
"""The name of the note that says where the journal is kept, which no order plane reads."""
COUNTERS = "journal_id, epoch, sequence, appended, published"
COUNTED = "UPDATE meta SET sequence = ?, appended = ?, published = ?, seal = ?"
_INTENT = "intent_id, attempt, content_hash, account, symbol, side, quantity, body"
_FACT = "intent_id, kind, fact_id, revision, at, order_id, quantity, price, commission, reason"
_RESOLUTION = "intent_id, attempt, verdict, operator, reason, at, order_id"
INTENT_ROW = (
    f"INSERT INTO intents ({_INTENT}, seal, state, order_id, state_seal)"  # noqa: S608 - own columns
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
FACT_ROW = f"INSERT INTO facts ({_FACT}, seal) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"  # noqa: S608
REPORT_ROW = "INSERT INTO reports (position, report_id, intent_id, body, seal) VALUES (?, ?, ?, ?, ?)"
RESOLUTION_ROW = (
    f"INSERT INTO resolutions ({_RESOLUTION}, seal) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - own columns
    " ON CONFLICT (intent_id, attempt) DO UPDATE SET verdict = excluded.verdict, operator = excluded.operator,"
    " reason = excluded.reason, at = excluded.at, order_id = excluded.order_id, seal = excluded.seal"
)
"""An attempt may be decided on again: the venue can forget an order that was adopted."""
NOTE_ROW = (
    "INSERT INTO notes (name, body, seal) VALUES (?, ?, ?)"
    " ON CONFLICT (name) DO UPDATE SET body = excluded.body, seal = excluded.seal"
)
SEALED = (
    ("meta", COUNTERS, "seal"),
    ("intents", _INTENT, "seal"),
    ("intents", "intent_id, attempt, state, order_id", "state_seal"),
    ("facts", _FACT, "seal"),
    ("reports", "position, report_id, intent_id, body", "seal"),
    ("kill_commands", "command_id, body", "seal"),
    ("resolutions", _RESOLUTION, "seal"),
    ("notes", "name, body", "seal"),
)
"""Which columns of which table each seal covers."""


class Counters(NamedTuple):
    """The journal on itself: the columns `COUNTERS`."""

    journal_id: str
    epoch: int
    sequence: int
    appended: int
    published: int


def statements(words: dict[str, str]) -> Iterator[str]:
    """Every statement that makes the tables, in the dialect of `SQLITE` or `POSTGRES`."""
    for statement in _TABLES.format_map(words).split(";"):
        if statement.strip():
            yield statement.strip()


def seal(*values: Any) -> int:  # noqa: ANN401 - any value of a column
    """A checksum of a row's columns: a database notices a broken page, but not a flipped bit inside of a text."""
    if bytes not in map(type, values):
        return crc32(repr([*values]).encode())
    checksum = crc32(repr([value for value in values if type(value) is not bytes]).encode())
    return crc32(b"".join([value for value in values if type(value) is bytes]), checksum)


def sealed(*values: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any value of a column
    """The columns and their seal."""
    return (*values, seal(*values))


def sealed_state(name: str, attempt: int, state: RowState) -> tuple[str, str, int]:
    """The columns of a row that can change, for an attempt without an order as yet."""
    return state.value, "", seal(name, attempt, state.value, "")


def number_of(value: float) -> float:
    """As a database gives it back: never an int, never minus zero."""
    return float(value) + 0.0


def text_of(words: str) -> str:
    """As a database can keep it, whatever a venue wrote."""
    if not words.isascii():
        words = words.encode("utf-8", "replace").decode()
    return words.replace("\0", " ")


def fact_row(fact: Fact) -> tuple[object, ...]:
    """The columns of a fact and their seal."""
    return sealed(
        spelled(fact.intent_id),
        fact.kind.value,
        text_of(fact.fact_id),
        fact.revision,
        moment_text(fact.timestamp),
        text_of(fact.order_id),
        number_of(fact.quantity),
        number_of(fact.price),
        number_of(fact.commission),
        text_of(fact.reason),
    )
