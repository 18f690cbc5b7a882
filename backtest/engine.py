"""The same three stages as over Kafka, in one process and in one fixed order."""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Protocol, TypeVar

from contracts.base import Message
from kernel.memory_bus import MemoryBus
from kernel.ports import Handler, Stage

RowT_contra = TypeVar("RowT_contra", contravariant=True)


class Source(Protocol[RowT_contra]):
    """What turns the rows of a connector into market events."""

    def handle(self, row: RowT_contra) -> Sequence[Message]:
        """Return the events that ``row`` completes, in the order to publish them."""
        ...

    def finish(self) -> Sequence[Message]:
        """Return what is still open after the last row."""
        ...


class Observer(Protocol):
    """Sees every message of the run it has a handler for, after the stages."""

    @property
    def handlers(self) -> dict[type[Message], Handler]:
        """One handler for each kind of message it watches."""
        ...


def run(
    rows: Iterable[RowT_contra],
    source: Source[RowT_contra],
    stages: Sequence[Stage],
    observers: Sequence[Observer] = (),
) -> None:
    """Feed ``rows`` through ``source`` and ``stages`` on a memory bus until nothing is left to do.

    Each market event and everything it causes is finished before the next event, and stages see a message
    in the order they are listed: the order plane before the strategy plane, so that fills at a bar are
    booked before the slice of that moment asks for decisions. A lock-step run over Kafka has this order too.
    """
    bus = MemoryBus()
    for stage in stages:
        bus.attach(stage)
    for observer in observers:
        for message_type, handler in observer.handlers.items():
            bus.subscribe(message_type, handler)
    with _no_garbage_pauses():
        bus.feed(chain.from_iterable(map(source.handle, rows)))
        bus.feed(source.finish())


@contextmanager
def _no_garbage_pauses() -> Iterator[None]:
    """Keep the collector from walking the long-lived objects of the run again and again.

    Messages hold no cycles, so reference counts free them; the collector still runs, more rarely.
    """
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
