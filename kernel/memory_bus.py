"""A bus inside one process: first in, first out, the same order on every run."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from contracts.base import Message
from contracts.codec import FieldError, decode, encode
from contracts.topics import TOPIC_OF
from kernel.ports import Handler, Received, Stage, nothing_to_settle

Settle = Callable[[], Sequence[Message]]
Route = tuple[tuple[Handler, ...], tuple[Settle, ...]]
"""Who hears a kind of message, and who is asked to settle after it."""
_NOWHERE: Route = ((), ())


class MemoryBus:
    """Hands each published message to its subscribers, in the order they subscribed."""

    def __init__(self) -> None:
        self._queue: deque[Message] = deque()
        self._routes: dict[type[Message], Route] = {}
        self._all_settles: tuple[Settle, ...] = ()

    def subscribe(self, message_type: type[Message], handler: Handler) -> None:
        """Call ``handler`` with each message of ``message_type``; what it returns is published."""
        handlers, settles = self._routes.get(message_type, _NOWHERE)
        self._routes[message_type] = (*handlers, handler), settles

    def attach(self, stage: Stage) -> None:
        """Subscribe every handler of ``stage``, and let it settle what it was told."""
        for message_type, handler in stage.handlers.items():
            self.subscribe(message_type, handler)
        if stage.settle is not nothing_to_settle:
            self._all_settles = (*self._all_settles, stage.settle)
            for message_type in stage.handlers:
                handlers, settles = self._routes[message_type]
                self._routes[message_type] = handlers, (*settles, stage.settle)

    def publish(self, message: Message) -> None:
        """Queue ``message`` behind all others."""
        self._queue.append(message)

    def feed(self, messages: Iterable[Message]) -> None:
        """Deliver each of ``messages``, and everything it leads to, before the next; nothing may be queued before.

        The same as `publish` and `drain` for each, at a third of the cost for a message that leads to nothing, as
        most bars do: only stages that were told something are asked to settle.
        """
        queue, routes = self._queue, self._routes
        for message in messages:
            handlers, settles = routes.get(type(message), _NOWHERE)
            for handler in handlers:
                outputs = handler(message)
                if outputs:
                    queue.extend(outputs)
            if not queue:
                for settle in settles:
                    outputs = settle()
                    if outputs:
                        queue.extend(outputs)
            if queue:
                self.drain()

    def drain(self) -> None:
        """Deliver until nothing is queued and no stage has anything left to settle."""
        queue, routes = self._queue, self._routes
        while queue:
            while queue:
                message = queue.popleft()
                for handler in routes.get(type(message), _NOWHERE)[0]:
                    queue.extend(handler(message))
            for settle in self._all_settles:
                queue.extend(settle())

    def connect(self, inputs: Iterable[type[Message]]) -> "MemoryEndpoint":
        """A `Bus` for one plane that consumes ``inputs``."""
        return MemoryEndpoint(self, tuple(inputs))


class MemoryEndpoint:
    """One plane's view of a `MemoryBus`, through the same port as Kafka.

    Messages cross it as bytes, so what it delivers went through the contracts like everything on a wire.
    """

    def __init__(self, bus: MemoryBus, inputs: tuple[type[Message], ...]) -> None:
        self._bus = bus
        self._inbox: deque[Received] = deque()
        self._polled: list[Received] = []
        self._outbox: list[Message] = []
        self._offset = 0
        self.dead_letters: list[tuple[Received, FieldError]] = []
        for message_type in inputs:
            bus.subscribe(message_type, self._deliver)

    def _deliver(self, message: Message) -> tuple[()]:
        raw = encode(message)
        topic = TOPIC_OF[type(message)].name
        self._inbox.append(Received(decode(raw), topic, 0, self._offset, raw, message.partition_key.encode()))
        self._offset += 1
        return ()

    def poll(self, timeout_seconds: float) -> Sequence[Received]:
        """Everything that has arrived; never waits, since nothing can arrive meanwhile."""
        self._bus.drain()
        batch = list(self._inbox)
        self._inbox.clear()
        self._polled += batch
        return batch

    def publish(self, message: Message, cause: Received | None = None) -> None:
        """Queue ``message`` until `flush`, after holding its bytes against the contract."""
        self._outbox.append(decode(encode(message), (type(message),)))

    def dead_letter(self, received: Received, error: FieldError) -> None:
        """Keep the message with its reason."""
        self.dead_letters.append((received, error))

    def flush(self) -> None:
        """Make what was published visible to every subscriber."""
        for message in self._outbox:
            self._bus.publish(message)
        self._outbox.clear()

    def finish(self, mark: int = 0) -> None:
        """Make what was published visible, and forget what was polled."""
        self.flush()
        self.commit()

    def commit(self) -> None:
        """Forget what was polled; without it `rewind` delivers it again."""
        self._polled.clear()

    def rewind(self) -> None:
        """Deliver again what was polled and not committed, as after a crash."""
        self._inbox.extendleft(reversed(self._polled))
        self._polled.clear()
