"""The paper venue's memory in a file, which outlives the process."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

from contracts.codec import decode, encode
from contracts.trading import OrderIntent
from domain.ids import text_of as spelled
from domain.moments import text_of as moment_text
from order_plane.brokers.paper_order import PaperOrder
from order_plane.facts import Fact, FactKind

_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    position INTEGER PRIMARY KEY,
    intent_id TEXT NOT NULL UNIQUE,
    intent BLOB NOT NULL,
    accepted_at TEXT NOT NULL,
    expires_at TEXT,
    triggered INTEGER NOT NULL,
    filled REAL NOT NULL,
    value REAL NOT NULL,
    commission REAL NOT NULL,
    executions INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    wished REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS facts (
    position INTEGER PRIMARY KEY,
    intent_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    signed_quantity REAL NOT NULL,
    kind TEXT NOT NULL,
    fact_id TEXT NOT NULL,
    at TEXT NOT NULL,
    order_id TEXT NOT NULL,
    quantity REAL NOT NULL,
    price REAL NOT NULL,
    commission REAL NOT NULL,
    reason TEXT NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS facts_by_intent ON facts (intent_id);
CREATE TABLE IF NOT EXISTS last_bars (symbol TEXT PRIMARY KEY, at TEXT NOT NULL) STRICT, WITHOUT ROWID;
DROP INDEX IF EXISTS orders_open; -- cost every order more than a start gained by it
"""
_LOG_PAGES = 8000
"""Pages of the write-ahead log (4 KiB each) that are copied into the file at the latest, which waits for the disk."""
_REST_EVERY = 128
"""Savings after which they are copied in the next `SqlitePaperStore.rest`: 3 ms each time, 20 to 30 for a thousand."""
_FACT_COLUMNS = "intent_id, kind, fact_id, at, order_id, quantity, price, commission, reason, revision"
_FACT_ROW = (
    f"INSERT INTO facts (symbol, signed_quantity, {_FACT_COLUMNS})"  # noqa: S608 - own columns
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_BAR_ROW = "INSERT INTO last_bars VALUES (?, ?) ON CONFLICT (symbol) DO UPDATE SET at = excluded.at"


class SqlitePaperStore:
    """A file that survives ``kill -9`` of the order plane; after a loss of power the newest moments may be gone."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + _SCHEMA)
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        # A file from before orders could be replaced: what each has left is what it began with.
        self._add("orders", "wished REAL NOT NULL DEFAULT 0")
        self._add("facts", "revision INTEGER NOT NULL DEFAULT 0")
        self._writing = self._connection.cursor()  # the connection would make one for every statement
        self._unrested = 0

    @property
    def durable(self) -> bool:
        """It outlives the process."""
        return True

    def open_orders(self) -> Sequence[PaperOrder]:
        """The orders that still work."""
        rows = self._connection.execute(
            "SELECT intent, accepted_at, expires_at, triggered, filled, value, commission, executions, wished"
            " FROM orders WHERE finished = 0 ORDER BY position"
        )
        return [order for order in map(_order, rows) if order is not None]

    def last_bars(self) -> Mapping[str, datetime]:
        """Time of the newest bar seen of each symbol."""
        rows = self._connection.execute("SELECT symbol, at FROM last_bars")
        return {symbol: datetime.fromisoformat(at) for symbol, at in rows}

    def positions(self) -> Mapping[str, float]:
        """Units by symbol that all executions add up to."""
        rows = self._connection.execute("SELECT symbol, sum(signed_quantity) FROM facts GROUP BY symbol")
        return {symbol: units for symbol, units in rows if units}

    def cash(self) -> float:
        """What all executions added to the account."""
        query = "SELECT coalesce(sum(-signed_quantity * price - commission), 0.0) FROM facts WHERE kind = 'FILL'"
        return float(self._connection.execute(query).fetchone()[0])

    def has(self, intent_id: UUID) -> bool:
        """Whether an order of this intent was ever accepted."""
        query = "SELECT 1 FROM orders WHERE intent_id = ?"
        return self._connection.execute(query, (spelled(intent_id),)).fetchone() is not None

    def facts_of(self, intent_id: UUID) -> Sequence[Fact]:
        """Every fact of one order."""
        query = f"SELECT {_FACT_COLUMNS} FROM facts WHERE intent_id = ? ORDER BY position"  # noqa: S608 - own columns
        return [_fact(row) for row in self._connection.execute(query, (spelled(intent_id),))]

    def executions(self, newest: int) -> Sequence[Fact]:
        """The newest executions, oldest first."""
        query = f"SELECT {_FACT_COLUMNS} FROM facts WHERE kind = 'FILL' ORDER BY position DESC LIMIT ?"  # noqa: S608
        return [_fact(row) for row in self._connection.execute(query, (newest,))][::-1]

    def finished(self, newest: int) -> Sequence[PaperOrder]:
        """The newest orders that have ended."""
        rows = self._connection.execute(
            "SELECT intent, accepted_at, expires_at, triggered, filled, value, commission, executions, wished"
            " FROM orders WHERE finished = 1 ORDER BY position DESC LIMIT ?",
            (newest,),
        ).fetchall()
        ended = [order for order in map(_order, rows[::-1]) if order is not None]
        for order in ended:
            order.finished = True
            order.facts = list(self.facts_of(order.intent.intent_id))
        return ended

    def save(
        self,
        changed: Sequence[PaperOrder],
        news: Sequence[tuple[PaperOrder, Fact]],
        bars: Mapping[str, datetime],
    ) -> None:
        """Keep all of it in one transaction, or nothing."""
        if not (changed or news or bars):
            return
        self._unrested += 1
        write = self._writing
        write.execute("BEGIN IMMEDIATE")
        try:
            orders = dict.fromkeys(changed)
            self._save_orders(orders)
            if news:
                write.executemany(_FACT_ROW, [_fact_row(order, fact) for order, fact in news])
            if bars:
                write.executemany(_BAR_ROW, [(symbol, moment_text(at)) for symbol, at in bars.items()])
            write.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                write.execute("ROLLBACK")
            raise
        for order in orders:
            order.stored = True

    def rest(self) -> None:
        """Copy the write-ahead log into the file if it has grown."""
        if self._unrested >= _REST_EVERY:
            self._unrested = 0
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _add(self, table: str, column: str) -> None:
        name = column.partition(" ")[0]
        if not any(name == known for _, known, *_ in self._connection.execute(f"PRAGMA table_info ({table})")):
            self._connection.execute(f"ALTER TABLE {table} ADD COLUMN {column}")

    def _save_orders(self, orders: Collection[PaperOrder]) -> None:
        write = self._writing
        new = [order for order in orders if not order.stored]
        if new:
            write.executemany(
                "INSERT INTO orders (triggered, filled, value, commission, executions, finished, intent_id, intent,"
                " accepted_at, expires_at, wished) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (intent_id) DO UPDATE SET intent = excluded.intent, triggered = excluded.triggered,"
                " filled = excluded.filled, value = excluded.value, commission = excluded.commission,"
                " executions = excluded.executions, finished = excluded.finished",
                [
                    (
                        *_progress(order),
                        encode(order.intent),
                        moment_text(order.accepted_at),
                        moment_text(order.expires_at) if order.expires_at else None,
                        order.wished,
                    )
                    for order in new
                ],
            )
        if len(new) < len(orders):
            write.executemany(
                "UPDATE orders SET triggered = ?, filled = ?, value = ?, commission = ?, executions = ?, finished = ?"
                " WHERE intent_id = ?",
                [_progress(order) for order in orders if order.stored],
            )


def _progress(order: PaperOrder) -> tuple[object, ...]:
    """What can change of an order, and its name."""
    return (
        order.triggered,
        order.filled,
        order.value,
        order.commission,
        order.executions,
        order.finished,
        spelled(order.intent.intent_id),
    )


def _order(row: tuple[bytes, str, str | None, int, float, float, float, int, float]) -> PaperOrder | None:
    body, accepted_at, expires_at, triggered, filled, value, commission, executions, wished = row
    intent = decode(body, (OrderIntent,))
    if not isinstance(intent, OrderIntent):
        return None
    until = datetime.fromisoformat(expires_at) if expires_at else None
    order = PaperOrder(intent, datetime.fromisoformat(accepted_at), until)
    order.triggered, order.wished, order.stored = bool(triggered), wished or intent.quantity, True
    order.filled, order.value, order.commission, order.executions = filled, value, commission, executions
    return order


def _fact(row: tuple[str, str, str, str, str, float, float, float, str, int]) -> Fact:
    intent_id, kind, fact_id, at, order_id, quantity, price, commission, reason, revision = row
    when = datetime.fromisoformat(at)
    return Fact(UUID(intent_id), FactKind(kind), fact_id, when, order_id, quantity, price, commission, revision, reason)


def _fact_row(order: PaperOrder, fact: Fact) -> tuple[object, ...]:
    return (
        order.intent.symbol,
        order.signed(fact.quantity) if fact.kind is FactKind.FILL else 0.0,
        spelled(fact.intent_id),
        fact.kind.value,
        fact.fact_id,
        moment_text(fact.timestamp),
        fact.order_id,
        fact.quantity,
        fact.price,
        fact.commission,
        fact.reason,
        fact.revision,
    )
