"""A bus inside one process: first in, first out, the same order on every run."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from contracts.base import Message
from contracts.codec import FieldError, decode, encode
from contracts.topics import TOPIC_OF
from kernel.ports import Handler, Received, Stage, Sweeper, nothing_to_settle

Settle = Callable[[], Sequence[Message]]
Note = Callable[[Sequence[Message], int, int], None]
"""Takes note of the messages from a first place to before a second one."""
Route = tuple[tuple[Handler, ...], int, tuple[Handler, ...]]
"""Who hears a kind of message, who is asked to settle after it (a sum of their flags), and who watches what is said."""
_NOWHERE: Route = ((), 0, ())


class MemoryBus:
    """Hands each published message to its subscribers, in the order they subscribed."""

    def __init__(self) -> None:
        self._queue: deque[Message] = deque()
        self._routes: dict[type[Message], Route] = {}
        self._settles: tuple[tuple[int, Settle], ...] = ()  # each with its flag, a power of two
        self._told = 0  # flags of those that heard something and were not asked to settle since
        self._sweepers: tuple[Sweeper, ...] = ()
        self._notes: tuple[Note, ...] = ()
        self._one_by_one = 0  # handlers that can only be told one message at a time

    def subscribe(self, message_type: type[Message], handler: Handler) -> None:
        """Call ``handler`` with each message of ``message_type``; what it returns is published."""
        handlers, flags, watchers = self._routes.get(message_type, _NOWHERE)
        self._routes[message_type] = (*handlers, handler), flags, watchers
        self._one_by_one += 1

    def attach(self, stage: Stage) -> None:
        """Subscribe every handler of ``stage``, and let it settle what it was told."""
        for message_type, handler in stage.handlers.items():
            self.subscribe(message_type, handler)
        if stage.settle is not nothing_to_settle:
            flag = 1 << len(self._settles)
            self._settles = (*self._settles, (flag, stage.settle))
            for message_type in stage.handlers:
                handlers, flags, watchers = self._routes[message_type]
                self._routes[message_type] = handlers, flags | flag, watchers
        if isinstance(stage, Sweeper):
            self._sweepers = (*self._sweepers, stage)
            self._one_by_one -= len(stage.handlers)

    def watch(self, handlers: Mapping[type[Message], Handler], note: Note) -> None:
        """Let ``note`` hear what is fed, many messages of any kind at a time, and ``handlers`` the rest.

        They say nothing, and hear a message after the stages and before anything that it leads to.
        """
        for message_type, handler in handlers.items():
            heard, flags, watchers = self._routes.get(message_type, _NOWHERE)
            self._routes[message_type] = heard, flags, (*watchers, handler)
        self._notes = (*self._notes, note)

    def publish(self, message: Message) -> None:
        """Queue ``message`` behind all others."""
        self._queue.append(message)

    def feed(self, messages: Sequence[Message]) -> None:
        """Deliver each of ``messages``, and everything it leads to, before the next; nothing may be queued before.

        The same as `publish` and `drain` for each. But while all stages except one are dormant, that one is let run
        ahead to where it says something, and only then do the others hear what it heard.
        """
        place, noted, end = 0, 0, len(messages)
        while place < end:
            awake = self._only_one_awake()
            if awake is None:
                self._feed_one(messages[place])
                place += 1
            else:
                place = self._feed_ahead(awake, messages, place)
            if self._queue or place == end:
                for note in self._notes:
                    note(messages, noted, place)
                noted = place
                self.drain()

    def _only_one_awake(self) -> Sweeper | None:
        if self._one_by_one:
            return None
        found = None
        for stage in self._sweepers:
            if not stage.dormant:
                if found is not None:
                    return None
                found = stage
        return found

    def _feed_ahead(self, awake: Sweeper, messages: Sequence[Message], begin: int) -> int:
        end, outputs = awake.sweep(messages, begin, len(messages))
        for stage in self._sweepers:
            if stage is not awake:
                stage.sweep(messages, begin, end)
        self._queue.extend(outputs)
        return end

    def _feed_one(self, message: Message) -> None:
        queue = self._queue
        handlers, flags, _ = self._routes.get(type(message), _NOWHERE)
        for handler in handlers:
            outputs = handler(message)
            if outputs:
                queue.extend(outputs)
        self._told |= flags
        if not queue:
            self._settle()

    def drain(self) -> None:
        """Deliver until nothing is queued and no stage has anything left to settle of what it was told."""
        queue, routes = self._queue, self._routes
        while queue:
            while queue:
                message = queue.popleft()
                handlers, flags, watchers = routes.get(type(message), _NOWHERE)
                self._told |= flags
                for handler in handlers:
                    outputs = handler(message)
                    if outputs:
                        queue.extend(outputs)
                for watcher in watchers:
                    watcher(message)
            self._settle()

    def _settle(self) -> None:
        told, self._told = self._told, 0
        for flag, settle in self._settles:
            if told & flag:
                self._queue.extend(settle())

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

    def publish(self, message: Message, cause: Received | None = None, *, more: bool = False) -> None:
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
