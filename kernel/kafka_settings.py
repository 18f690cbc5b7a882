"""How a process reaches its Kafka, and what that means in the client library's own words."""

from importlib import metadata
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from contracts.topics import MAX_MESSAGE_BYTES

ClientConfig = dict[str, str | int | float | bool]
"""Options of librdkafka by their documented names."""

_LARGEST_REQUEST_BYTES = 4 * 1024 * 1024
_BATCH_BYTES = MAX_MESSAGE_BYTES - 16 * 1024


class KafkaSettings(BaseModel):
    """Where Kafka is, how to log in, and how long to wait for it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    bootstrap_servers: Annotated[str, Field(min_length=1)] = "127.0.0.1:9092"
    """``host:port`` of one or more brokers, separated by commas."""
    topic_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = ""
    """Precedes every topic and group name; separates environments on one cluster."""
    group_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = "algotrade-"
    """Precedes every group name, after the topic prefix."""
    embedded: bool = False
    """The broker is the built-in one: volatile and silently trimmed, so never for live orders."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_location: str | None = None
    """File of the certificate authority that signed the broker's certificate."""
    ssl_certificate_location: str | None = None
    ssl_key_location: str | None = None
    ssl_key_password: SecretStr | None = None

    group_protocol: Literal["auto", "consumer", "classic"] = "auto"
    """``auto`` asks for the consumer protocol (KIP-848) and takes the classic one where that is refused."""
    session_timeout_ms: Annotated[int, Field(ge=1000, le=300_000)] = 6000
    """Silence after which a member loses its partitions; the classic protocol only, KIP-848 asks the broker."""
    max_poll_interval_ms: Annotated[int, Field(ge=10_000, le=3_600_000)] = 300_000
    """Longest time one batch may take."""
    start_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    """Longest wait for an answer of the broker outside of normal flow."""
    delivery_timeout_ms: Annotated[int, Field(ge=1000, le=600_000)] = 30_000
    """Longest time a message may take to become durable before the process stops."""
    fetch_wait_max_ms: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """How long the broker may hold an empty fetch; unset: 2 on the embedded broker, which never wakes one, else 100."""
    linger_ms: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """How long a message may wait for company; what comes while others are on their way travels together anyhow."""
    commit_delay_ms: Annotated[float, Field(ge=0, le=100)] = 100.0
    """Least time between two records of a plane's progress; 0, for lock-step, records each batch before the next."""
    batch_max: Annotated[int, Field(ge=1, le=100_000)] = 500
    """Most messages handled at a time."""
    compression: Literal["none", "lz4", "zstd", "gzip", "snappy"] = "lz4"

    def topic(self, name: str) -> str:
        """Name on the broker of a topic of the table."""
        return f"{self.topic_prefix}{name}"

    def group(self, name: str) -> str:
        """Name on the broker of the consumer group ``name``."""
        return f"{self.topic_prefix}{self.group_prefix}{name}"


def client_config(settings: KafkaSettings) -> ClientConfig:
    """What every client needs: addresses, login and bounded waits; holds secrets, so never log it."""
    config: ClientConfig = {
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": "algotrade",
        "security.protocol": settings.security_protocol,
        "socket.timeout.ms": 10_000,
        "socket.connection.setup.timeout.ms": 10_000,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1_000,
        "message.max.bytes": _LARGEST_REQUEST_BYTES,
    }
    optional = {
        "sasl.mechanism": settings.sasl_mechanism,
        "sasl.username": settings.sasl_username,
        "sasl.password": _reveal(settings.sasl_password),
        "ssl.ca.location": settings.ssl_ca_location,
        "ssl.certificate.location": settings.ssl_certificate_location,
        "ssl.key.location": settings.ssl_key_location,
        "ssl.key.password": _reveal(settings.ssl_key_password),
    }
    config.update({name: value for name, value in optional.items() if value is not None})
    return config


def producer_config(settings: KafkaSettings) -> ClientConfig:
    """Durable and in order: acknowledged by all replicas, retried without duplicates, keyed as Java clients do."""
    return client_config(settings) | {
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "delivery.timeout.ms": settings.delivery_timeout_ms,
        "linger.ms": settings.linger_ms,
        # The broker's limit counts whole batches, so a batch must fit where a single message fits.
        "batch.size": _BATCH_BYTES,
        "compression.type": settings.compression,
        "queue.buffering.max.messages": 100_000,
        "queue.buffering.max.kbytes": 64 * 1024,
    }


def reader_config(settings: KafkaSettings, group: str) -> ClientConfig:
    """Reads assigned partitions and never commits; ``group`` only says whose progress can be asked for."""
    return client_config(settings) | {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # A position outside the log must show, never be jumped over.
        "auto.offset.reset": "error",
        "allow.auto.create.topics": False,
        "fetch.wait.max.ms": settings.fetch_wait_max_ms or (2 if settings.embedded else 100),
        "fetch.error.backoff.ms": 50,
        "queued.max.messages.kbytes": 16 * 1024,
    }


def consumer_config(settings: KafkaSettings, group: str, protocol: str) -> ClientConfig:
    """Reads as a member of ``group`` by ``protocol`` (``consumer`` or ``classic``); commits by hand."""
    config = reader_config(settings, group) | {
        "group.protocol": protocol,
        "max.poll.interval.ms": settings.max_poll_interval_ms,
    }
    if protocol == "classic":
        config |= {
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": settings.session_timeout_ms,
            "heartbeat.interval.ms": settings.session_timeout_ms // 3,
        }
    return config


def application_version() -> str:
    """Version of the installed program, for dead letters."""
    try:
        return metadata.version("algo-trade")
    except metadata.PackageNotFoundError:
        return "unknown"


def _reveal(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
