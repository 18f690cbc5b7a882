"""The order plane as a process over Kafka."""

from pathlib import Path
from threading import Event

from contracts.control import RiskAlert
from contracts.trading import ExecutionReport
from kernel.kafka_bus import KafkaBus
from kernel.kafka_settings import KafkaSettings
from kernel.plane import Runtime, serve
from order_plane.composition import build_stage
from order_plane.gates import LiveTradingRefused
from order_plane.settings import Mode, OrderSettings


def run(settings: OrderSettings, kafka: KafkaSettings, runtime: Runtime, stop: Event) -> None:
    """Trade until ``stop`` is set.

    What the journal and the broker know is settled before the first intent is read.

    Raises:
        LiveTradingRefused: in mode live, naming the gates that are shut.
        JournalError: when the journal cannot be trusted.
    """
    if kafka.embedded and settings.mode is Mode.LIVE:
        raise LiveTradingRefused("mode live is refused on the embedded broker, which forgets; use a real Apache Kafka")
    stage = build_stage(_placed(settings, runtime.state_directory))
    try:
        opening = stage.recover()
        with KafkaBus(kafka, runtime.plane.value, stage.handlers, [ExecutionReport, RiskAlert]) as bus:
            serve(stage, bus, runtime, stop, opening)
    finally:
        stage.close()


def _placed(settings: OrderSettings, directory: Path) -> OrderSettings:
    """Relative paths belong to the directory of the run."""
    return settings.model_copy(
        update={
            "journal_path": directory / settings.journal_path,
            "paper_store_path": directory / settings.paper_store_path,
        }
    )
