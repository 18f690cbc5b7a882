"""Looks after what works at the venue while Kafka is away."""

from collections.abc import Callable, Iterable, Sequence
from threading import Event
from typing import Protocol

import structlog

from contracts.base import Message
from kernel.clock import monotonic
from kernel.kafka_errors import BrokerUnavailable
from kernel.kafka_producer import DurableProducer
from kernel.kafka_settings import KafkaSettings

_PROBE_EVERY_SECONDS, _PROBE_SECONDS = 2.0, 0.2
_TURN_SECONDS = 0.02
AWAY = "KAFKA_AWAY: Kafka does not answer"


class Holdable(Protocol):
    """The order plane, as far as this reaches into it."""

    def hold(self, reason: str) -> None:
        """Send nothing new."""
        ...

    def settle(self) -> Sequence[Message]:
        """Book what the venue reports, and carry out what operators want."""
        ...


class KafkaOutage:
    """Goes on for as long as Kafka is away: commands are carried out, cancels leave, what the venue says is journaled.

    Nothing new is sent but what closes positions, for no intent and no price can come. What is said is in the journal
    and leaves when the order plane has been started again, which it must be: it cannot know what of its messages
    arrived. ``obey`` carries out what operators have asked for, and ``tell`` hears what is said meanwhile.
    """

    def __init__(
        self,
        stage: Holdable,
        obey: Callable[[], None],
        tell: Callable[[Iterable[Message]], object],
        kafka: KafkaSettings,
    ) -> None:
        self._stage = stage
        self._obey = obey
        self._tell = tell
        self._kafka = kafka
        self.lasts = False
        """Whether it is going on, so that nothing can be published."""

    def __call__(self, stop: Event, beat: Callable[[], None]) -> None:
        """Return when Kafka answers or ``stop`` is set."""
        self.lasts = True
        self._stage.hold(AWAY)
        producer, asked_at = DurableProducer(self._kafka), float("-inf")
        try:
            while not stop.is_set():
                beat()
                self._obey()
                self._tell(self._stage.settle())
                if monotonic() - asked_at > _PROBE_EVERY_SECONDS:
                    if _answers(producer):
                        return
                    if asked_at < 0.0:
                        structlog.get_logger().error("Kafka is away: no new orders; kills and cancels still work")
                    asked_at = monotonic()
                stop.wait(_TURN_SECONDS)
        finally:
            producer.close()


def _answers(producer: DurableProducer) -> bool:
    try:
        producer.reach(_PROBE_SECONDS)
    except BrokerUnavailable:
        return False
    return True
