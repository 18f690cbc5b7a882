"""How a command that runs something ends: one line a person can act on, and an exit code."""

import errno
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType, MappingProxyType
from typing import NoReturn

import typer

from data_plane.connectors.layout import UnreadableSourceError
from ibkr_client.gateway_errors import GatewayRefused, GatewayUnavailable
from kernel.flow import ConsumersStalled
from kernel.kafka_errors import BrokerUnavailable, TopicMismatch
from kernel.process import ExitCode
from kernel.settings import ConfigurationError
from launcher.apache_kafka import BrokerSetupError
from launcher.kafka_options import errors
from launcher.supervisor import ChildFailed
from order_plane.gates import LiveTradingRefused
from strategy_plane.own_code import OwnCodeRefused

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class RunRefused(ValueError):
    """The run cannot be started as asked; the text says what to change."""


class Stopped(KeyboardInterrupt):
    """The command was told to stop.

    A kind of its own: CPython ends the process by SIGINT, whatever exit code was asked for, once a plain
    KeyboardInterrupt has passed through ``exec`` of a text, as the making of a dataclass during an import does.
    """


class RunIncomplete(RuntimeError):
    """The run was stopped, or failed, before its source ended."""


_EXPECTED: Mapping[type[Exception], ExitCode] = MappingProxyType(
    {
        ConfigurationError: ExitCode.CONFIGURATION,
        RunRefused: ExitCode.CONFIGURATION,
        OwnCodeRefused: ExitCode.CONFIGURATION,
        UnreadableSourceError: ExitCode.CONFIGURATION,
        FileExistsError: ExitCode.CONFIGURATION,
        FileNotFoundError: ExitCode.CONFIGURATION,
        BrokerUnavailable: ExitCode.BROKER_UNAVAILABLE,
        TopicMismatch: ExitCode.BROKER_UNAVAILABLE,
        BrokerSetupError: ExitCode.BROKER_UNAVAILABLE,
        GatewayRefused: ExitCode.CONFIGURATION,
        GatewayUnavailable: ExitCode.GATEWAY_UNAVAILABLE,
        LiveTradingRefused: ExitCode.LIVE_GATE_SHUT,
        RunIncomplete: ExitCode.FAILURE,
        ConsumersStalled: ExitCode.FAILURE,
    }
)
_UNUSABLE = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
        *(errno.ENOTDIR, errno.EISDIR, errno.EIO, errno.ENAMETOOLONG),
    }
)


@contextmanager
def reported() -> Iterator[None]:
    """Turn an expected error into one line and an exit code; SIGTERM ends a run as cleanly as Ctrl-C does."""
    before = {each: signal.signal(each, _interrupt) for each in _SIGNALS}
    try:
        yield
    except tuple(_EXPECTED) as error:
        text = _of_place(error) if isinstance(error, OSError) else str(error)
        end(text, next(code for kind, code in _EXPECTED.items() if isinstance(error, kind)))
    except ChildFailed as error:
        end(str(error), code_of(error))
    except OSError as error:
        if error.errno not in _UNUSABLE:
            raise
        remedy = "make room, or name a place that can be written with run.directory or ALGOTRADE_HOME"
        end(f"{_of_place(error)}; {remedy}", ExitCode.FAILURE)
    except KeyboardInterrupt:
        end("stopped", ExitCode.INTERRUPTED)
    finally:
        for each, handler in before.items():
            # Once told to stop the command stays deaf: a late echo of the signal must not change how it ends.
            if signal.getsignal(each) is not signal.SIG_IGN:
                signal.signal(each, handler)


def code_of(failure: ChildFailed) -> ExitCode:
    """The exit code of the plane that failed, when it is one that says something."""
    said = {int(code): code for code in ExitCode if code not in (ExitCode.OK, ExitCode.INTERRUPTED)}
    return said.get(failure.code, ExitCode.FAILURE)


def end(text: str, code: ExitCode) -> NoReturn:
    """Say ``text`` as an error and end the command with ``code``."""
    errors.print(text, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(code)


def _of_place(error: OSError) -> str:
    """Which file or directory, and what is wrong with it."""
    said = str(error) if error.errno is None else os.strerror(error.errno)
    place = error.filename2 or error.filename  # of a copy the target, which has no room
    return said if place is None else f"{place}: {said}"


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    # A second Ctrl-C must not cut short the stopping of the processes that were started.
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Stopped
