"""What others write to the logs that a process writes to itself."""

from collections.abc import Callable, Collection, Mapping

from contracts.base import Message
from contracts.topics import TOPIC_OF
from kernel.kafka_decoding import Decoder
from kernel.kafka_history import read_logs
from kernel.kafka_offsets import Partition, watermarks
from kernel.kafka_settings import KafkaSettings

Listener = Callable[[Message], None]
"""Is told what was written, and raises when it must not go on behind that."""


class Others:
    """Tells a listener what has been written to logs of own outputs since they were read.

    Nobody reads these logs all the time. They are read on, to their ends, when there is reason to: when the group has
    given this process partitions, whose last holder may have said what came of their messages, and when an
    acknowledgement shows that somebody has written between two records of this process. So, before anything is
    handled that another one had before, everything is known that it had made durable by then; and what it says
    later, because it was only cut off, is known soon after the next thing said here. What a process did and never
    said cannot be known from a log.

    Own records that were not acknowledged yet are told as well.
    """

    def __init__(self, settings: KafkaSettings, decoder: Decoder) -> None:
        self._settings = settings
        self._decoder = decoder
        self._seen: dict[Partition, int] = {}
        self._kinds: Collection[type[Message]] = ()
        self._listener: Listener = lambda message: None
        self.due = False
        """Whether there is reason to read on."""

    def follow(self, ends: Mapping[Partition, int], kinds: Collection[type[Message]], listener: Listener) -> None:
        """From the offsets ``ends`` on, tell ``listener`` the messages of ``kinds``."""
        self._seen, self._kinds, self._listener = dict(ends), kinds, listener

    def assigned(self) -> None:
        """The group has given this process partitions."""
        self.due = True

    def delivered(self, topic: str, partition: int, offset: int) -> None:
        """A record of this process was acknowledged."""
        seen = self._seen.get((topic, partition))
        if seen == offset:
            self._seen[topic, partition] = offset + 1
        elif seen is not None and seen < offset:
            self.due = True

    def read_on(self) -> None:
        """Tell what is new; does not wait for anything to come.

        Raises:
            BrokerUnavailable: when the broker does not answer.
        """
        marks = watermarks(self._settings, {TOPIC_OF[kind].name for kind in self._kinds}) if self._seen else {}
        news = {each: (max(seen, marks[each][0]), marks[each][1]) for each, seen in self._seen.items()}
        news = {each: (start, end) for each, (start, end) in news.items() if start < end}
        for received in self._decoder.messages(read_logs(self._settings, news), self._kinds) if news else ():
            self._listener(received.message)
        self._seen.update({each: end for each, (_, end) in news.items()})
        self.due = False  # not before: what the listener has refused once, it must not be spared
