"""Where the order plane of a local run listens."""

from pathlib import Path
from typing import Annotated

import typer

from launcher.kafka_options import state_directory
from launcher.running import current
from order_plane.command_channel import SOCKET

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
