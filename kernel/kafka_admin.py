"""Make, list and check the topics of the table on a broker."""

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from contracts.topics import TOPICS, Topic
from kernel.clock import monotonic
from kernel.kafka_errors import BrokerUnavailable, TopicMismatch, error_of, text_of
from kernel.kafka_offsets import watermarks
from kernel.kafka_settings import KafkaSettings, client_config

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 0.05
_ENVELOPE_BYTES = 16 * 1024
"""Room for key, headers and batch around the largest value; the broker's limit counts whole batches."""


@dataclass(frozen=True, slots=True)
class TopicState:
    """One topic of the table beside what the broker has; ``partitions`` is 0 when it is missing.

    ``needed`` are as many as the widest topic has whose dead letters it keeps, since these keep their partition.
    """

    topic: Topic
    name: str
    partitions: int
    messages: int | None = None
    needed: int = 1

    @property
    def problem(self) -> str:
        """Why it cannot be used; empty when it can."""
        if not self.partitions:
            return "missing"
        if self.topic.total_order and self.partitions > 1:
            return "must have one partition: begin with another topic prefix"
        if self.partitions < self.needed:
            return f"too narrow for dead letters: raise it to {self.needed} partitions with kafka-topics"
        return ""

    @property
    def verdict(self) -> str:
        """``ok``, or what is wrong or unusual."""
        wide = self.partitions > self.topic.partitions
        return self.problem or (f"wider than the table's {self.topic.partitions}, usable" if wide else "ok")


def create_topics(settings: KafkaSettings, replication_factor: int = -1) -> list[TopicState]:
    """Make what is missing (``replication_factor`` -1: as the broker likes) and return every topic's state.

    Existing topics stay as they are, whatever their shape; dead letters get as many partitions as their sources have.

    Raises:
        BrokerUnavailable: when no broker answers.
        TopicMismatch: when the broker is the embedded one, or refuses to make a topic.
    """
    missing = [state for state in topic_states(settings) if not state.partitions]
    if missing and settings.embedded:
        raise TopicMismatch("the embedded broker makes its topics when it starts; none can be added from outside")
    if missing:
        _create(settings, missing, replication_factor)
        _await_topics(settings)
    return topic_states(settings)


def list_topics(settings: KafkaSettings) -> list[TopicState]:
    """Every topic of the table with what the broker has of it, messages counted; raises `BrokerUnavailable`."""
    states = topic_states(settings)
    ends = watermarks(settings, [state.topic.name for state in states if state.partitions])
    counts: dict[str, int] = {}
    for (name, _), (low, high) in ends.items():
        counts[name] = counts.get(name, 0) + high - low
    return [replace(each, messages=counts.get(each.name)) for each in states]


def check_topics(settings: KafkaSettings, names: Iterable[str] | None = None) -> None:
    """Refuse to go on when a topic of the table (or of ``names``) or its dead-letter topic cannot be used.

    Raises:
        BrokerUnavailable: when no broker answers.
        TopicMismatch: naming each missing topic, or one that has too many partitions, or too few for dead letters.
    """
    states = {state.topic.name: state for state in topic_states(settings)}
    wanted = set(TOPICS if names is None else names)
    wanted |= {letter for name in wanted if (letter := TOPICS[name].dead_letter)}
    missing = sorted(states[name].name for name in wanted if not states[name].partitions)
    if missing:
        raise TopicMismatch(f"topics are missing: {', '.join(missing)}; create them with: algotrade topics create")
    for name in sorted(wanted):
        if states[name].problem and TOPICS[name].total_order:
            raise TopicMismatch(f"{states[name].name} has {states[name].partitions} partitions, {states[name].problem}")
        letter = TOPICS[name].dead_letter
        if letter and states[letter].partitions < states[name].partitions:
            raise TopicMismatch(
                f"{states[letter].name} has {states[letter].partitions} partitions and {states[name].name} has "
                f"{states[name].partitions}; a dead letter keeps its partition, so raise the former with kafka-topics"
            )


def topic_states(settings: KafkaSettings) -> list[TopicState]:
    """Every topic of the table with its partition count on the broker; raises `BrokerUnavailable`."""
    try:
        found = _admin(settings).list_topics(timeout=settings.start_timeout_seconds).topics
    except KafkaException as error:
        raise BrokerUnavailable(settings.bootstrap_servers, text_of(error_of(error))) from None
    names = {topic: settings.topic(name) for name, topic in TOPICS.items()}
    widths = {topic: len(found[name].partitions) if name in found else 0 for topic, name in names.items()}
    return [TopicState(topic, name, widths[topic], needed=_needed(topic, widths)) for topic, name in names.items()]


def _needed(topic: Topic, widths: Mapping[Topic, int]) -> int:
    return max([topic.partitions, *(width for source, width in widths.items() if source.dead_letter == topic.name)])


def _admin(settings: KafkaSettings) -> AdminClient:
    return AdminClient({**client_config(settings), "logger": _LOG})  # type: ignore[dict-item]  # missing in the stubs


def _create(settings: KafkaSettings, missing: list[TopicState], replication_factor: int) -> None:
    admin = _admin(settings)
    wanted = [
        NewTopic(
            state.name,
            num_partitions=state.needed,
            replication_factor=replication_factor,
            config=topic_config(state.topic),
        )
        for state in missing
    ]
    for name, future in admin.create_topics(wanted, request_timeout=settings.start_timeout_seconds).items():
        try:
            future.result()
        except KafkaException as error:
            raise TopicMismatch(f"{name} cannot be made: {text_of(error_of(error))}") from None


def topic_config(topic: Topic) -> dict[str, str]:
    """The broker's own settings of ``topic``."""
    return {
        "cleanup.policy": topic.cleanup_policy,
        "retention.ms": str(int(topic.retention.total_seconds() * 1000)),
        "max.message.bytes": str(topic.max_message_bytes + _ENVELOPE_BYTES),
    }


def _await_topics(settings: KafkaSettings) -> None:
    """A broker learns of a new topic a moment after the controller made it."""
    deadline = monotonic() + settings.start_timeout_seconds
    while any(not state.partitions for state in topic_states(settings)) and monotonic() < deadline:
        time.sleep(_RETRY_SECONDS)
    watermarks(settings, TOPICS)  # answered only once every partition has a leader
