"""The one loop that runs a stage on a bus: poll, handle, settle, finish."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from threading import Event
from typing import Protocol

from contracts.base import Message
from contracts.codec import FieldError
from kernel.clock import monotonic
from kernel.crash_points import crash_point
from kernel.ports import Bus, Received, Stage, Unprocessable

HANDLING: ContextVar[Received | None] = ContextVar("handling", default=None)
"""The message in hand; whatever is logged meanwhile names it as its cause."""


class Observer(Protocol):
    """Sees what a stage was told and what it said: recorder, metrics. Durations are in seconds."""

    def handled(self, received: Received, outputs: Sequence[Message], seconds: float) -> None:
        """One message was handled and its outputs are on their way."""
        ...

    def refused(self, received: Received, error: FieldError) -> None:
        """One message became a dead letter."""
        ...

    def settled(self, outputs: Sequence[Message], seconds: float) -> None:
        """The batch is settled and its outputs are on their way."""
        ...


class Pump:
    """Feeds a stage from a bus until told to stop.

    Outputs leave at once, and the bus records an input as done once they are durable, so a crash anywhere repeats
    messages and never loses one. Any exception but `Unprocessable` leaves the loop: a broken invariant stops the
    process and boot starts from what was recorded. Messages that share a topic with the stage's own and have no
    handler are passed over.

    ``mark`` counts what the stage has said; the bus is told at the end of each batch. ``after_step`` is called with
    the number of messages handled after every pass.
    """

    def __init__(
        self,
        stage: Stage,
        bus: Bus,
        observers: Sequence[Observer] = (),
        after_step: Callable[[int], None] = lambda handled: None,
        mark: Callable[[], int] = lambda: 0,
    ) -> None:
        self._stage = stage
        self._handlers = stage.handlers
        self._bus = bus
        self._observers = tuple(observers)
        self._after_step = after_step
        self._mark = mark

    def run(self, stop: Event, idle_seconds: float = 0.1) -> None:
        """Step until ``stop`` is set; the batch in hand is finished first and everything done is recorded."""
        while not stop.is_set():
            self.step(idle_seconds)
        self._bus.commit()

    def step(self, timeout_seconds: float) -> int:
        """Handle one batch and return how many messages it held."""
        batch = self._bus.poll(timeout_seconds)
        if batch:
            crash_point("after_poll")
        for received in batch:
            HANDLING.set(received)  # stays set when the handler raises, so that the last log line names the cause
            self._handle(received)
        HANDLING.set(None)
        outputs = self._settle()
        if batch or outputs:
            crash_point("before_finish")
            self._bus.finish(self._mark())
        self._after_step(len(batch))
        return len(batch)

    def _handle(self, received: Received) -> None:
        handler = self._handlers.get(type(received.message))
        if handler is None:
            return
        started = monotonic()
        try:
            outputs = tuple(handler(received.message))
        except Unprocessable as verdict:
            self._refuse(received, verdict.error)
            return
        seconds = monotonic() - started
        crash_point("after_handle")
        self._publish(outputs, received)
        for observer in self._observers:
            observer.handled(received, outputs, seconds)

    def _refuse(self, received: Received, error: FieldError) -> None:
        self._bus.dead_letter(received, error)
        for observer in self._observers:
            observer.refused(received, error)

    def _publish(self, outputs: Sequence[Message], cause: Received | None = None) -> None:
        """Those of one handling leave together, so that whoever needs all of them is woken once."""
        left = len(outputs)
        for output in outputs:
            left -= 1
            crash_point("before_publish")
            self._bus.publish(output, cause, more=left > 0)
            crash_point("after_publish")

    def _settle(self) -> Sequence[Message]:
        started = monotonic()
        outputs = self._stage.settle()
        seconds = monotonic() - started
        self._publish(outputs)
        for observer in self._observers:
            observer.settled(outputs, seconds)
        return outputs
