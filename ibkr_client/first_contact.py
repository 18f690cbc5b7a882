"""Connects at the start of a process: at once or not at all the first time, with patience ever after."""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import TypeVar

import structlog

from ibkr_client.settings import GatewaySettings

_LOG = structlog.get_logger()
Made = TypeVar("Made")


def marker_of(directory: Path, plane: str) -> Path:
    """The file that says that ``plane``, whose state is in ``directory``, reached its gateway once."""
    return directory / f"gateway_reached.{plane}"


def connected(
    make: Callable[[], Made],
    unreachable: type[Exception],
    marker: Path,
    gateway: GatewaySettings,
    stop: Event,
    pause: Callable[[float], object],
) -> Made | None:
    """What ``make`` makes of a connection, or None when ``stop`` was set before there was one.

    A gateway that ``marker`` says was there before is tried again and again, for ``pause`` seconds twice as long after
    each failure; one that never was there is more likely a mistake, which waiting would hide.

    Raises:
        Exception: ``unreachable``, as ``make`` raised it, when the gateway never was there.
    """
    wait = gateway.first_wait_seconds
    while not stop.is_set():
        try:
            made = make()
        except unreachable as error:
            if not marker.exists():
                raise
            _LOG.warning("the gateway is waited for", reason=str(error), again_in_seconds=wait)
            pause(wait)
            wait = min(2 * wait, gateway.longest_wait_seconds)
        else:
            marker.touch()
            return made
    return None
