"""Run one plane as a process, for a supervisor or a container."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from threading import Event
from types import MappingProxyType
from typing import Annotated

import typer

from contracts.control import PlaneName
from data_plane.connectors.layout import UnreadableSourceError
from data_plane.feed import SourceChanged
from ibkr_client.gateway_errors import GatewayRefused, GatewayUnavailable
from kernel import log, process
from kernel.audit_log import AuditBroken
from kernel.flow import ConsumersStalled
from kernel.kafka_errors import (
    BrokerUnavailable,
    CommitFailed,
    ConsumptionFailed,
    HistoryLost,
    LogBroken,
    OffsetLost,
    StateBehind,
    TopicMismatch,
)
from kernel.plane import Runtime
from kernel.process import ExitCode
from kernel.settings import secret_values
from launcher.live import require_permission
from launcher.settings import Settings, load_settings
from order_plane.brokers.port import BrokerUnavailable as VenueUnavailable
from order_plane.gates import LiveTradingRefused
from order_plane.journals.port import JournalError, JournalUnavailable
from strategy_plane.own_code import OwnCodeRefused

PARENT = "ALGOTRADE_PARENT_PID"
"""Variable with the process id of a supervisor without which the plane is to end."""
_EXPECTED: Mapping[type[Exception], ExitCode] = MappingProxyType(
    {
        BrokerUnavailable: ExitCode.BROKER_UNAVAILABLE,
        TopicMismatch: ExitCode.BROKER_UNAVAILABLE,
        ConsumptionFailed: ExitCode.BROKER_UNAVAILABLE,
        CommitFailed: ExitCode.BROKER_UNAVAILABLE,
        OffsetLost: ExitCode.BROKER_UNAVAILABLE,
        HistoryLost: ExitCode.BROKER_UNAVAILABLE,
        StateBehind: ExitCode.BROKER_UNAVAILABLE,
        ConsumersStalled: ExitCode.FAILURE,
        LogBroken: ExitCode.JOURNAL_REFUSED,
        JournalError: ExitCode.JOURNAL_REFUSED,
        JournalUnavailable: ExitCode.JOURNAL_UNAVAILABLE,
        AuditBroken: ExitCode.JOURNAL_REFUSED,
        LiveTradingRefused: ExitCode.LIVE_GATE_SHUT,
        FileNotFoundError: ExitCode.CONFIGURATION,
        UnreadableSourceError: ExitCode.CONFIGURATION,
        OwnCodeRefused: ExitCode.CONFIGURATION,
        SourceChanged: ExitCode.CONFIGURATION,
        GatewayRefused: ExitCode.CONFIGURATION,
        GatewayUnavailable: ExitCode.GATEWAY_UNAVAILABLE,
        VenueUnavailable: ExitCode.GATEWAY_UNAVAILABLE,
    }
)


def plane(
    name: Annotated[PlaneName, typer.Argument(help="Which plane.")],
    config: Annotated[Path, typer.Option(help="The YAML file of the run.", envvar="ALGOTRADE_CONFIG")],
    run_id: Annotated[str, typer.Option(help="Names the run in logs and markers.")] = "run",
    state: Annotated[Path, typer.Option(help="Where the plane keeps what must outlive it.")] = Path(".algotrade/state"),
    secrets: Annotated[Path | None, typer.Option(help="Directory of secret files, one for each variable.")] = None,
) -> None:
    """Run one plane until SIGTERM; the exit code says how it ended."""
    if parent := os.environ.get(PARENT):
        process.die_with_parent(int(parent))
    raise typer.Exit(process.run(lambda stop: _run(name, config, run_id, state, secrets, stop), _EXPECTED))


def _run(name: PlaneName, config: Path, run_id: str, state: Path, secrets: Path | None, stop: Event) -> None:
    settings = load_settings(config, os.environ, secrets_dir=secrets)
    require_permission(settings, os.environ)
    log.configure(
        name.value,
        run_id,
        format=settings.run.log_format,
        level=settings.run.log_level,
        secrets=secret_values(settings),
    )
    state.mkdir(parents=True, exist_ok=True)
    runtime = Runtime(
        plane=name,
        run_id=run_id,
        state_directory=state,
        heartbeat_seconds=settings.run.heartbeat_seconds,
        host=settings.run.health.host,
        port=getattr(settings.run.health, f"{name.value}_port"),
        record=settings.run.record,
    )
    _start(name, settings, runtime, stop)


def _start(name: PlaneName, settings: Settings, runtime: Runtime, stop: Event) -> None:
    # Each process imports its own plane only: an optimizer has no business in the order plane's memory.
    if name is PlaneName.DATA:
        from data_plane import app as data  # noqa: PLC0415
        from launcher.gateway_check import unwelcome  # noqa: PLC0415
        from launcher.progress import terminal_backfill  # noqa: PLC0415

        with terminal_backfill() as fetching:
            data.run(settings.data, settings.kafka, runtime, stop, fetching, partial(unwelcome, settings.order))
    elif name is PlaneName.STRATEGY:
        from strategy_plane import app as strategy  # noqa: PLC0415

        strategy.run(settings.strategy, settings.kafka, runtime, stop)
    else:
        from order_plane import app as order  # noqa: PLC0415

        order.run(settings.order, settings.kafka, runtime, stop)


def main() -> None:
    """Run one plane without loading what only the other commands need: a plane starts seconds sooner."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(plane)
    app()


if __name__ == "__main__":
    main()
