"""Claims of journals and hand-overs of intents, as they are in Kafka."""

import socket
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from contracts.claims import IntentsHandedOver, JournalClaim
from contracts.topics import TOPIC_OF
from contracts.trading import OrderIntent
from kernel.clock import SystemClock
from kernel.code_version import source_digest
from kernel.kafka_decoding import Decoder
from kernel.kafka_history import read_logs
from kernel.kafka_offsets import watermarks
from kernel.kafka_settings import KafkaSettings, application_version
from kernel.kafka_strict_log import StrictLog, append
from order_plane.alerts import sentence
from order_plane.go_live_terms import limits_hash, order_configuration
from order_plane.last_start import Running
from order_plane.settings import OrderSettings


class KafkaClaims:
    """The `ClaimLog` of one environment.

    Raises:
        BrokerUnavailable: when no broker answers.
        TopicMismatch: when there is no topic for claims.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._log = StrictLog(settings, JournalClaim)
        self.close = self._log.close

    def read(self, *, wait: bool = False, patience_seconds: float | None = None) -> Sequence[JournalClaim]:
        """Claims not read before; raises BrokerUnavailable, and LogBroken when one cannot be read."""
        return self._log.read(wait=wait, patience_seconds=patience_seconds)

    def arrived(self) -> Sequence[JournalClaim]:
        """Claims not read before that are here already; raises LogBroken when one cannot be read."""
        return self._log.arrived()

    def append(self, claim: JournalClaim) -> None:
        """Return once ``claim`` is in the log for good; raises DeliveryFailed when that is not known."""
        self._log.append(claim)

    def mark(self, mark: IntentsHandedOver) -> int:
        """Put ``mark`` among the intents for good, and return where their log ends then; raises as `append` does."""
        return append(self._settings, mark)


def claim_of(settings: OrderSettings, journal_id: str) -> JournalClaim:
    """The claim of this process for the journal that ``settings`` name, with where that is kept for a person to find.

    The address of a database is not told: it may hold a password.
    """
    place = "in a PostgreSQL database" if settings.journal_database else str(settings.journal_path.absolute())
    return JournalClaim(
        timestamp=SystemClock().now(),
        journal_id=journal_id,
        account=settings.account,
        host=_host(settings),
        place=sentence(place),
    )


def running_of(settings: OrderSettings) -> Running:
    """What this process trades with; where things are and how long it waits for its turn is up to each host."""
    placeless = settings.model_copy(update={"journal_wait": timedelta(0)})
    sums = source_digest(), order_configuration(placeless), limits_hash(settings)
    return Running(_host(settings), application_version(), *sums)


def _host(settings: OrderSettings) -> str:
    return settings.host or socket.gethostname()[-64:] or "unknown"


def intents_before(settings: KafkaSettings, end: int) -> frozenset[UUID]:
    """The ids of all intents before the offset ``end``; raises BrokerUnavailable when no broker tells them."""
    marks = watermarks(settings, [TOPIC_OF[OrderIntent].name])
    ranges = {each: (low, min(end, high)) for each, (low, high) in marks.items() if low < min(end, high)}
    records = read_logs(settings, ranges) if ranges else ()
    intents = (each.message for each in Decoder(settings).messages(records, {OrderIntent}))
    return frozenset(each.intent_id for each in intents if isinstance(each, OrderIntent))
