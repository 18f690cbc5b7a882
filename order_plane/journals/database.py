"""The port of the database behind a durable journal, and the check that nothing else wrote into it."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from order_plane.journals.port import JournalError
from order_plane.journals.tables import SEALED, seal


class Database(Protocol):
    """What the journal asks of a database; ``?`` stands for a parameter.

    Every method raises JournalError when the database does not do it.
    """

    @property
    def locking(self) -> str | None:
        """What to add to the query of the counters, so that writers wait for each other; None: there are no others."""
        ...

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Every row of the answer."""
        ...

    def change(self, statement: str, parameters: Sequence[object]) -> int:
        """Carry out a statement and return how many rows it changed."""
        ...

    def change_many(self, statement: str, parameters: Sequence[Sequence[object]]) -> None:
        """Carry out a statement for each of ``parameters``."""
        ...

    def transaction(self, *, synced: bool = True) -> AbstractContextManager[None]:
        """All or nothing, and at the end durable; unless ``synced``, only safe from the end of this process."""
        ...

    def written(self, journal_id: str, sequence: int) -> None:
        """Note outside of the database how far the journal is, if there is a place for it."""
        ...

    def rest(self) -> None:
        """Tidy up if that is due; nobody waits for it just now."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def verify(database: Database) -> None:
    """Hold every row against its seal.

    Raises:
        JournalError: naming the table of a row that was changed by anything but this program.
    """
    for table, columns, name in SEALED:
        hold_seals(table, database.rows(f"SELECT {columns}, {name} FROM {table}"))  # noqa: S608 - own names


def hold_seals(table: str, rows: Iterable[Sequence[Any]]) -> None:
    """Hold the columns of each of the ``rows`` against the seal behind them; raises as `verify` does."""
    for *values, expected in rows:
        if seal(*values) != expected:
            raise JournalError(f"a row of {table} does not fit its seal; restore the journal from a backup")
