"""Messages of a plane on their way out: validated as bytes, named, and with the trace of their cause."""

from collections.abc import Callable

from contracts.base import Message
from contracts.codec import encode_valid
from contracts.dead_letter import Header
from contracts.topics import TOPIC_OF
from kernel.dead_letter_writer import schema_name
from kernel.kafka_producer import DurableProducer
from kernel.kafka_settings import KafkaSettings
from kernel.ports import Received
from kernel.tracing import TRACEPARENT, Traces

NEWEST_COUNTS = frozenset(message for message, topic in TOPIC_OF.items() if topic.cleanup_policy == "compact")
"""Messages of which a topic keeps the newest of each key, so that one that has a successor need not leave."""


class Publisher:
    """Sends what ``plane`` says through ``producer``; ``stamp`` has the last word on every message."""

    def __init__(
        self,
        settings: KafkaSettings,
        plane: str,
        producer: DurableProducer,
        traces: Traces,
        stamp: Callable[[Message], Message],
    ) -> None:
        self._writer_name = plane.encode()
        self._producer = producer
        self._traces = traces
        self._stamp = stamp
        self._gathered: list[tuple[str, bytes, bytes, list[Header]]] = []
        self._places = {
            message: (settings.topic(topic.name), schema_name(message).encode()) for message, topic in TOPIC_OF.items()
        }

    def send(self, message: Message, cause: Received | None, *, more: bool = False) -> None:
        """Validate the bytes of ``message`` and send them, with the next ones if ``more`` follow at once.

        Raises:
            ContractViolation: when the message breaks its contract.
            DeliveryFailed: when this or an earlier message cannot be made durable.
        """
        topic, schema = self._places[type(message)]
        message = self._stamp(message)
        raw = encode_valid(message)
        wire: list[Header] = [
            ("schema", schema),
            ("producer", self._writer_name),
            (TRACEPARENT, self._traces.next(message, raw, cause.headers if cause else None)),
        ]
        self._gathered.append((topic, raw, message.partition_key.encode(), wire))
        if not more:
            self.release()

    def release(self) -> None:
        """Send what waits for more; raises `DeliveryFailed` as `send` does.

        The client mostly takes what it is given within microseconds into one request, and a consumer is woken once.
        """
        gathered, self._gathered = self._gathered, []
        for record in gathered:
            self._producer.send(*record)
