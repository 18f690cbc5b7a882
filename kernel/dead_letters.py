"""Read dead letters back: all of them, those an operator asks for, or one."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import Message as Record

from contracts.codec import ErrorCode
from contracts.dead_letter import DeadLetter, FailureClass, Header, NotADeadLetter, parse_dead_letter
from contracts.topics import TOPICS
from kernel.dead_letter_writer import wire_headers
from kernel.kafka_history import read_logs
from kernel.kafka_offsets import Partition, watermarks
from kernel.kafka_settings import KafkaSettings

_PLACE = re.compile(r"(?P<topic>[^/]+)/(?P<partition>\d{1,9})/(?P<offset>\d{1,18})")
_ID = re.compile(r"[0-9a-f]{8,64}")
UNEXPLAINED = "(no reason)"
"""Stands for the error code of a record that something else wrote into a dead-letter topic."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a dead-letter topic; ``letter`` is None when something else wrote it there.

    ``topic`` is the name in the table, without prefix.
    """

    topic: str
    partition: int
    offset: int
    timestamp: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    letter: DeadLetter | None
    origin: str = ""
    """Name in the table of the topic it first failed on."""

    @property
    def place(self) -> str:
        """Where it is, as the command line takes it."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def source(self) -> tuple[str, int, int]:
        """Topic, partition and offset of the record it was at first; its own when something else wrote it."""
        letter = self.letter
        if letter is None:
            return self.topic, self.partition, self.offset
        return letter.origin_topic, letter.origin_partition, letter.origin_offset

    @property
    def code(self) -> str:
        """Its error code."""
        return self.letter.code if self.letter else UNEXPLAINED


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operator looks for; what is None does not matter. ``topic`` may name the source or its dead letters."""

    topic: str | None = None
    code: ErrorCode | None = None
    failure_class: FailureClass | None = None
    since: datetime | None = None
    key: str | None = None

    def matches(self, entry: Entry) -> bool:
        """Whether ``entry`` is one of those."""
        letter = entry.letter
        return (
            (self.topic is None or entry.topic in (self.topic, f"dlq_{self.topic}"))
            and (self.code is None or entry.code == self.code)
            and (self.failure_class is None or (letter is not None and letter.failure_class == self.failure_class))
            and (self.since is None or entry.timestamp >= self.since)
            and (self.key is None or entry.key == self.key.encode())
        )


def dead_letter_topics() -> list[str]:
    """Names in the table of the topics that hold dead letters."""
    return [name for name, topic in TOPICS.items() if not topic.messages]


def read_dead_letters(settings: KafkaSettings, topics: Iterable[str] | None = None) -> Iterator[Entry]:
    """Every record of the dead-letter topics (or of ``topics``), oldest first by time of the original message.

    Raises:
        BrokerUnavailable: when no broker answers.
    """
    marks = watermarks(settings, dead_letter_topics() if topics is None else topics)
    return (_entry(settings, record) for record in read_logs(settings, marks))


def find_dead_letter(settings: KafkaSettings, reference: str) -> Entry | None:
    """The dead letter at ``TOPIC/PARTITION/OFFSET`` or whose ``dlq.id`` begins with ``reference`` (8 digits or more).

    Of several copies of one failure the newest is returned; None when there is none.

    Raises:
        ValueError: when ``reference`` is neither.
        BrokerUnavailable: when no broker answers.
    """
    place = _PLACE.fullmatch(reference)
    if place is not None:
        return _at(
            settings, place["topic"].removeprefix(settings.topic_prefix), int(place["partition"]), int(place["offset"])
        )
    if not _ID.fullmatch(reference):
        raise ValueError("expected TOPIC/PARTITION/OFFSET or at least 8 hex digits of a dlq.id")
    found = None
    for entry in read_dead_letters(settings):
        if entry.letter is not None and entry.letter.dlq_id.startswith(reference):
            found = entry
    return found


def count_by_code(entries: Iterable[Entry]) -> Counter[tuple[str, str]]:
    """How many of ``entries`` there are by topic and error code."""
    return Counter((entry.topic, entry.code) for entry in entries)


def _at(settings: KafkaSettings, topic: str, partition: int, offset: int) -> Entry | None:
    if topic not in dead_letter_topics():
        raise ValueError(f"{topic} is not one of the dead-letter topics: {', '.join(dead_letter_topics())}")
    wanted: Partition = (settings.topic(topic), partition)
    low, high = watermarks(settings, [topic]).get(wanted, (0, 0))
    if not low <= offset < high:
        return None
    return next((_entry(settings, record) for record in read_logs(settings, {wanted: (offset, offset + 1)})), None)


def _entry(settings: KafkaSettings, record: Record) -> Entry:
    headers = wire_headers(record)
    try:
        letter = parse_dead_letter(headers, record.key(), record.value())
    except NotADeadLetter:
        letter = None
    return Entry(
        topic=(record.topic() or "").removeprefix(settings.topic_prefix),
        partition=record.partition() or 0,
        offset=record.offset() or 0,
        timestamp=datetime.fromtimestamp(max(0, record.timestamp()[1]) / 1000, UTC),
        key=record.key(),
        value=record.value(),
        headers=headers,
        letter=letter,
        origin=letter.origin_topic.removeprefix(settings.topic_prefix) if letter else "",
    )
