"""The only file that imports ib_insync or ib_async: their socket client and the objects it sends."""

import importlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any, Protocol

import structlog

from ibkr_client.gateway_errors import GatewayRefused

LIBRARIES = ("ib_insync", "ib_async")
_LOG = structlog.get_logger()
CHOICE = "ALGOTRADE_IBKR_LIBRARY"
"""The environment variable that names the library when both are installed."""


ORDER_MESSAGES = frozenset({"3", "4", "21", "58"})
"""Numbers of the requests that act: place or change, cancel, exercise an option, cancel all."""


class LibraryMissing(GatewayRefused):
    """Neither client library is installed, or not the one that was asked for."""


class OrdersForbidden(PermissionError):
    """A connection that may only read was asked to send a message about orders."""


_BARS = 17
"""Number of the message that answers a request for history."""


class Wrapper(Protocol):
    """Takes the calls of the library's decoder, and the fields of the message that is decoded here."""

    def bars(self, fields: Sequence[str], /) -> None:
        """Bars of the past."""
        ...


class RawDecoder(Protocol):
    """What both libraries call Decoder: what is done with the fields of a message, by its number."""

    handlers: dict[int, Callable[[Sequence[str]], None]]
    logger: Any


class _Unread:
    """Stands in for the logger of a decoder, which tells it of every message that it could not hand on."""

    def exception(self, _: str) -> None:
        """Say what went wrong and where, and nothing of what was in the message."""
        kind, _error, trace = sys.exc_info()
        frames = extract_tb(trace)[-1:]
        where = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
        name = "" if kind is None else kind.__name__
        _LOG.error("a message of the gateway could not be taken in", error=name, where="".join(where))


class RawClient(Protocol):
    """What both libraries call Client: it frames, sends and decodes messages, and keeps no state of orders."""

    MaxRequests: int
    decoder: "RawDecoder"

    async def connectAsync(self, host: str, port: int, client_id: int, timeout: float, /) -> None:  # noqa: N802
        """Connect and wait for accounts and the first order id."""
        ...

    def disconnect(self) -> None:
        """Close the socket."""
        ...

    def send(self, *fields: object) -> None:
        """Send the fields of one message."""
        ...

    def sendMsg(self, msg: str, /) -> None:  # noqa: N802
        """Send one message, its fields ended by NUL; every request passes through here."""
        ...


def find_library(name: str | None = None) -> str:
    """Which library is meant: ``name``, the one that `CHOICE` names, or the one that is installed; not imported yet.

    Raises:
        LibraryMissing: saying what to install.
    """
    wanted = name or os.environ.get(CHOICE) or next(filter(find_spec, LIBRARIES), "")
    if wanted not in LIBRARIES:
        raise LibraryMissing(
            f"Interactive Brokers needs a client library; install algo-trade[ibkr] or algo-trade[ibkr-async] ({CHOICE} "
            f"may name one of {', '.join(LIBRARIES)})"
        )
    return wanted


def load_library(name: str | None = None) -> ModuleType:
    """Import the library called ``name``, the one `CHOICE` names, or the one that is installed.

    Call it in a thread that has an event loop: ib_insync's event library asks for one while it is imported.

    Raises:
        LibraryMissing: saying what to install.
    """
    wanted = find_library(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the library's own imports
            library = importlib.import_module(wanted)
    except ImportError:
        raise LibraryMissing(f"{wanted} cannot be imported; install it in an environment of its own") from None
    logging.getLogger(wanted).setLevel(logging.CRITICAL)  # it formats orders and accounts; what matters we log
    return library


def name_and_version(library: ModuleType) -> str:
    """What was loaded, as "ib_async 2.1.0"."""
    return f"{library.__name__} {library.__version__}"


def new_client(library: ModuleType, inbox: Wrapper, *, read_only: bool = False) -> RawClient:
    """A socket client whose messages call the methods of ``inbox``; its own pacing is off, since ours decides.

    Bars of the past, of which an answer has thousands, are decoded by ``inbox``: the library makes an object of each.
    With ``read_only`` it refuses, where every message passes, those that place, cancel or exercise anything.
    """
    client: RawClient = library.client.Client(inbox)
    client.MaxRequests = 0
    client.decoder.handlers[_BARS] = inbox.bars
    client.decoder.logger = _Unread()
    if read_only:
        send = client.sendMsg

        def guarded(msg: str, /) -> None:
            if msg.partition("\0")[0] in ORDER_MESSAGES:
                raise OrdersForbidden("this connection only reads; it sends no message about orders")
            send(msg)

        client.sendMsg = guarded  # type: ignore[method-assign]
    return client


def new_contract(library: ModuleType, fields: Mapping[str, object]) -> object:
    """A contract with ``fields`` as the library names them."""
    return library.Contract(**fields)


def new_order(library: ModuleType, fields: Mapping[str, object], algo: Mapping[str, str]) -> object:
    """An order with ``fields`` as the library names them and the parameters of an algorithm."""
    parameters = [library.TagValue(tag, value) for tag, value in algo.items()]
    return library.Order(**fields, algoParams=parameters)


def execution_filter(library: ModuleType, account: str) -> object:
    """Asks for the executions of one account."""
    return library.ExecutionFilter(acctCode=account)
