"""Whether a broker answers, from what the client library reports and a question now and then."""

import logging
from collections.abc import Callable

from confluent_kafka import KafkaError

from kernel.clock import monotonic
from kernel.kafka_errors import BrokerUnavailable

_LOG = logging.getLogger(__name__)
_PROBE_SECONDS = 1.0


class BrokerWatch:
    """Remembers that all brokers are down until one answers."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._where = bootstrap_servers
        self._ask_at = 0.0
        self.up = True

    def heard(self, error: KafkaError) -> None:
        """Take in an error of the client library."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.up = False
            _LOG.error("no broker answers at %s", self._where)

    def ask_when_down(self, reach: Callable[[float], None]) -> None:
        """Ask again by ``reach(seconds)``, at most once a second; an idle client would not notice an answer."""
        if self.up or monotonic() < self._ask_at:
            return
        try:
            reach(_PROBE_SECONDS)
            self.up = True
        except BrokerUnavailable:
            self._ask_at = monotonic() + _PROBE_SECONDS
