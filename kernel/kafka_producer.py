"""Send records so that none is lost without somebody being told."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Record

from contracts.dead_letter import Header
from kernel.clock import monotonic
from kernel.kafka_errors import BrokerUnavailable, error_of, text_of
from kernel.kafka_offsets import OFFSET_UNKNOWN
from kernel.kafka_settings import KafkaSettings, producer_config
from kernel.ports import DeliveryFailed

_LOG = logging.getLogger(__name__)
_FLUSH_MARGIN_SECONDS = 5.0
_FULL_QUEUE_WAIT_SECONDS = 0.05


_MOST_OUTSTANDING = 20_000
"""Records on their way before a sender has to wait: what a crash repeats, and memory, stay bounded."""


class Consignment:
    """Records that were sent together; all of them are durable once none is ``outstanding``."""

    __slots__ = ("outstanding",)

    def __init__(self) -> None:
        self.outstanding = 0


class DurableProducer:
    """An idempotent producer whose every record ends acknowledged by all replicas or as `DeliveryFailed`.

    A failure is remembered: every later call raises it, so nothing is committed behind a hole. Acknowledgements
    are taken in by `serve` and by whatever waits.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        delivered: Callable[[str, int, int], None] = lambda topic, partition, offset: None,
        on_error: Callable[[KafkaError], None] = lambda error: None,
    ) -> None:
        self._timeout_seconds = settings.delivery_timeout_ms / 1000 + _FLUSH_MARGIN_SECONDS
        self.delivered = delivered
        """Is told topic, partition and offset of every acknowledgement."""
        self._failure: str | None = None
        self._outstanding = 0
        self._where = settings.bootstrap_servers
        self._begin()
        self._producer = Producer({**producer_config(settings), "error_cb": on_error, "logger": _LOG})

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Sequence[Header],
        partition: int = -1,
        timestamp_ms: int = 0,
    ) -> None:
        """Queue one record for ``topic`` (its name on the broker); waits, bounded, while the queue is full.

        Raises:
            DeliveryFailed: when this or an earlier record did not or can not become durable.
        """
        self._raise_failure()
        deadline = 0.0
        while True:
            try:
                self._producer.produce(
                    topic, value, key, partition, self._acknowledge, None, timestamp_ms, list(headers)
                )
            except BufferError:
                deadline = deadline or monotonic() + self._timeout_seconds
                if monotonic() > deadline:
                    self._fail(f"{topic}: the broker takes nothing; the queue is full")
                self._producer.poll(_FULL_QUEUE_WAIT_SECONDS)
                self._raise_failure()
            except KafkaException as error:
                self._fail(f"{topic}: {text_of(error_of(error))}")  # the client knows already that it cannot be sent
            else:
                self._consignment.outstanding += 1
                self._outstanding += 1
                return

    def seal(self) -> Consignment:
        """What was sent since the last call; what is sent from now on belongs to another consignment."""
        sealed = self._consignment
        if sealed.outstanding:
            self._begin()
            return sealed
        return Consignment()

    def serve(self) -> None:
        """Take in acknowledgements without waiting, unless too much is on its way.

        Raises:
            DeliveryFailed: when a record did not become durable.
        """
        self._producer.poll(0)
        deadline = 0.0
        while self._outstanding > _MOST_OUTSTANDING and self._failure is None:
            deadline = deadline or monotonic() + self._timeout_seconds
            if monotonic() > deadline:
                self._fail(f"{self._outstanding} messages wait for the broker, which acknowledges none")
            self._producer.poll(_FULL_QUEUE_WAIT_SECONDS)
        self._raise_failure()

    def flush(self) -> None:
        """Wait until everything sent is durable.

        Raises:
            DeliveryFailed: when something is not, after the delivery timeout at the latest.
        """
        waiting = self._producer.flush(self._timeout_seconds) if self._outstanding else 0
        self._raise_failure()
        if waiting:
            self._fail(f"{waiting} messages were not acknowledged within {self._timeout_seconds:.0f} s")

    def reach(self, timeout_seconds: float) -> None:
        """Ask the broker for its topics; raises `BrokerUnavailable` when it does not answer in time."""
        try:
            self._producer.list_topics(timeout=timeout_seconds)
        except KafkaException as error:
            raise BrokerUnavailable(self._where, text_of(error_of(error))) from None

    def close(self) -> None:
        """Drop what is not acknowledged; call `flush` before when it matters."""
        self._producer.purge()
        self._producer.flush(1.0)

    def _begin(self) -> None:
        self._consignment = Consignment()
        self._acknowledge = partial(self._on_delivery, self._consignment)

    def _on_delivery(self, consignment: Consignment, error: KafkaError | None, record: Record) -> None:
        self._outstanding -= 1
        topic = record.topic() or ""
        if error is not None:
            self._failure = self._failure or f"{topic}/{record.partition()}: {text_of(error)}"
            return
        consignment.outstanding -= 1
        offset = record.offset()
        self.delivered(topic, record.partition() or 0, OFFSET_UNKNOWN if offset is None else offset)

    def _fail(self, reason: str) -> NoReturn:
        self._failure = self._failure or reason
        raise DeliveryFailed(self._failure) from None

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise DeliveryFailed(self._failure)
