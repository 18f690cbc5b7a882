"""Order ids in a file, each taken before its order leaves and never used again."""

import sqlite3
import threading
from datetime import datetime
from pathlib import Path
from uuid import UUID

from order_plane.brokers.ibkr_book import Tracked

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sequence (client_id INTEGER PRIMARY KEY, newest INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS orders (
    position INTEGER PRIMARY KEY,
    intent_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    account TEXT NOT NULL,
    client_id INTEGER NOT NULL,
    order_id INTEGER NOT NULL,
    symbol TEXT NOT NULL,
    wished REAL NOT NULL,
    sent REAL NOT NULL,
    decided_at TEXT NOT NULL,
    lapses INTEGER NOT NULL,
    UNIQUE (account, intent_id, attempt)
) STRICT;
"""


class AlreadySent(Exception):
    """This attempt of the intent has an order id already."""


class OrderIds:
    """Gives each attempt of an intent one order id, durable before it is used.

    The sequence of a client id goes on over restarts, and above every id that the gateway has seen.
    """

    def __init__(self, path: Path, account: str, client_id: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._account = account
        self._client_id = client_id
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; {_SCHEMA}")

    def begin_at(self, order_id: int) -> None:
        """Use no id below ``order_id``."""
        with self._lock:
            self._connection.execute(
                "INSERT INTO sequence VALUES (?, ?) ON CONFLICT (client_id) DO UPDATE SET newest = max(newest, ?)",
                (self._client_id, order_id - 1, order_id - 1),
            )

    def take(self, order: Tracked) -> int:
        """A new id for ``order``, durable when this returns.

        Raises:
            AlreadySent: when the attempt has one.
        """
        with self._lock:
            write = self._connection
            write.execute("BEGIN IMMEDIATE")
            try:
                row = write.execute(
                    "INSERT INTO sequence VALUES (?, 1) ON CONFLICT (client_id) DO UPDATE SET newest = newest + 1"
                    " RETURNING newest",
                    (self._client_id,),
                ).fetchone()
                number = int(row[0])
                write.execute(
                    "INSERT INTO orders (intent_id, attempt, account, client_id, order_id, symbol, wished, sent,"
                    " decided_at, lapses) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(str(order.intent_id), order.attempt, self._account, self._client_id, number, order.symbol),
                        *(order.wished, order.sent, order.decided_at.isoformat(), order.lapses),
                    ),
                )
                write.execute("COMMIT")
            except sqlite3.IntegrityError:
                write.execute("ROLLBACK")
                raise AlreadySent("this attempt was sent before") from None
            except BaseException:
                if write.in_transaction:
                    write.execute("ROLLBACK")
                raise
        return number

    def give_back(self, order: Tracked) -> None:
        """Nothing was sent for ``order``: its attempt may be made again, with another id."""
        with self._lock:
            self._connection.execute(
                "DELETE FROM orders WHERE account = ? AND intent_id = ? AND attempt = ?",
                (self._account, str(order.intent_id), order.attempt),
            )

    def resize(self, order: Tracked) -> None:
        """Remember the size that an order was changed to."""
        with self._lock:
            self._connection.execute(
                "UPDATE orders SET sent = ? WHERE account = ? AND intent_id = ? AND attempt = ?",
                (order.sent, self._account, str(order.intent_id), order.attempt),
            )

    def find(self, intent_id: UUID) -> Tracked | None:
        """The newest attempt of an intent."""
        with self._lock:
            row = self._connection.execute(
                "SELECT attempt, order_id, symbol, wished, sent, decided_at, lapses FROM orders"
                " WHERE account = ? AND intent_id = ? AND client_id = ? ORDER BY attempt DESC LIMIT 1",
                (self._account, str(intent_id), self._client_id),
            ).fetchone()
        if row is None:
            return None
        attempt, order_id, symbol, wished, sent, decided_at, lapses = row
        return Tracked(
            intent_id, attempt, order_id, symbol, wished, sent, datetime.fromisoformat(decided_at), lapses=bool(lapses)
        )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
