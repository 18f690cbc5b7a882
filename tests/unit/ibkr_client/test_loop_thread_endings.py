"""How a call ends when its work does not: by its time, by Ctrl-C, by a refusal, or with the loop."""

import asyncio
import signal
import threading
from contextlib import suppress

import pytest

from ibkr_client import loop_thread
from ibkr_client.loop_thread import LoopThread

PATIENCE = 20.0


async def ident():
    await asyncio.sleep(0)
    return threading.get_ident()


@pytest.mark.parametrize("alone", [True, False])
def test_work_that_takes_too_long_is_cancelled(loop, alone):
    heard = []

    async def work():
        try:
            await asyncio.sleep(3_600)
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    begun = threading.Event()

    async def other():
        begun.set()
        await asyncio.sleep(0.3)

    thread = threading.Thread(target=lambda: None if alone else loop.call(other(), PATIENCE))
    thread.start()
    assert alone or begun.wait(PATIENCE)
    with pytest.raises(TimeoutError):
        loop.call(work(), 0.05)
    assert heard == ["cancelled"]
    thread.join(PATIENCE)


def test_work_that_will_not_end_is_given_up(loop, monkeypatch):
    monkeypatch.setattr(loop_thread, "_JOIN_SECONDS", 0.05)

    may_end = threading.Event()

    async def work():
        while not may_end.is_set():
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    with pytest.raises(TimeoutError):
        loop.call(work(), 0.02)
    may_end.set()
    assert loop.call(ident(), PATIENCE) == threading.get_ident()


def test_a_callback_that_blocks_the_loop_holds_a_caller_up_no_longer_than_it_waits(loop):
    blocked, go_on, begun = threading.Event(), threading.Event(), []

    async def slow():
        blocked.set()
        go_on.wait(PATIENCE)

    async def work():
        begun.append(True)

    slept = loop.start(slow())
    assert blocked.wait(PATIENCE)
    with pytest.raises(TimeoutError):
        loop.call(work(), 0.05)
    go_on.set()
    slept.result(PATIENCE)
    assert not begun
    loop.call(work(), PATIENCE)
    assert begun


def test_a_callback_of_the_loop_cannot_wait_for_the_loop(loop):
    async def work():
        loop.call(asyncio.sleep(0), PATIENCE)

    with pytest.raises(RuntimeError, match="a callback of the loop"):
        loop.call(work(), PATIENCE)
    with pytest.raises(RuntimeError, match="a callback of the loop"):
        loop.start(work()).result(PATIENCE)


@pytest.fixture
def interruptible():
    """A process that ends by Ctrl-C, whoever started it: what a shell starts in the background ignores that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_cuts_no_callback_short_and_leaves_the_loop_usable(loop):
    steps = []

    async def work():
        signal.raise_signal(signal.SIGINT)
        steps.append("the rest of the callback")
        await asyncio.sleep(0.01)
        steps.append("what came after it")

    async def until_done():
        while len(steps) < 2:
            await asyncio.sleep(0.001)

    with pytest.raises(KeyboardInterrupt):
        loop.call(work(), PATIENCE)
    assert steps[0] == "the rest of the callback"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    loop.call(until_done(), PATIENCE)


def test_a_handler_of_the_process_itself_stays_in_place(loop):
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))

    async def work():
        signal.raise_signal(signal.SIGINT)
        return "whole"

    try:
        assert loop.call(work(), PATIENCE) == "whole"
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]


def test_a_callback_that_ends_the_program_leaves_the_loop_usable(loop):
    async def work():
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        loop.call(work(), PATIENCE)
    assert loop.start(ident()).result(PATIENCE) != threading.get_ident()
    assert loop.call(ident(), PATIENCE) == threading.get_ident()


def test_close_cancels_what_runs_and_ends_the_thread():
    thread = LoopThread("closing")
    running = thread.start(asyncio.sleep(3_600))
    thread.close()
    assert running.cancelled()
    assert "closing" not in {each.name for each in threading.enumerate()}
    thread.close()
    with pytest.raises(RuntimeError, match="closed"):
        thread.call(asyncio.sleep(0), PATIENCE)
