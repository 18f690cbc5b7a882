"""An event loop for callers that are not asynchronous: who waits for it runs it, and a thread while nobody waits."""

import asyncio
import selectors
import signal
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from itertools import count
from math import inf
from typing import Any, TypeVar

Result = TypeVar("Result")
_JOIN_SECONDS = 10.0


class _Turns(selectors.DefaultSelector):
    """The selector of a loop that is left between two of its turns.

    ``patience`` says how long the one who runs the loop will wait for what comes, given whether something is ready
    without that; less than nothing has it leave. ``due`` is then when the loop must go on though nothing may have come.
    A timer that fires while the loop is being left is due by then too, so what it leaves behind does not lie for long.
    """

    loop: asyncio.SelectorEventLoop
    patience: Callable[[bool], float]
    due: float

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What came within ``timeout`` seconds and the patience."""
        patience = self.patience(timeout == 0)
        if patience < 0:
            self.due = inf if timeout is None else self.loop.time() + timeout
            self.loop.stop()
            return []
        return super().select(patience if timeout is None or patience < timeout else timeout)


class _Wait:
    """What a thread that runs the loop waits for: the end of ``task``, its time, or Ctrl-C.

    Ctrl-C is noted instead of being raised in the middle of a callback, since what that had half read would be lost.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, task: "asyncio.Task[Any]", timeout: float) -> None:
        self._loop = loop
        self._task = task
        self._until = loop.time() + timeout
        self._overdue = self._pressed = self._given_up = False

    def patience(self, _: bool) -> float:
        """How much longer to wait, in seconds; less than nothing when it is over."""
        if self._task.done() or self._pressed:
            return -1.0
        left = self._until - self._loop.time()
        if left > 0:
            return left
        if self._overdue:
            self._given_up = True
            return -1.0
        self._overdue, self._until = True, self._until + _JOIN_SECONDS
        self._task.cancel()
        return 0.0

    def run(self) -> None:
        """Run the loop for as long."""
        asyncio.set_event_loop(self._loop)
        main = threading.current_thread() is threading.main_thread()
        swapped = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if swapped:
            signal.signal(signal.SIGINT, self._press)
        try:
            self._loop.run_forever()
        finally:
            if swapped:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            asyncio.set_event_loop(None)
            if self._task.done() and not self._task.cancelled():
                self._task.exception()  # what ended the run is raised by it already, and nobody else asks
        if self._pressed:
            raise KeyboardInterrupt
        if self._given_up or (self._overdue and self._task.cancelled()):
            raise TimeoutError

    def _press(self, *_: object) -> None:
        self._pressed = True
        self._loop.call_soon_threadsafe(_nothing)


class LoopThread:
    """Runs coroutines for the threads that call it; never the loop of anybody else.

    The calling thread runs the loop until its answer is there, which saves two changes of thread. Whoever calls
    meanwhile hands its work over to that one. While nobody calls, a thread of our own waits for sockets and timers and
    lets a caller go first after each turn. So a callback may run in any of these threads, and never in two at once.

    A thread that calls has no event loop set afterwards, as after `asyncio.run`: a client library asks for the one
    that is set, and not for the one that runs.
    """

    def __init__(self, name: str) -> None:
        self._turns = _Turns()
        self._turns.loop = self._loop = asyncio.SelectorEventLoop(self._turns)
        self._gate = threading.Lock()  # held by who waits to own the loop, so that our own thread waits behind it
        self._owner = threading.Lock()
        self._called = False  # whether a caller owns the loop
        self._alarm = 0.0  # when our own thread looks after the loop by itself
        self._closing = False
        self._bell = selectors.DefaultSelector()  # rings when the loop's own selector would, unless a caller is there
        self._bell.register(self._turns.fileno(), selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, Result], timeout: float) -> Result:
        """Wait for the result of ``work``.

        Raises:
            TimeoutError: when it takes longer than ``timeout`` seconds; it is cancelled then.
            RuntimeError: in a callback of the loop itself, which has to await instead, and after `close`.
        """
        try:
            mine = self._enter(timeout)
        except BaseException:
            work.close()
            raise
        if not mine:
            handed_over = self.start(asyncio.wait_for(work, timeout))
            try:
                return handed_over.result(timeout + _JOIN_SECONDS)
            finally:
                handed_over.cancel()
        try:
            task = self._loop.create_task(work)
            wait = _Wait(self._loop, task, timeout)
            self._turns.patience = wait.patience
            wait.run()
            return task.result()
        finally:
            self._leave()

    def start(self, work: Coroutine[Any, Any, Result]) -> "Future[Result]":
        """Begin ``work``; its result comes when it comes."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Cancel what still runs and end the thread."""
        if self._loop.is_closed():
            return
        self.call(_cancel_all(), _JOIN_SECONDS)
        self._closing = True
        self._loop.call_soon_threadsafe(_nothing)
        self._thread.join(_JOIN_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()
            self._bell.close()

    def _enter(self, timeout: float) -> bool:
        """Own the loop; False when another caller does, or another loop runs in this thread.

        Raises as `call` does, TimeoutError when a callback holds the loop up.
        """
        running = _running_loop()
        if running is self._loop or self._loop.is_closed():
            raise RuntimeError("a callback of the loop cannot wait for it" if running else "the loop is closed")
        if running is not None:
            return False
        if not self._gate.acquire(timeout=timeout):
            raise TimeoutError
        try:
            if self._called:
                return False
            if not self._owner.acquire(timeout=timeout):
                raise TimeoutError
            self._called = True
            self._turns.due = 0.0
            self._bell.unregister(self._turns.fileno())
            return True
        finally:
            self._gate.release()

    def _leave(self) -> None:
        self._bell.register(self._turns.fileno(), selectors.EVENT_READ)
        if self._turns.due < self._alarm:
            self._loop.call_soon_threadsafe(_nothing)
        self._called = False
        self._owner.release()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        while not self._closing:
            self._bell.select(None if self._alarm == inf else self._alarm - self._loop.time())
            with self._gate:
                pass
            with self._owner:
                turn = count()

                def patience(ready: bool, turn: "count[int]" = turn) -> float:
                    return -1.0 if next(turn) and (not ready or self._gate.locked()) else 0.0

                self._turns.patience = patience
                self._loop.run_forever()
                self._alarm = self._turns.due


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _nothing() -> None:
    """Wakes the thread that waits for the loop."""
