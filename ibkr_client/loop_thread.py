"""An event loop in a thread of its own, for callers that are not asynchronous."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")
_JOIN_SECONDS = 10.0


class _Answer(Generic[Result]):
    """What one thread waits for and a task of another gives; a bare lock wakes up sooner than a future of threads."""

    __slots__ = ("_pending", "error", "result")
    result: Result

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self._pending = threading.Lock()
        self._pending.acquire()

    async def come(self, work: Coroutine[Any, Any, Result]) -> None:
        """Do ``work`` and give its result, or what it raised."""
        try:
            self.result = await work
        except BaseException as error:
            self.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            self._pending.release()

    def wait(self, timeout: float) -> bool:
        """Whether the answer came within ``timeout`` seconds."""
        return self._pending.acquire(timeout=timeout)


class LoopThread:
    """Runs coroutines for the threads that call it; never the loop of anybody else."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, Result], timeout: float) -> Result:
        """Wait for the result of ``work``.

        Raises:
            TimeoutError: when it takes longer than ``timeout`` seconds; it is cancelled then.
        """
        answer: _Answer[Result] = _Answer()
        tasks: list[asyncio.Task[None]] = []
        self._loop.call_soon_threadsafe(lambda: tasks.append(self._loop.create_task(answer.come(work))))
        if not answer.wait(timeout):
            self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
            if not answer.wait(_JOIN_SECONDS) or isinstance(answer.error, asyncio.CancelledError):
                raise TimeoutError
        if answer.error is not None:
            raise answer.error
        return answer.result

    def start(self, work: Coroutine[Any, Any, Result]) -> "Future[Result]":
        """Begin ``work``; its result comes when it comes."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Cancel what still runs and end the thread."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(_JOIN_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_JOIN_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
