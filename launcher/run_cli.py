"""The commands that run something and show how it goes: demo, backtest, up, report."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from backtest.artifacts import Digests, NotARun, RunExists, load, run_directory, verify
from backtest.report import write_report
from backtest.run_record import RunRecord
from backtest.summary import render
from kernel.flow import ConsumersStalled
from kernel.kafka_errors import BrokerUnavailable, TopicMismatch
from kernel.process import ExitCode
from kernel.settings import ConfigurationError
from launcher.apache_kafka import BrokerSetupError
from launcher.collector import Collector
from launcher.kafka_options import state_directory
from launcher.local import BrokerChoice, LocalRun, new_run_id, running_broker, supervised
from launcher.runs import Outcome, RunIncomplete, run_backtest, run_over_kafka
from launcher.settings import Settings, load_settings
from launcher.supervisor import ChildFailed

DEMO = Path("config/demo.yaml")
PAPER = Path("config/paper.yaml")
_UP_SECONDS = 0.5

ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", help="The YAML file of the run.", envvar="ALGOTRADE_CONFIG")
]
Broker = Annotated[
    BrokerChoice, typer.Option(help="embedded, kafka (a local Apache Kafka) or given (kafka.bootstrap_servers).")
]

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def demo(
    config: ConfigPath = DEMO,
    broker: Broker = BrokerChoice.EMBEDDED,
    run_id: Annotated[str | None, typer.Option(help="Name of the run; a new one by default.")] = None,
) -> None:
    """Trade the configured bars on paper over Kafka, then hold the run against its backtest.

    Exit code 1 when the two differ.
    """
    with _reported():
        settings = load_settings(config, os.environ)
        name = run_id or new_run_id("demo")
        run_directory(settings.run.directory, name)
        expected = _show_backtest(settings, f"{name}-backtest")
        outcome = _show_kafka_run(settings, config, name, broker, _bars_of(expected))
        _show(outcome)
        _verdict(outcome.digests, expected.digests)


def backtest(
    config: ConfigPath = DEMO,
    run_id: Annotated[str | None, typer.Option(help="Name of the run; a new one by default.")] = None,
) -> None:
    """Run the three planes in one process, on a memory bus, and write the run with its report."""
    with _reported():
        settings = load_settings(config, os.environ)
        _show(_show_backtest(settings, run_id or new_run_id("backtest")))


def up(
    config: ConfigPath = PAPER,
    broker: Broker = BrokerChoice.EMBEDDED,
    run_id: Annotated[str | None, typer.Option(help="Name of the run; a new one by default.")] = None,
) -> None:
    """Start all planes and keep them running until Ctrl-C; a plane that crashes is started again."""
    with _reported():
        settings = load_settings(config, os.environ)
        name = run_id or new_run_id("up")
        state = state_directory() / "runs" / name
        with running_broker(broker, settings.kafka, settings.kafka.topic_prefix) as kafka:
            run = LocalRun(name, config, settings, kafka, state)
            record = RunRecord(settings.strategy.initial_cash)
            console.print(f"run {name}; Kafka at {kafka.bootstrap_servers}; logs in {state}", markup=False)
            console.print(
                f"in another terminal: algotrade dlq list --bootstrap {kafka.bootstrap_servers}", markup=False
            )
            with (
                Collector(kafka, record) as collector,
                supervised(run, restart=True, on_event=_tell) as supervisor,
                _progress(None) as (progress, task),
            ):
                while True:
                    collector.collect(_UP_SECONDS)
                    supervisor.check()
                    _advance(progress, task, record, collector)


def report(directory: Path) -> None:
    """Write the report of the run in ``directory`` and say whether its files are as they were written."""
    with _reported():
        changed = verify(directory)
        console.print(render(load(directory).summary))
        console.print(f"report: {write_report(directory)}", markup=False, soft_wrap=True)
        for difference in changed:
            errors.print(f"not as it was written: {difference}", style="red", markup=False)
        if changed:
            raise typer.Exit(ExitCode.FAILURE)


def _show_backtest(settings: Settings, name: str) -> Outcome:
    work = state_directory() / "runs" / name
    work.mkdir(parents=True, exist_ok=True)
    with console.status("backtest: the three planes in one process"):
        outcome = run_backtest(settings, name, work / "bars.parquet")
    console.print("backtest done", style="dim")
    return outcome


def _show_kafka_run(settings: Settings, config: Path, name: str, broker: BrokerChoice, bars: int) -> Outcome:
    state = state_directory() / "runs" / name
    state.mkdir(parents=True, exist_ok=True)
    with console.status(f"starting Kafka ({broker.value})"):
        context = running_broker(broker, settings.kafka, f"{name}.")
        kafka = context.__enter__()
    try:
        console.print(f"Kafka at {kafka.bootstrap_servers}; logs in {state}", style="dim", markup=False)
        run = LocalRun(name, config, settings, kafka, state)
        with _progress(bars) as (progress, task):
            return run_over_kafka(run, lambda record, now: _advance(progress, task, record, now), _tell)
    finally:
        context.__exit__(None, None, None)


def _show(outcome: Outcome) -> None:
    console.print(render(load(outcome.directory).summary))
    console.print(f"run:    {outcome.directory}", markup=False, soft_wrap=True)
    console.print(f"report: {write_report(outcome.directory)}", markup=False, soft_wrap=True)


def _verdict(kafka: Digests, memory: Digests) -> None:
    differing = [name for name in ("orders", "fills", "equity") if getattr(kafka, name) != getattr(memory, name)]
    if differing:
        errors.print(
            f"NOT IDENTICAL: the Kafka run and the in-memory backtest differ in {', '.join(differing)}",
            style="bold red",
        )
        raise typer.Exit(ExitCode.FAILURE)
    console.print(
        "identical: the Kafka run and the in-memory backtest have the same orders "
        f"(sha256 {kafka.orders[:12]}), fills ({kafka.fills[:12]}) and equity ({kafka.equity[:12]})",
        style="bold green",
        soft_wrap=True,
    )


def _bars_of(outcome: Outcome) -> int:
    counts = load(outcome.directory).summary["counts"]
    assert isinstance(counts, dict)  # noqa: S101 - written by this program a moment ago
    return int(str(counts["bars"]))


@contextmanager
def _progress(total: int | None) -> Iterator[tuple[Progress, TaskID]]:
    columns = (
        TextColumn("{task.completed:,.0f} bars"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[intents]:,} intents  {task.fields[reports]:,} reports"),
        TextColumn("{task.fields[dead]} dead letters", style="yellow"),
        TextColumn("equity {task.fields[equity]:,.0f}", style="bold"),
        TimeElapsedColumn() if total is None else TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console) as progress:
        yield progress, progress.add_task("", total=total, intents=0, reports=0, dead=0, equity=0.0)


def _advance(progress: Progress, task: TaskID, record: RunRecord, collector: Collector) -> None:
    counts = record.counts
    progress.update(
        task,
        completed=counts["bars"],
        intents=counts["intents"],
        reports=counts["reports"],
        dead=collector.dead_letters.total(),
        equity=record.equity,
    )


def _tell(plane: str, event: str) -> None:
    console.print(f"{plane}: {event}", style="yellow", markup=False)


@contextmanager
def _reported() -> Iterator[None]:
    """End with one readable line and an exit code; SIGTERM ends a run as cleanly as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except ConfigurationError as error:
        _end("\n".join(map(str, error.problems)), ExitCode.CONFIGURATION)
    except (RunExists, FileNotFoundError, NotARun) as error:
        _end(str(error), ExitCode.CONFIGURATION)
    except (BrokerUnavailable, TopicMismatch, BrokerSetupError) as error:
        _end(str(error), ExitCode.BROKER_UNAVAILABLE)
    except (ChildFailed, RunIncomplete, ConsumersStalled) as error:
        _end(str(error), ExitCode.FAILURE)
    except KeyboardInterrupt:
        _end("stopped", ExitCode.INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _end(text: str, code: ExitCode) -> NoReturn:
    errors.print(text, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(code)
