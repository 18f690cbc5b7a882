"""Which intents the order plane has consumed, and which became dead letters: from Kafka, or as a run kept it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from contracts.claims import IntentsHandedOver
from contracts.codec import ContractViolation, decode
from contracts.control import PartitionOffsets
from contracts.dead_letter import DeadLetter
from contracts.topics import TOPIC_OF
from contracts.trading import OrderIntent
from kernel.dead_letters import read_dead_letters
from kernel.kafka_history import read_logs
from kernel.kafka_offsets import committed_offsets, watermarks
from kernel.kafka_settings import KafkaSettings

KEPT = "consumed_intents.jsonl"
"""Name of the file in the state directory of a run."""
AT_THE_END = "Kafka, once the planes had ended"
WHILE_IT_RAN = "Kafka, while the planes ran"
_TOPIC = TOPIC_OF[OrderIntent]
_DEAD_LETTERS = f"dlq_{_TOPIC.name}"
_PLANE = "order"


@dataclass(frozen=True, slots=True)
class Consumed:
    """Intents up to the committed offset, each once; ``refused`` are records that became dead letters.

    ``vanished`` are the places (topic/partition/offset) of records that are no intent and have no dead letter.
    ``unread`` counts records behind what was committed, ``unseen`` those before it that ``source``, who says all this,
    never saw. When the source ended before the order plane did, what lies behind may have been consumed after all:
    these intents are ``unknown`` instead. ``unreadable`` counts lines of the source that say nothing.
    """

    intents: tuple[UUID, ...]
    refused: int
    vanished: tuple[str, ...]
    unread: int
    unseen: int
    source: str
    unknown: tuple[UUID, ...] = ()
    unreadable: int = 0


@dataclass(slots=True)
class Sightings:
    """What was seen of the topic of intents, by place (topic/partition and offset).

    ``published`` has None for a record that is no intent; those in ``marks`` only mark where intents change hands;
    ``buried`` are places that dead letters name; ``committed``
    is the order plane's next offset by partition.
    """

    published: dict[tuple[str, int], UUID | None] = field(default_factory=dict)
    marks: set[tuple[str, int]] = field(default_factory=set)
    buried: set[tuple[str, int]] = field(default_factory=set)
    committed: dict[str, int] = field(default_factory=dict)

    def consumed(self, source: str) -> Consumed:
        """What the order plane has consumed of it, according to ``source``."""
        handled = {place: name for place, name in self.published.items() if place[1] < self.committed.get(place[0], 0)}
        lost = [place for place, name in handled.items() if name is None and place not in self.marks]
        vanished = [f"{log}/{at}" for log, at in lost]
        return Consumed(
            tuple(dict.fromkeys(name for place, name in handled.items() if name and place not in self.buried)),
            sum(place in self.buried for place in handled),
            tuple(each for each in vanished if _place(each) not in self.buried),
            len(self.published) - len(handled),
            sum(self.committed.values()) - len(handled),
            source,
        )

    def unread(self) -> tuple[UUID, ...]:
        """The intents behind what was committed that are no dead letters, each once."""
        behind = {place: name for place, name in self.published.items() if place[1] >= self.committed.get(place[0], 0)}
        return tuple(dict.fromkeys(name for place, name in behind.items() if name and place not in self.buried))


class IntentWitness:
    """Writes down what is seen of the topic of intents, for when the broker that holds it is gone.

    A file of JSON lines, begun anew; what was handed over survives the process from the next `flush` on.
    """

    def __init__(self, path: Path) -> None:
        self._file: TextIOWrapper = path.open("w", encoding="ascii")
        self._committed: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def published(self, partition: int, offset: int, intent: UUID | None) -> None:
        """A record was published; ``intent`` is None when it is none."""
        self._write({"place": f"{_TOPIC.name}/{partition}/{offset}", "intent": None if intent is None else str(intent)})

    def marked(self, partition: int, offset: int) -> None:
        """A record was published that only marks where intents change hands."""
        self._write({"place": f"{_TOPIC.name}/{partition}/{offset}", "intent": None, "mark": True})

    def buried(self, topic: str, letter: DeadLetter) -> None:
        """A record became a dead letter in ``topic``, its name in the table."""
        if topic == _DEAD_LETTERS:
            self._write({"dead_letter": f"{_TOPIC.name}/{letter.source_partition}/{letter.source_offset}"})

    def committed(self, positions: PartitionOffsets, told_by: str) -> None:
        """The order plane has consumed what is before ``positions``."""
        own = {log: offset for log, offset in positions.items() if log.partition("/")[0] == _TOPIC.name}
        if own != self._committed or told_by == AT_THE_END:
            self._committed = own
            self._write({"committed": own, "told_by": told_by})

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        self._file.flush()

    def _write(self, line: Mapping[str, object]) -> None:
        self._file.write(json.dumps(line) + "\n")


def committed_positions(settings: KafkaSettings) -> PartitionOffsets:
    """The order plane's next offset of every partition of the topic of intents, by name without prefix.

    Raises:
        BrokerUnavailable: when no broker answers.
    """
    marks = watermarks(settings, [_TOPIC.name])
    done = committed_offsets(settings, settings.group(_PLANE), marks)
    return {f"{_TOPIC.name}/{number}": done.get((name, number), low) for (name, number), (low, _) in marks.items()}


def consumed_intents(settings: KafkaSettings) -> Consumed:
    """Read the topic of intents and its dead letters as they are in Kafka.

    Raises:
        BrokerUnavailable: when no broker answers.
    """
    seen = Sightings(committed=dict(committed_positions(settings)))
    for entry in read_dead_letters(settings, [_DEAD_LETTERS]):
        if entry.letter is not None:
            seen.buried.add((f"{_TOPIC.name}/{entry.letter.source_partition}", entry.letter.source_offset))
    for record in read_logs(settings, watermarks(settings, [_TOPIC.name])):
        place = f"{_TOPIC.name}/{record.partition() or 0}", record.offset() or 0
        seen.published[place] = intent_in(record.value())
        if seen.published[place] is None and is_mark(record.value()):
            seen.marks.add(place)
    return seen.consumed(f"Kafka at {settings.bootstrap_servers}, as far as the order plane has committed")


def kept_intents(path: Path) -> Consumed | None:
    """What a run kept at ``path``; None when it kept nothing. A line that the end of the process cut off is no line."""
    if not path.exists():
        return None
    seen, told_by, unreadable = Sightings(), "nobody", 0
    for text in path.read_text("ascii", "replace").splitlines(keepends=True):
        if not text.endswith("\n"):
            break
        try:
            told_by = _noted(json.loads(text), seen) or told_by
        except (ValueError, TypeError, KeyError, AttributeError):
            unreadable += 1
    consumed = seen.consumed(f"{path}, kept while the run went on; what was consumed by then is from {told_by}")
    if told_by != AT_THE_END:
        consumed = replace(consumed, unread=0, unknown=seen.unread())
    return replace(consumed, unreadable=unreadable)


def _noted(line: Mapping[str, Any], seen: Sightings) -> str | None:
    """Add one line to what was ``seen``; who told how far the order plane has come, if that is what it says."""
    if "place" in line:
        seen.published[_place(line["place"])] = None if line["intent"] is None else UUID(line["intent"])
        if line.get("mark"):
            seen.marks.add(_place(line["place"]))
    elif "dead_letter" in line:
        seen.buried.add(_place(line["dead_letter"]))
    else:
        seen.committed = {log: int(offset) for log, offset in line["committed"].items()}
        return str(line["told_by"])
    return None


def intent_in(value: bytes | None) -> UUID | None:
    """The id of the intent in a record; None when it is none."""
    try:
        message = decode(value or b"", (OrderIntent,))
    except ContractViolation:
        return None
    return message.intent_id if isinstance(message, OrderIntent) else None


def is_mark(value: bytes | None) -> bool:
    """Whether a record only marks where intents change hands."""
    try:
        decode(value or b"", (IntentsHandedOver,))
    except ContractViolation:
        return False
    return True


def _place(text: str) -> tuple[str, int]:
    log, _, offset = text.rpartition("/")
    return log, int(offset)
