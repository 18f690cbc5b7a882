"""Run the three planes as three processes on this machine, against any broker."""

import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from data_plane.settings import PaceMode
from kernel.clock import SystemClock
from kernel.embedded_broker import WIDEST_WINDOW, start_embedded_broker
from kernel.kafka_admin import create_topics
from kernel.kafka_settings import KafkaSettings
from kernel.process import ExitCode
from kernel.settings import ConfigurationError, Problem
from launcher.apache_kafka import ApacheKafka, kafka_home
from launcher.endings import RunRefused
from launcher.plane_cli import PARENT
from launcher.settings import Settings
from launcher.supervisor import Supervisor

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,47}")
PLANES = ("order", "strategy", "data")
"""In the order they are started: consumers first."""
_FINAL = frozenset(
    {
        int(ExitCode.CONFIGURATION),
        int(ExitCode.JOURNAL_REFUSED),
        int(ExitCode.LIVE_GATE_SHUT),
        int(ExitCode.INTERRUPTED),
    }
)


class KafkaChoice(StrEnum):
    """Which Kafka a local run uses."""

    EMBEDDED = "embedded"
    KAFKA = "kafka"
    GIVEN = "given"


@dataclass(frozen=True, slots=True)
class LocalRun:
    """One run of the three planes on this machine."""

    run_id: str
    config: Path
    settings: Settings
    kafka: KafkaSettings
    state_directory: Path

    def log_path(self, plane: str) -> Path:
        """Where the process of ``plane`` writes its log."""
        return self.state_directory / f"{plane}.log"

    def start(self, supervisor: Supervisor, plane: str) -> None:
        """Start the process of ``plane``."""
        supervisor.start(
            plane,
            [
                *("-m", "launcher.plane_cli", plane),
                *("--config", str(self.config)),
                *("--run-id", self.run_id),
                *("--state", str(self.state_directory)),
            ],
            self.log_path(plane),
        )


def new_run_id(kind: str) -> str:
    """A name that sorts by time and is not used twice."""
    return f"{kind}-{SystemClock().now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def plain_run_id(run_id: str | None) -> str | None:
    """``run_id`` when it can be part of file and topic names; raises `RunRefused` otherwise."""
    if run_id is not None and not _RUN_ID.fullmatch(run_id):
        raise RunRefused("--run-id must be 1 to 48 letters, digits, dots, dashes or underscores, and start plainly")
    return run_id


def check_window(settings: Settings, choice: KafkaChoice) -> None:
    """Refuse a source that may run farther ahead than the embedded broker keeps, as that drops what nobody has read.

    Raises:
        ConfigurationError: when ``data.pace.window`` is too wide for it.
    """
    pace = settings.data.pace
    windowed = pace.mode is not PaceMode.LOCKSTEP or settings.data.ibkr is not None
    if choice is KafkaChoice.EMBEDDED and windowed and pace.window > WIDEST_WINDOW:
        wrong = f"is more than the embedded broker surely keeps ({WIDEST_WINDOW:,} messages)"
        fix = f"set it to {WIDEST_WINDOW} or less, or use --kafka kafka"
        raise ConfigurationError([Problem("data.pace.window", "with --kafka embedded", wrong, fix)])


@contextmanager
def running_broker(
    choice: KafkaChoice, kafka: KafkaSettings, prefix: str, *, lasting: bool = False
) -> Iterator[KafkaSettings]:
    """A broker with every topic made under ``prefix``; yields how to reach it.

    Raises:
        BrokerUnavailable: when it cannot be started or reached.
    """
    if choice is KafkaChoice.EMBEDDED:
        with start_embedded_broker(prefix) as broker:
            yield kafka.model_copy(
                update={"bootstrap_servers": broker.bootstrap_servers, "topic_prefix": prefix, "embedded": True}
            )
    elif choice is KafkaChoice.KAFKA:
        with _apache_kafka(lasting) as bootstrap_servers:
            yield _with_topics(kafka, prefix, bootstrap_servers)
    else:
        yield _with_topics(kafka, prefix, kafka.bootstrap_servers)


@contextmanager
def _apache_kafka(lasting: bool) -> Iterator[str]:
    """The same broker as of `algotrade broker`; one that runs already is used and left running."""
    server = ApacheKafka(kafka_home() / "broker", lasting=lasting)
    was_running = server.pid is not None
    try:
        yield server.start()
    finally:
        if not was_running:
            server.stop()


def _with_topics(kafka: KafkaSettings, prefix: str, bootstrap_servers: str) -> KafkaSettings:
    own = kafka.model_copy(update={"bootstrap_servers": bootstrap_servers, "topic_prefix": prefix, "embedded": False})
    create_topics(own)
    return own


@contextmanager
def supervised(run: LocalRun, restart: bool, on_event: Callable[[str, str], None]) -> Iterator[Supervisor]:
    """Start the planes of ``run``; they are stopped on the way out."""
    environment = {
        "ALGOTRADE_KAFKA__BOOTSTRAP_SERVERS": run.kafka.bootstrap_servers,
        "ALGOTRADE_KAFKA__TOPIC_PREFIX": run.kafka.topic_prefix,
        "ALGOTRADE_KAFKA__EMBEDDED": str(run.kafka.embedded).lower(),
        "ALGOTRADE_ORDER__BROKER": run.settings.order.broker.value,
        # One thread each: three processes share the machine, and results must not depend on its cores.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        PARENT: str(os.getpid()),
    }
    with Supervisor(environment, restart, _FINAL, on_event) as supervisor:
        for plane in PLANES:
            run.start(supervisor, plane)
        yield supervisor
