"""Where the journal of an order plane is, for the commands that look into it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from launcher.kafka_options import NOTHING, USAGE, errors, state_directory
from launcher.running import current, named
from order_plane.command_channel import CommandRefused
from order_plane.journals.port import JournalError
from order_plane.journals.sql import SqlJournal
from order_plane.journals.sqlite import view
from order_plane.settings import OrderSettings

JOURNAL = "order_journal.sqlite"
State = Annotated[
    Path | None,
    typer.Option("--state", help="State directory of the order plane; default: of the run that is alive or newest."),
]
Database = Annotated[
    str | None,
    typer.Option(help="PostgreSQL address, when the journal is there.", envvar="ALGOTRADE_ORDER__JOURNAL_DATABASE"),
]


def not_blank(text: str) -> str:
    """What was given for a name or a reason, which somebody must be able to read later."""
    if not text.strip():
        raise typer.BadParameter("blank; it is written down, so that others can read who wanted this and why")
    return text.strip()


Operator = Annotated[str, typer.Option(help="Who you are.", callback=not_blank)]
Reason = Annotated[str, typer.Option(help="Why.", callback=not_blank)]


def looked_at(place: Path, database: str | None) -> SqlJournal:
    """The journal, for reading only; raises JournalError when there is none."""
    if database is not None:
        from order_plane.journals import postgres  # noqa: PLC0415 - its client is an optional dependency

        return postgres.view(database)
    if not (place / JOURNAL).exists():
        raise JournalError(f"there is no journal {place / JOURNAL}; name its directory with --state")
    return view(place / JOURNAL)


def settings_of(place: Path, database: str | None) -> OrderSettings:
    """The settings that name that journal; a command waits for no order plane to let go of it."""
    given = {"journal_path": place / JOURNAL, "journal_database": database, "journal_wait": 0}
    return OrderSettings.model_validate(given)


def place_of(state: Path | None, database: str | None) -> Path:
    """The state directory that is meant."""
    if state is not None:
        return state
    running = current(state_directory())
    if running is not None:
        return state_directory() / "runs" / running.run_id
    known = sorted((state_directory() / "runs").glob(f"*/{JOURNAL}"), key=lambda path: path.stat().st_mtime)
    if not known:
        if database is not None:
            return state_directory()
        raise JournalError("no run has a journal here; name its directory with --state")
    return known[-1].parent


def place_shown(state: Path | None, database: str | None) -> Path:
    """`place_of`; when nobody named it, whose it is is said."""
    place = place_of(state, database)
    if state is None and database is None:
        running = current(state_directory())
        whose = f"no run is alive; of the newest journal here, in {place}" if running is None else named(running)
        errors.print(whose, style="dim", markup=False, soft_wrap=True)
    return place


@contextmanager
def journal_errors() -> Iterator[None]:
    """Turn what a journal or an order plane refuses into a line and an exit code."""
    try:
        yield
    except (JournalError, FileNotFoundError) as error:
        errors.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(USAGE) from None
    except CommandRefused as error:
        errors.print(f"refused: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(NOTHING) from None
