"""The one loop that runs a stage on a bus: poll, handle, settle, flush, commit."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from threading import Event
from typing import Protocol

from contracts.base import Message
from contracts.codec import FieldError
from kernel.clock import monotonic
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
        """The batch is settled; nothing of it is committed yet."""
        ...


class Pump:
    """Feeds a stage from a bus until told to stop.

    Outputs are durable before the input's offset is committed, so a crash anywhere repeats messages and
    never loses one. Any exception but `Unprocessable` leaves the loop: a broken invariant stops the process
    and boot starts from what was committed. Messages that share a topic with the stage's own and have no
    handler are passed over.

    With ``commit_delay_seconds`` of 0 each batch is committed at once. Otherwise a commit, which costs a round
    trip, waits until that long nothing has arrived, so that it does not stand between a message and the next;
    at most `COMMIT_EVERY_MESSAGES` and `COMMIT_EVERY_SECONDS` are ever repeated after a crash.
    """

    COMMIT_EVERY_MESSAGES = 5_000
    COMMIT_EVERY_SECONDS = 0.5

    def __init__(
        self,
        stage: Stage,
        bus: Bus,
        observers: Sequence[Observer] = (),
        after_commit: Callable[[int], None] = lambda handled: None,
        commit_delay_seconds: float = 0.0,
    ) -> None:
        self._stage = stage
        self._handlers = stage.handlers
        self._bus = bus
        self._observers = tuple(observers)
        self._after_commit = after_commit
        self._delay = commit_delay_seconds
        self._uncommitted = 0
        self._uncommitted_since = 0.0

    def run(self, stop: Event, idle_seconds: float = 0.1) -> None:
        """Step until ``stop`` is set; the batch in hand is finished first and everything done is committed."""
        while not stop.is_set():
            self.step(idle_seconds)
        self._commit()

    def step(self, timeout_seconds: float) -> int:
        """Handle one batch and return how many messages it held."""
        batch = self._bus.poll(self._delay if self._uncommitted else timeout_seconds)
        for received in batch:
            HANDLING.set(received)  # stays set when the handler raises, so that the last log line names the cause
            self._handle(received)
        HANDLING.set(None)
        outputs = self._settle()
        done = len(batch) or len(outputs)
        if done:
            self._bus.flush()
            if not self._uncommitted:
                self._uncommitted_since = monotonic()
        self._uncommitted += done
        if self._is_time_to_commit(len(batch)):
            self._commit()
        self._after_commit(len(batch))
        return len(batch)

    def _is_time_to_commit(self, just_handled: int) -> bool:
        if not self._uncommitted or not self._delay or not just_handled:
            return True
        waited = monotonic() - self._uncommitted_since
        return self._uncommitted >= self.COMMIT_EVERY_MESSAGES or waited >= self.COMMIT_EVERY_SECONDS

    def _commit(self) -> None:
        if self._uncommitted:
            self._bus.commit()
            self._uncommitted = 0

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
        for output in outputs:
            self._bus.publish(output, received)
        for observer in self._observers:
            observer.handled(received, outputs, seconds)

    def _refuse(self, received: Received, error: FieldError) -> None:
        self._bus.dead_letter(received, error)
        for observer in self._observers:
            observer.refused(received, error)

    def _settle(self) -> Sequence[Message]:
        started = monotonic()
        outputs = self._stage.settle()
        seconds = monotonic() - started
        for output in outputs:
            self._bus.publish(output)
        for observer in self._observers:
            observer.settled(outputs, seconds)
        return outputs
