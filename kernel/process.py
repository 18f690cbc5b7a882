"""How a process starts, is told to stop, and says by its exit code how it ended."""

import _thread
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from threading import Event
from types import FrameType, MappingProxyType

from kernel.health import PortUnavailable
from kernel.ports import DeliveryFailed
from kernel.settings import ConfigurationError

_logger = logging.getLogger(__name__)
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG = 1


class ExitCode(IntEnum):
    """How a process of the platform ended, with its one-line ``meaning``."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> "ExitCode":
        """A number with its meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    OK = 0, "finished, or stopped on request"
    FAILURE = 1, "an unexpected error, which is a defect"
    CONFIGURATION = 2, "the configuration is refused"
    BROKER_UNAVAILABLE = 3, "Kafka cannot be reached or refuses this process"
    DEAD_LETTERS_REFUSED = 4, "too many dead letters, or the dead-letter topic refuses them"
    DELIVERY_FAILED = 5, "a message may not have reached Kafka"
    JOURNAL_REFUSED = 6, "the order journal cannot be read or written"
    LIVE_GATE_SHUT = 7, "live trading was asked for and a gate is shut"
    GATEWAY_UNAVAILABLE = 8, "the gateway of Interactive Brokers cannot be reached"
    JOURNAL_UNAVAILABLE = 9, "the database of the order journal cannot be reached"
    INTERRUPTED = 130, "stopped from the keyboard"


_EXPECTED: Mapping[type[Exception], ExitCode] = MappingProxyType(
    {
        ConfigurationError: ExitCode.CONFIGURATION,
        PortUnavailable: ExitCode.CONFIGURATION,
        DeliveryFailed: ExitCode.DELIVERY_FAILED,
    }
)


def run(
    main: Callable[[Event], int | None],
    expected: Mapping[type[Exception], ExitCode] = MappingProxyType({}),
) -> int:
    """Run ``main`` until it returns and return the exit code; SIGTERM or SIGINT sets the event it is given.

    A second signal ends the process at once. Errors in ``expected`` (subclasses too) and those the kernel
    knows end it with their code and one line in the log; any other error is logged with its traceback.
    Call it from the main thread.
    """
    with _stop_on_signal() as (stop, received):
        try:
            code = main(stop) or ExitCode.OK
        except Exception as error:
            known = _code_of(error, {**_EXPECTED, **expected})
            if known is None:
                _logger.exception("%s (exit code %d)", ExitCode.FAILURE.meaning, ExitCode.FAILURE)
                return ExitCode.FAILURE
            reason = "; ".join(str(error).splitlines())
            _logger.error("%s: %s (exit code %d)", known.meaning, reason, known)  # noqa: TRY400 - no defect, no trace
            return known
    if code == ExitCode.OK and signal.SIGINT in received:
        return ExitCode.INTERRUPTED
    return code


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel send this process SIGTERM when the thread that started it ends; Linux only, else nothing.

    ``parent_pid`` is the parent's own idea of its process id, so a parent that is gone already counts too.
    """
    if not sys.platform.startswith("linux"):
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel refuses PR_SET_PDEATHSIG")
    if os.getppid() != parent_pid:
        signal.raise_signal(signal.SIGTERM)


@contextmanager
def _stop_on_signal() -> Iterator[tuple[Event, list[int]]]:
    stop = Event()
    received: list[int] = []

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for each in _STOP_SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        # Not stop.set() here: the interrupted code may hold the event's own lock.
        _thread.start_new_thread(stop.set, ())

    before = {each: signal.signal(each, ask_to_stop) for each in _STOP_SIGNALS}
    try:
        yield stop, received
    finally:
        for each, handler in before.items():
            signal.signal(each, handler or signal.SIG_DFL)


def _code_of(error: Exception, expected: Mapping[type[Exception], ExitCode]) -> ExitCode | None:
    return next((expected[kind] for kind in type(error).__mro__ if kind in expected), None)
