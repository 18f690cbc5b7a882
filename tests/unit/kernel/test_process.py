import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from kernel.health import PortUnavailable
from kernel.ports import DeliveryFailed
from kernel.process import ExitCode, run
from kernel.settings import ConfigurationError, Problem

REFUSED = ConfigurationError(
    [Problem("a.b", "file", "is wrong", "mend it"), Problem("a.c", "file", "is odd", "even it")]
)


def child(body: str) -> subprocess.Popen[str]:
    """Start a process that runs ``body``; its ``main(stop)`` prints when it is ready."""
    program = "import os, signal, sys, threading, time\nfrom kernel.process import *\n" + textwrap.dedent(body)
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


WAITS = """
def main(stop):
    print("ready", flush=True)
    stop.wait(30)
    print("drained", flush=True)
    {rest}
sys.exit(run(main))
"""


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (ExitCode.LIVE_GATE_SHUT, 7), (3, 3)])
def test_what_main_returns_is_the_exit_code(returned, code):
    assert run(lambda stop: returned) == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (REFUSED, ExitCode.CONFIGURATION),
        (PortUnavailable("taken"), ExitCode.CONFIGURATION),
        (DeliveryFailed("lost"), ExitCode.DELIVERY_FAILED),
    ],
)
def test_expected_errors_end_with_their_code_and_one_line(error, code, caplog):
    def main(stop):
        raise error

    assert run(main) == code
    (record,) = caplog.records
    assert record.exc_info is None
    assert "\n" not in record.getMessage()
    assert record.getMessage().startswith(code.meaning)
    assert all(line in record.getMessage() for line in str(error).splitlines())


def test_a_plane_adds_its_own_errors_and_subclasses_follow(caplog):
    class JournalLocked(OSError): ...

    class LostForGood(DeliveryFailed): ...

    def raising(error):
        def main(stop):
            raise error

        return main

    expected = {OSError: ExitCode.JOURNAL_REFUSED}
    assert run(raising(JournalLocked("x")), expected) == ExitCode.JOURNAL_REFUSED
    assert run(raising(LostForGood("x")), expected) == ExitCode.DELIVERY_FAILED
    assert all(record.exc_info is None for record in caplog.records)


def test_an_unexpected_error_is_a_failure_with_its_traceback(caplog):
    assert run(lambda stop: 1 // 0) == ExitCode.FAILURE
    assert caplog.records[0].exc_info[0] is ZeroDivisionError


def test_handlers_are_put_back():
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    during = []

    run(lambda stop: during.append(signal.getsignal(signal.SIGTERM)))

    assert during != before[:1]
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_signal_asks_main_to_stop():
    def main(stop: threading.Event) -> None:
        signal.raise_signal(signal.SIGTERM)
        assert stop.wait(10)

    assert run(main) == ExitCode.OK


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signalled_process_drains_and_says_how_it_was_stopped(number, code):
    process = child(WAITS.format(rest="pass"))
    assert process.stdout.readline() == "ready\n"

    process.send_signal(number)

    assert ended(process) == (code, "drained\n", "")


def test_a_failure_while_draining_outweighs_the_interruption():
    process = child(WAITS.format(rest="return ExitCode.DELIVERY_FAILED"))
    assert process.stdout.readline() == "ready\n"

    process.send_signal(signal.SIGINT)

    assert ended(process)[0] == 5


def test_a_second_signal_ends_a_process_that_does_not_drain():
    process = child(WAITS.format(rest="time.sleep(30)"))
    assert process.stdout.readline() == "ready\n"

    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "drained\n"
    process.send_signal(signal.SIGINT)

    assert ended(process)[0] == -signal.SIGINT


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process that its parent died")
def test_a_child_ends_with_its_parent():
    parent = child(
        """
        parent = os.getpid()
        if os.fork() == 0:
            def main(stop):
                die_with_parent(parent)
                print("ready", flush=True)
                print("asked to stop" if stop.wait(30) else "left alone", flush=True)
            os._exit(run(main))
        signal.pause()
        """
    )
    assert parent.stdout.readline() == "ready\n"

    parent.kill()

    # The child of the child holds the pipes open until it has ended.
    assert ended(parent) == (-signal.SIGKILL, "asked to stop\n", "")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process that its parent died")
def test_a_child_whose_parent_is_already_gone_ends_at_once():
    process = child(
        """
        def main(stop):
            die_with_parent(os.getpid())
            assert stop.wait(30)
        sys.exit(run(main))
        """
    )

    assert ended(process)[0] == 0


def test_every_exit_code_explains_itself():
    assert len({code.meaning for code in ExitCode}) == len(ExitCode)
    assert all(0 <= code < 256 for code in ExitCode)
    assert os.EX_OK == ExitCode.OK
