"""What the tables of a journal hold of intents, read a page at a time."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from contracts.trading import OrderIntent
from order_plane.facts import Fact, FactKind
from order_plane.journals.bodies import all_readable, message_of
from order_plane.journals.database import Database
from order_plane.journals.port import Past, RowState

_PAGE = 500
_NEWEST = (
    "SELECT intent_id, body, account, attempt, state, order_id,"
    " (SELECT count(*) FROM reports WHERE reports.intent_id = newest.intent_id) FROM intents AS newest"
    " WHERE attempt = (SELECT max(attempt) FROM intents AS tries WHERE tries.intent_id = newest.intent_id)"
)
_BY_FIRST = " ORDER BY (SELECT min(position) FROM intents AS tries WHERE tries.intent_id = newest.intent_id)"


def pasts_of(database: Database, where: str = "", parameters: tuple[str, ...] = ()) -> Iterator[Past]:
    """What is held of the intents of which the further condition ``where`` is true, in the order they were written.

    Raises:
        JournalError: when the database does not say, or holds what is no message.
    """
    rows = database.rows(f"{_NEWEST}{where}{_BY_FIRST}", parameters)
    with all_readable():
        for start in range(0, len(rows), _PAGE):
            page = rows[start : start + _PAGE]
            facts = _facts(database, [row[0] for row in page])
            for intent_id, body, account, attempt, state, order_id, count in page:
                known, progress = tuple(facts.get(intent_id, ())), RowState(state)
                yield Past(message_of(body, OrderIntent), account, attempt, progress, order_id, known, count)


def _facts(database: Database, names: Sequence[str]) -> Mapping[str, list[Fact]]:
    marks = ", ".join("?" for _ in names)
    rows = database.rows(
        "SELECT intent_id, kind, fact_id, at, order_id, quantity, price, commission, revision, reason"  # noqa: S608
        f" FROM facts WHERE intent_id IN ({marks}) ORDER BY position",
        names,
    )
    found: dict[str, list[Fact]] = {}
    for name, kind, fact_id, at, *rest in rows:
        fact = Fact(UUID(name), FactKind(kind), fact_id, datetime.fromisoformat(at), *rest)
        found.setdefault(name, []).append(fact)
    return found
