"""Order ids in a file, taken from ranges that were reserved for good, and what was sent under each."""

import sqlite3
import threading
from datetime import datetime
from pathlib import Path
from uuid import UUID

from order_plane.brokers.ibkr_tracked import Tracked

RESERVED = 1_000
"""Ids that one durable write reserves; a restart passes over those of them that were not used."""
_REST_EVERY = 100
_LOG_PAGES = 20_000
"""Pages of the write-ahead log (4 KB each) after which SQLite copies it in the middle of work, if nobody ever rests."""
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
    """Gives each attempt of an intent one order id that no other order ever had.

    The sequence of a client id goes on over restarts, and above every id that the gateway has seen: ``newest`` in the
    file is a mark up to which every id counts as used, durable before the first id below it is given. What was sent is
    written down while the gateway works on it. A kill in that moment, or a loss of power, may take the newest rows and
    never the mark: the journal had those attempts durably before, so none is sent again, and the gateway lists the
    orders under the label of their intent.
    """

    def __init__(self, path: Path, account: str, client_id: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._account = account
        self._client_id = client_id
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {_SCHEMA}")
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        self._next = self._beyond = 0
        self._unrested = 0
        self._unsent: set[tuple[UUID, int]] = set()
        rows = self._connection.execute("SELECT intent_id, attempt FROM orders WHERE account = ?", (account,))
        # Hashes take little room, and spare the question to the file for every attempt that is new.
        self._taken = set(map(hash, rows))

    def begin_at(self, order_id: int) -> None:
        """Use no id below ``order_id``."""
        with self._lock:
            self._next = max(self._next, order_id)
            if self._next >= self._beyond:
                self._reserve()

    def take(self, intent_id: UUID, attempt: int) -> int:
        """A new id for an attempt, reserved durably; `keep` must follow once it was sent.

        Raises:
            AlreadySent: when the attempt has one.
        """
        with self._lock:
            name = hash((str(intent_id), attempt))
            if name in self._taken and self._was_taken(intent_id, attempt):
                raise AlreadySent("this attempt was sent before")
            if self._next >= self._beyond:
                self._reserve()
            number, self._next = self._next, self._next + 1
            self._taken.add(name)
            self._unsent.add((intent_id, attempt))
        return number

    def keep(self, order: Tracked) -> None:
        """Write down what was sent under an id; it outlives the process, and a loss of power unless that is soon."""
        with self._lock:
            self._connection.execute(
                "INSERT INTO orders (intent_id, attempt, account, client_id, order_id, symbol, wished, sent,"
                " decided_at, lapses) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(str(order.intent_id), order.attempt, self._account, self._client_id, order.order_id),
                    *(order.symbol, order.wished, order.sent, order.decided_at.isoformat(), order.lapses),
                ),
            )
            self._unsent.discard((order.intent_id, order.attempt))
            self._unrested += 1

    def give_back(self, order: Tracked) -> None:
        """Nothing was sent for ``order``: its attempt may be made again, with another id."""
        with self._lock:
            self._unsent.discard((order.intent_id, order.attempt))

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

    def rest(self) -> None:
        """Nobody waits: reserve the next ids before they are needed, and copy the write-ahead log if it has grown."""
        with self._lock:
            if self._beyond - self._next < RESERVED // 2:
                self._reserve()
            if self._unrested >= _REST_EVERY:
                self._unrested = 0
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _was_taken(self, intent_id: UUID, attempt: int) -> bool:
        query = "SELECT 1 FROM orders WHERE account = ? AND intent_id = ? AND attempt = ?"
        row = self._connection.execute(query, (self._account, str(intent_id), attempt)).fetchone()
        return row is not None or (intent_id, attempt) in self._unsent

    def _reserve(self) -> None:
        """Move the mark, durably; ids behind ours that another life reserved meanwhile are passed over."""
        write, least = self._connection, max(self._next, 1)
        write.execute("PRAGMA synchronous = FULL")
        ((newest,),) = write.execute(
            "INSERT INTO sequence VALUES (?1, ?2 - 1 + ?3)"
            " ON CONFLICT (client_id) DO UPDATE SET newest = max(newest, ?2 - 1) + ?3 RETURNING newest",
            (self._client_id, least, RESERVED),
        ).fetchall()
        write.execute("PRAGMA synchronous = NORMAL")
        first = int(newest) - RESERVED + 1
        if first != self._beyond:
            self._next = first
        self._beyond = first + RESERVED
