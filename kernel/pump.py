"""The one loop that runs a stage on a bus: poll, handle, settle, flush, commit."""

from collections.abc import Callable, Sequence
from threading import Event

from contracts.base import Message
from kernel.ports import Bus, Received, Stage, Unprocessable

Observer = Callable[[Received, Sequence[Message]], None]
"""Sees each message handled and what the stage said to it: recorder, metrics."""


class Pump:
    """Feeds a stage from a bus until told to stop.

    Outputs are durable before the input's offset is committed, so a crash anywhere repeats messages and
    never loses one. Any exception but `Unprocessable` leaves the loop: a broken invariant stops the process
    and boot starts from what was committed.
    """

    def __init__(
        self,
        stage: Stage,
        bus: Bus,
        observers: Sequence[Observer] = (),
        after_commit: Callable[[int], None] = lambda handled: None,
    ) -> None:
        self._stage = stage
        self._bus = bus
        self._observers = tuple(observers)
        self._after_commit = after_commit

    def run(self, stop: Event, idle_seconds: float = 0.1) -> None:
        """Step until ``stop`` is set; the batch in hand is finished first."""
        while not stop.is_set():
            self.step(idle_seconds)

    def step(self, timeout_seconds: float) -> int:
        """Handle one batch and return how many messages it held."""
        batch = self._bus.poll(timeout_seconds)
        for received in batch:
            self._handle(received)
        outputs = self._stage.settle()
        for output in outputs:
            self._bus.publish(output)
        if batch or outputs:
            self._bus.flush()
            self._bus.commit()
        self._after_commit(len(batch))
        return len(batch)

    def _handle(self, received: Received) -> None:
        try:
            outputs = tuple(self._stage.handlers[type(received.message)](received.message))
        except Unprocessable as verdict:
            self._bus.dead_letter(received, verdict.error)
            return
        for output in outputs:
            self._bus.publish(output, received)
        for observe in self._observers:
            observe(received, outputs)
