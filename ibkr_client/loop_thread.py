"""An event loop in a thread of its own, for callers that are not asynchronous."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

Result = TypeVar("Result")
_JOIN_SECONDS = 10.0


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
        answer: Future[Result] = Future()
        tasks: list[asyncio.Task[None]] = []
        self._loop.call_soon_threadsafe(lambda: tasks.append(self._loop.create_task(_answered(work, answer))))
        try:
            return answer.result(timeout)
        except TimeoutError:
            if answer.done():
                raise
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
        try:
            return answer.result(_JOIN_SECONDS)  # it may have come at the last moment
        except CancelledError:
            raise TimeoutError from None

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


async def _answered(work: Coroutine[Any, Any, Result], answer: "Future[Result]") -> None:
    """Answer within the task itself: each further callback would cost the waiting thread a turn of the loop."""
    try:
        result = await work
    except asyncio.CancelledError:
        answer.cancel()
        raise
    except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
        answer.set_exception(error)
    else:
        answer.set_result(result)


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
