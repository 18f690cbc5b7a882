"""Options that every command about Kafka takes, and how its errors end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict
from rich.console import Console

from kernel.audit_log import AuditBroken
from kernel.kafka_errors import BrokerUnavailable, TopicMismatch
from kernel.kafka_settings import KafkaSettings
from kernel.ports import DeliveryFailed
from kernel.settings import ConfigurationError, load
from launcher.apache_kafka import BrokerSetupError
from launcher.running import current, named

NOTHING = 1
USAGE = 2
UNAVAILABLE = 3
_PREFIX = "ALGOTRADE_KAFKA__"

Bootstrap = Annotated[
    str | None,
    typer.Option("--bootstrap", "-b", help="host:port of the broker.", envvar=f"{_PREFIX}BOOTSTRAP_SERVERS"),
]
Prefix = Annotated[
    str | None,
    typer.Option("--prefix", help="What precedes every topic name.", envvar=f"{_PREFIX}TOPIC_PREFIX"),
]

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


class _Connection(BaseModel):
    """The Kafka section of the configuration alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka: KafkaSettings = KafkaSettings()


def connection(bootstrap: str | None, prefix: str | None) -> KafkaSettings:
    """Settings from the options, else from the ``ALGOTRADE_KAFKA__`` variables (login included), else defaults.

    When nothing names a broker and a local run is alive, its broker and prefix are meant, and that is said.

    Raises:
        ConfigurationError: naming each variable that is wrong.
    """
    running = current(state_directory()) if bootstrap is None else None
    if running is not None:
        bootstrap = running.bootstrap_servers
        prefix = running.topic_prefix if prefix is None else prefix
        text = f"{named(running)}; Kafka at {bootstrap}"
        errors.print(text, style="dim", markup=False, soft_wrap=True)
    given = {"kafka.bootstrap_servers": bootstrap, "kafka.topic_prefix": prefix}
    overrides: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    environ = {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}
    return load(_Connection, None, environ, overrides=overrides).kafka


def state_directory() -> Path:
    """Where what must outlive a run is kept: ``$ALGOTRADE_HOME``, else ``.algotrade``."""
    return Path(os.environ.get("ALGOTRADE_HOME") or ".algotrade")


@contextmanager
def reported() -> Iterator[None]:
    """Turn an expected error into one line and an exit code."""
    try:
        yield
    except BrokerUnavailable as error:
        _end(str(error), UNAVAILABLE)
    except (ConfigurationError, ValueError) as error:
        _end(str(error), USAGE)
    except (TopicMismatch, DeliveryFailed, AuditBroken, BrokerSetupError) as error:
        _end(str(error), NOTHING)


def _end(text: str, code: int) -> None:
    errors.print(text, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(code)
