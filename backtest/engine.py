"""The same three stages as over Kafka, in one process and in one fixed order."""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from contracts.base import Message
from kernel.memory_bus import MemoryBus
from kernel.ports import Handler, Stage


class Observer(Protocol):
    """Sees every message of the run it has a handler for, after the stages."""

    @property
    def handlers(self) -> dict[type[Message], Handler]:
        """One handler for each kind of message it watches."""
        ...

    def note(self, messages: Sequence[Message], begin: int, end: int) -> None:
        """The same as its handlers, for the messages from ``begin`` to before ``end``, of any kind."""
        ...


def run(market: Iterable[Sequence[Message]], stages: Sequence[Stage], observers: Sequence[Observer] = ()) -> None:
    """Feed the messages of ``market``, many at a time, to ``stages`` on a memory bus until nothing is left to do.

    Each market event and everything it causes is finished before the next event, and stages see a message
    in the order they are listed: the order plane before the strategy plane, so that fills at a bar are
    booked before the slice of that moment asks for decisions. A lock-step run over Kafka has this order too.
    """
    bus = MemoryBus()
    for stage in stages:
        bus.attach(stage)
    for observer in observers:
        bus.watch(observer.handlers, observer.note)
    with _no_garbage_pauses():
        for messages in market:
            bus.feed(messages)


@contextmanager
def _no_garbage_pauses() -> Iterator[None]:
    """Keep the collector from walking the long-lived objects of the run again and again.

    Messages hold no cycles, so reference counts free them; the collector still runs, more rarely.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
