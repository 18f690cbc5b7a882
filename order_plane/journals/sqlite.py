"""The durable journal in one SQLite file, held by one process at a time."""

from pathlib import Path

from order_plane.journals.file import SqliteDatabase, SqliteView
from order_plane.journals.sql import SqlJournal


class SqliteJournal(SqlJournal):
    """A journal in one file that is synchronised to disk at every commit.

    A lock on a file beside it keeps a second process out until the first one is dead; a stopped process
    keeps its lock, so a take-over waits for proof of death.

    Raises:
        JournalError: when the file is held by another process, or cannot be trusted (`SqliteDatabase`).
    """

    def __init__(self, path: Path) -> None:
        database = SqliteDatabase(path)
        try:
            super().__init__(database)
        except BaseException:
            database.close()
            raise

    @property
    def shared(self) -> bool:
        """The lock is held as long as this process lives."""
        return False

    def affirm(self) -> None:
        """The lock is held as long as this process lives, so nobody has taken the journal over."""


def view(path: Path) -> SqlJournal:
    """The journal at ``path`` for reading, even while an order plane holds it; raises JournalError without one."""
    return SqlJournal(SqliteView(path))
