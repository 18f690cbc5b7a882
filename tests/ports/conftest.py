"""One way to talk to every adapter of the bus port."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from contracts.base import Message
from contracts.dead_letter import DeadLetter, Header, parse_dead_letter
from kernel.clock import monotonic
from kernel.kafka_bus import KafkaBus
from kernel.kafka_history import read_logs
from kernel.kafka_offsets import watermarks
from kernel.kafka_settings import KafkaSettings
from kernel.memory_bus import MemoryBus, MemoryEndpoint
from kernel.ports import Bus, Received


@dataclass(frozen=True)
class Refused:
    """What a dead letter says, whatever keeps it."""

    value: bytes | None
    code: str
    partition: int


class World(Protocol):
    """Planes around one kind of bus."""

    def connect(self, plane: str, inputs: Iterable[type[Message]], outputs: Iterable[type[Message]] = ()) -> Bus: ...

    def crash(self, bus: Bus) -> Bus: ...

    def refused(self, bus: Bus, topic: str) -> list[Refused]: ...

    def drain(self, bus: Bus, count: int, seconds: float = 20.0) -> list[Received]: ...


def _drain(bus: Bus, count: int, seconds: float = 20.0) -> list[Received]:
    """Poll until ``count`` messages have arrived, or time is up."""
    received: list[Received] = []
    deadline = monotonic() + seconds
    while len(received) < count and monotonic() < deadline:
        received += bus.poll(0.2)
    return received


class MemoryWorld:
    """Planes in one process."""

    drain = staticmethod(_drain)

    def __init__(self) -> None:
        self._bus = MemoryBus()

    def connect(
        self, plane: str, inputs: Iterable[type[Message]], outputs: Iterable[type[Message]] = ()
    ) -> MemoryEndpoint:
        return self._bus.connect(inputs)

    def crash(self, bus: Bus) -> Bus:
        assert isinstance(bus, MemoryEndpoint)
        bus.rewind()
        return bus

    def refused(self, bus: Bus, topic: str) -> list[Refused]:
        assert isinstance(bus, MemoryEndpoint)
        return [
            Refused(received.raw, error.code.value, received.partition)
            for received, error in bus.dead_letters
            if received.topic == topic
        ]


class KafkaWorld:
    """Planes on one broker, each a `KafkaBus`."""

    drain = staticmethod(_drain)

    def __init__(self, settings: KafkaSettings, stack: ExitStack) -> None:
        self.settings = settings
        self._stack = stack
        self._made: dict[int, tuple[str, tuple[type[Message], ...], tuple[type[Message], ...]]] = {}

    def connect(
        self,
        plane: str,
        inputs: Iterable[type[Message]],
        outputs: Iterable[type[Message]] = (),
        *,
        wait: bool = True,
    ) -> KafkaBus:
        wanted = (plane, tuple(inputs), tuple(outputs))
        bus = self._stack.enter_context(KafkaBus(self.settings, *wanted))
        self._made[id(bus)] = wanted
        if wait:
            assert bus.wait_ready(20.0)
        return bus

    def crash(self, bus: Bus) -> Bus:
        assert isinstance(bus, KafkaBus)
        bus.close()
        return self.connect(*self._made[id(bus)])

    def refused(self, bus: Bus, topic: str) -> list[Refused]:
        return [
            Refused(letter.value, letter.code, letter.source_partition)
            for letter, _ in self.dead_letters(f"dlq_{topic}")
        ]

    def dead_letters(self, topic: str) -> list[tuple[DeadLetter, int]]:
        """Every dead letter with the partition it is in."""
        return [
            (parse_dead_letter(record.headers() or [], record.key(), record.value()), record.partition() or 0)
            for record in read_logs(self.settings, watermarks(self.settings, [topic]))
        ]

    def foreign(
        self,
        topic: str,
        values: Sequence[bytes | None],
        *,
        key: bytes | None = b"FOREIGN",
        headers: Sequence[Header] = (),
        partition: int = 0,
        timestamp_ms: int = 0,
    ) -> None:
        """Write past the contracts, as somebody else's program would."""
        producer = Producer({"bootstrap.servers": self.settings.bootstrap_servers, "log_level": 0})
        for value in values:
            producer.produce(
                self.settings.topic(topic), value, key, partition, timestamp=timestamp_ms, headers=list(headers)
            )
        assert producer.flush(20.0) == 0

    def committed(self, plane: str, topic: str) -> int:
        """Sum of the committed offsets of a plane's group over the partitions of a topic."""
        consumer = Consumer(
            {"bootstrap.servers": self.settings.bootstrap_servers, "group.id": self.settings.group(plane)}
        )
        name = self.settings.topic(topic)
        partitions = [TopicPartition(name, number) for number in consumer.list_topics(name).topics[name].partitions]
        known = consumer.committed(partitions, timeout=10.0)
        consumer.close()
        return sum(max(0, each.offset) for each in known)


@pytest.fixture
def kafka_world(kafka_settings: KafkaSettings) -> Iterator[KafkaWorld]:
    """A `KafkaWorld` on each kind of broker in turn."""
    with ExitStack() as stack:
        yield KafkaWorld(kafka_settings, stack)


@pytest.fixture
def wide_world(wide_settings: KafkaSettings) -> Iterator[KafkaWorld]:
    """A `KafkaWorld` whose topics have more partitions than the table says."""
    with ExitStack() as stack:
        yield KafkaWorld(wide_settings, stack)


@pytest.fixture
def apache_world(apache_settings: KafkaSettings) -> Iterator[KafkaWorld]:
    """A `KafkaWorld` on a real broker."""
    with ExitStack() as stack:
        yield KafkaWorld(apache_settings, stack)


@pytest.fixture(params=["memory", "embedded", pytest.param("apache", marks=pytest.mark.kafka)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Every adapter of the bus port in turn."""
    if request.param == "memory":
        yield MemoryWorld()
        return
    settings: KafkaSettings = request.getfixturevalue(f"{request.param}_settings")
    with ExitStack() as stack:
        yield KafkaWorld(settings, stack)
