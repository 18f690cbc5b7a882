"""An event loop whose clock jumps to the next timer, so that waits take no time and their order is always the same."""

import asyncio
from collections.abc import Coroutine
from selectors import SelectSelector


class _Jumping(SelectSelector):
    """Does not wait: that much time has passed then."""

    now = 0.0

    def select(self, timeout: float | None = None):
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


def _loop() -> asyncio.AbstractEventLoop:
    selector = _Jumping()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now
    return loop


def run(work: Coroutine):
    """As `asyncio.run`, in time that passes only while everybody waits; nothing may wait for another thread."""
    with asyncio.Runner(loop_factory=_loop) as runner:
        return runner.run(work)
