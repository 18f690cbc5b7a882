"""Publish market events no faster than the gates allow, and nothing twice."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from contracts.base import Message
from kernel.flow import Gate


class Feed:
    """Publishes what the stage says, skipping what an earlier life of this process has published already.

    The source repeats itself exactly, and the log keeps the messages of a key in order and without holes.
    So the number of a key's messages in the log is the number of its messages to skip.
    """

    def __init__(
        self,
        publish: Callable[[Message], None],
        gates: Sequence[Gate],
        already_published: Iterable[Message] = (),
    ) -> None:
        self._publish = publish
        self._before = [gate.before for gate in gates]
        self._after = [gate.after for gate in gates]
        self._to_skip = Counter(message.partition_key for message in already_published)
        self.published = self._to_skip.total()

    def send(self, message: Message) -> bool:
        """Publish ``message`` when every gate lets it through; False when it was published before."""
        key = message.partition_key
        if self._to_skip[key]:
            self._to_skip[key] -= 1
            return False
        for wait in self._before:
            wait(message)
        self._publish(message)
        self.published += 1
        for wait in self._after:
            wait(message)
        return True
