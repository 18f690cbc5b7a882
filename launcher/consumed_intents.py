"""Which intents the order plane has consumed from Kafka, and which of them became dead letters."""

from dataclasses import dataclass
from uuid import UUID

from contracts.codec import ContractViolation, decode
from contracts.topics import TOPIC_OF
from contracts.trading import OrderIntent
from kernel.dead_letters import read_dead_letters
from kernel.kafka_history import read_logs
from kernel.kafka_offsets import committed_offsets, watermarks
from kernel.kafka_settings import KafkaSettings

_TOPIC = TOPIC_OF[OrderIntent]
_PLANE = "order"


@dataclass(frozen=True, slots=True)
class Consumed:
    """Intents up to the committed offset; ``refused`` are records that are none and have a dead letter.

    ``vanished`` are the places (topic/partition/offset) of records that are no intent and have no dead letter.
    """

    intents: tuple[UUID, ...]
    refused: int
    vanished: tuple[str, ...]


def consumed_intents(settings: KafkaSettings) -> Consumed:
    """Read the topic of intents as far as the order plane has committed it.

    Raises:
        BrokerUnavailable: when no broker answers.
    """
    marks = watermarks(settings, [_TOPIC.name])
    done = committed_offsets(settings, settings.group(_PLANE), marks)
    ranges = {partition: (low, done.get(partition, low)) for partition, (low, _) in marks.items()}
    letters = {
        (entry.letter.source_partition, entry.letter.source_offset)
        for entry in read_dead_letters(settings, [f"dlq_{_TOPIC.name}"])
        if entry.letter is not None
    }
    intents, refused, vanished = [], 0, []
    for record in read_logs(settings, ranges):
        try:
            message = decode(record.value() or b"", (OrderIntent,))
        except ContractViolation:
            place = (record.partition() or 0, record.offset() or 0)
            if place in letters:
                refused += 1
            else:
                vanished.append(f"{_TOPIC.name}/{place[0]}/{place[1]}")
        else:
            if isinstance(message, OrderIntent):
                intents.append(message.intent_id)
    return Consumed(tuple(intents), refused, tuple(vanished))
