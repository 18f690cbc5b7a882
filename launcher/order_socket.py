"""Where the order plane of a local run listens."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from contracts.control import KillScope
from launcher.kafka_options import errors, state_directory
from launcher.running import current, named
from order_plane.command_channel import SOCKET, ask
from order_plane.safety.kill_switch import switch_name

State = Annotated[
    Path | None,
    typer.Option("--state", help="State directory of the order plane; default: of the run that is alive."),
]


def socket_of(state: Path | None) -> Path:
    """The socket of the order plane in ``state``, else of the run that is alive; it may not exist."""
    if state is not None:
        return state / SOCKET
    running = current(state_directory())
    directory = state_directory()
    return (directory if running is None else directory / "runs" / running.run_id) / SOCKET


def tell_whose(state: Path | None) -> None:
    """Say which run is spoken to, when nobody named a state directory: several may be alive."""
    running = current(state_directory()) if state is None else None
    if running is not None:
        errors.print(named(running), style="dim", markup=False, soft_wrap=True)


def what_holds(socket: Path, scope: KillScope, target: str) -> UUID | None:
    """The newest command that holds a switch or a halt by what the order plane at ``socket`` shows, if any does.

    A release names it: who sees a switch and releases it means that, and nothing that comes meanwhile.

    Raises:
        NobodyListens, CommandRefused: when the order plane does not say.
    """
    newest = ask(socket, "status", {}).get("newest")
    name = newest.get(switch_name(scope, target)) if isinstance(newest, dict) else None
    return UUID(name) if isinstance(name, str) else None
