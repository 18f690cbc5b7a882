"""Start and stop a PostgreSQL server for a shared order journal on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from launcher.kafka_options import NOTHING, console, errors, state_directory
from launcher.postgres_server import PostgresServer, PostgresSetupError

app = typer.Typer(
    name="postgres", help="A PostgreSQL server for an order journal that hosts share.", no_args_is_help=True
)

Directory = Annotated[Path | None, typer.Option(help="Data, log and socket; default .algotrade/postgres.")]


@app.command()
def start(directory: Directory = None) -> None:
    """Start it in the background and say its address."""
    server = _server(directory)
    with _reported(), console.status("starting PostgreSQL"):
        address = server.start()
    console.print(f"PostgreSQL runs (log {server.log}); set ALGOTRADE_ORDER__JOURNAL_DATABASE to", soft_wrap=True)
    console.print(address, markup=False, soft_wrap=True)


@app.command()
def stop(directory: Directory = None) -> None:
    """Shut it down cleanly; its data stays. Exit code 1 when it does not run."""
    server = _server(directory)
    _refuse_unless_running(server)
    with _reported():
        server.stop()
    console.print("stopped; the data stays")


@app.command()
def status(directory: Directory = None) -> None:
    """Say whether it runs, and where. Exit code 1 when it does not."""
    server = _server(directory)
    _refuse_unless_running(server)
    console.print(f"runs at {server.address} (log {server.log})", markup=False, soft_wrap=True)


def _refuse_unless_running(server: PostgresServer) -> None:
    with _reported():
        running = server.running
    if not running:
        console.print("does not run")
        raise typer.Exit(NOTHING)


def _server(directory: Path | None) -> PostgresServer:
    return PostgresServer(directory or state_directory() / "postgres")


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except PostgresSetupError as error:
        errors.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(NOTHING) from None
