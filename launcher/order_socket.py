"""Where the order plane of a local run listens."""

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from kernel.clock import SystemClock
from launcher.kafka_options import state_directory
from launcher.running import current
from order_plane.command_channel import SOCKET, CommandRefused, NobodyListens, ask

_PATIENCE_SECONDS = 5.0
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


def after_what_stands(socket: Path) -> datetime:
    """Now, or just after the newest switch or halt that the order plane at ``socket`` shows, if that is later.

    A release ends what is older than itself, and clocks of hosts differ: who sees a switch and releases it means it.
    """
    now, newest = SystemClock().now(), None
    with suppress(NobodyListens, CommandRefused):
        newest = ask(socket, "status", {}, _PATIENCE_SECONDS).get("newest_command")
    if not isinstance(newest, str):
        return now
    return max(now, datetime.fromisoformat(newest) + timedelta(microseconds=1))
