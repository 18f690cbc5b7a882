"""The commands that run something and show how it goes: demo, backtest, up, report.

What only a running command needs is imported inside it: `--help` answers at once, and the planes start meanwhile.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.control import AlertSeverity, RiskAlert
from kernel.process import ExitCode
from launcher import progress
from launcher.endings import RunRefused, end, reported
from launcher.gateway_check import check_gateway
from launcher.kafka_options import console, errors, state_directory
from launcher.live import require_permission
from launcher.local import KafkaChoice, LocalRun, check_window, new_run_id, plain_run_id, running_broker, supervised
from launcher.running import announced, current
from launcher.settings import Settings, load_settings
from launcher.supervisor import Supervisor
from order_plane.settings import BrokerName

if TYPE_CHECKING:
    from backtest.artifacts import Digests
    from launcher.runs import Outcome

DEMO = Path("config/demo.yaml")
PAPER = Path("config/paper.yaml")
IBKR = Path("config/ibkr.yaml")

ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", help="The YAML file of the run.", envvar="ALGOTRADE_CONFIG")
]
Kafka = Annotated[
    KafkaChoice, typer.Option(help="Which Kafka: embedded, kafka (a local Apache Kafka) or given (its address is set).")
]
RunId = Annotated[str | None, typer.Option(help="Name of the run; a new one by default.")]


def demo(config: ConfigPath = DEMO, kafka: Kafka = KafkaChoice.EMBEDDED, run_id: RunId = None) -> None:
    """Trade the configured bars on paper over Kafka, then hold the run against its backtest.

    Exit code 1 when the two differ.
    """
    with reported():
        settings = _settings(config)
        name = _new_name(settings, run_id, "demo")
        _check_start(name, settings, kafka)
        with console.status("backtest: the same configuration in one process"):
            from launcher import runs  # noqa: PLC0415 - takes a second

            # First, and not beside the planes: the embedded broker drops what nobody collects meanwhile.
            expected = runs.run_backtest(settings, f"{name}-backtest", _state(name) / "backtest.parquet")
        console.print("backtest done; now the same over Kafka", style="dim")
        with (
            _local_run(name, config, settings, kafka, prefix=f"{name}.") as (run, supervisor),
            progress.shown(console, expected.bars) as show,
        ):
            outcome = runs.run_over_kafka(run, supervisor, show)
        _show(outcome)
        identical = _verdict(outcome.digests, expected.digests)
        _tell_report(outcome)
        if not identical:
            raise typer.Exit(ExitCode.FAILURE)


def backtest(
    config: ConfigPath = DEMO,
    run_id: RunId = None,
    trial: Annotated[
        bool, typer.Option(help="Write it into the ledger of trials; leave out only what nobody will choose by.")
    ] = True,
) -> None:
    """Run the three planes in one process, on a memory bus, and write the run with its report.

    It counts as a trial when `validate` judges whether the best of a family is luck.
    """
    with reported():
        settings = _settings(config)
        name = _new_name(settings, run_id, "backtest")
        with console.status("backtest: the three planes in one process"):
            from launcher.runs import run_backtest  # noqa: PLC0415 - takes a second

            outcome = run_backtest(settings, name, _state(name) / "bars.parquet")
        _show(outcome)
        fault = _write_down(settings, outcome) if trial else ""
        _tell_report(outcome)
        if fault:
            end(fault, ExitCode.FAILURE)


def up(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="The YAML file of the run; config/paper.yaml or config/ibkr.yaml by default.",
            envvar="ALGOTRADE_CONFIG",
        ),
    ] = None,
    broker: Annotated[
        BrokerName | None, typer.Option(help="Where orders go: paper (simulated here) or ibkr; else as configured.")
    ] = None,
    kafka: Kafka = KafkaChoice.EMBEDDED,
    run_id: Annotated[
        str | None, typer.Option(help="Name of the run; a new one on the embedded broker, else the same each time.")
    ] = None,
) -> None:
    """Start all planes and keep them running until Ctrl-C; a plane that crashes is started again.

    With --broker ibkr, orders and market data go through TWS or IB Gateway, or a simulator (algotrade ibkr-sim). On a
    Kafka that remembers, `up` goes on where it was stopped.
    """
    with reported():
        path = config or (IBKR if broker is BrokerName.IBKR else PAPER)
        settings = _settings(path, broker)
        check_gateway(settings)
        name = plain_run_id(run_id) or (new_run_id("up") if kafka is KafkaChoice.EMBEDDED else "up")
        _check_start(name, settings, kafka)
        prefix = f"{name}." if kafka is KafkaChoice.EMBEDDED else settings.kafka.topic_prefix
        with _local_run(name, path, settings, kafka, prefix, restart=True) as (run, supervisor):
            _tell_where(run)
            from launcher.runs import watch  # noqa: PLC0415 - takes a second, and the planes are starting

            with progress.shown(console, None) as show:
                watch(run, supervisor, show, _tell_alert)


def report(directory: Path) -> None:
    """Write the report of the run in ``directory`` and say whether its files are as they were written."""
    from backtest.artifacts import NotARun, load, verify  # noqa: PLC0415 - takes a second
    from backtest.report import write_report  # noqa: PLC0415
    from backtest.summary_view import render  # noqa: PLC0415

    with reported():
        try:
            changed = verify(directory)
            console.print(render(load(directory).summary))
        except NotARun as error:
            end(str(error), ExitCode.CONFIGURATION)
        _tell_findings(directory)
        for difference in changed:
            errors.print(f"not as it was written: {difference}", style="red", markup=False, soft_wrap=True)
        console.print(f"report: {write_report(directory)}", markup=False, soft_wrap=True)
        if changed:
            raise typer.Exit(ExitCode.FAILURE)


def _settings(config: Path, broker: BrokerName | None = None) -> Settings:
    """The configuration; one that asks for live trading is refused before anything is started."""
    overrides = None if broker is None else {"order.broker": broker.value}
    settings = load_settings(config, os.environ, overrides=overrides)
    require_permission(settings, os.environ)
    return settings


def _new_name(settings: Settings, run_id: str | None, kind: str) -> str:
    name = plain_run_id(run_id) or new_run_id(kind)
    for taken in (settings.run.directory / name, settings.run.directory / f"{name}-backtest", _state_of(name)):
        if taken.exists():
            raise RunRefused(f"{taken} exists and is not overwritten; choose another --run-id")
    return name


def _state_of(name: str) -> Path:
    return state_directory() / "runs" / name


def _state(name: str) -> Path:
    directory = _state_of(name)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _check_start(name: str, settings: Settings, choice: KafkaChoice) -> None:
    """Refuse what cannot run on this machine now, before anything of it is written, and name what runs already."""
    check_window(settings, choice)
    alive = current(state_directory())
    if alive is None:
        return
    if alive.run_id == name:
        raise RunRefused(f"the run {name} is alive (process {alive.pid}); stop it or choose another --run-id")
    other = f"the run {alive.run_id} (process {alive.pid}) goes on beside this one: commands in another terminal"
    errors.print(
        f"{other} mean this one; for that one give them --state {_state_of(alive.run_id)}, or "
        f"--bootstrap {alive.bootstrap_servers} --prefix {alive.topic_prefix}",
        style="yellow",
        markup=False,
        soft_wrap=True,
    )


@contextmanager
def _local_run(
    name: str, config: Path, settings: Settings, choice: KafkaChoice, prefix: str, restart: bool = False
) -> Iterator[tuple[LocalRun, Supervisor]]:
    """Broker and planes of a run, stopped on the way out, and found by commands in another terminal meanwhile."""
    with ExitStack() as stack:
        with console.status(f"starting Kafka ({choice.value})"):
            kafka = stack.enter_context(running_broker(choice, settings.kafka, prefix, lasting=restart))
        run = LocalRun(name, config, settings, kafka, _state(name))
        stack.enter_context(announced(state_directory(), name, kafka))
        supervisor = stack.enter_context(supervised(run, restart=restart, on_event=_tell))
        console.print(
            f"run {name}; Kafka at {kafka.bootstrap_servers}; logs in {run.state_directory}",
            style="dim",
            markup=False,
            soft_wrap=True,
        )
        try:
            yield run, supervisor
        except KeyboardInterrupt:
            console.print("stopping the planes and the broker", style="yellow")
            raise


def _tell_where(run: LocalRun) -> None:
    health = run.settings.run.health
    for plane in ("data", "strategy", "order"):
        port = getattr(health, f"{plane}_port")
        place = (
            f"http://{health.host}:{port}/health  /ready  /metrics" if port else "on a free port; its log says which"
        )
        console.print(f"{plane:8} {place}", markup=False, soft_wrap=True)
    console.print("in another terminal: algotrade kill status, kill on, orders list, dlq list")
    console.print("Ctrl-C stops all")


def _show(outcome: "Outcome") -> None:
    """The summary, and where the rows are that were refused."""
    from backtest.artifacts import load  # noqa: PLC0415 - loaded by the run already
    from backtest.summary_view import render  # noqa: PLC0415

    console.print(render(load(outcome.directory).summary))
    _tell_findings(outcome.directory)


def _tell_report(outcome: "Outcome") -> None:
    from backtest.report import write_report  # noqa: PLC0415 - takes a second

    console.print(f"report: {write_report(outcome.directory)}", markup=False, soft_wrap=True)


def _write_down(settings: Settings, outcome: "Outcome") -> str:
    """Count the run among the trials, and say how many there are; returns why it could not be, if so."""
    from backtest.artifacts import load  # noqa: PLC0415 - loaded by the run already
    from launcher.tried import family_of, ledger_of, write_down  # noqa: PLC0415
    from strategy_plane.validation.trial_ledger import LedgerTampered  # noqa: PLC0415

    try:
        count = write_down(settings, load(outcome.directory), outcome.data_hash)
    except LedgerTampered as error:
        return str(error)
    said = f"trials of {family_of(settings)} written down so far: {count} ({ledger_of(settings)})"
    console.print(said, style="dim", markup=False, soft_wrap=True)
    return ""


def _tell_findings(directory: Path) -> None:
    from data_plane.store import QUARANTINE  # noqa: PLC0415 - loaded by the run already

    if (directory / QUARANTINE).exists():
        where = f"source rows refused or noted, with file, line and reason: {directory / QUARANTINE}"
        console.print(where, markup=False, soft_wrap=True)


def _verdict(kafka: "Digests", memory: "Digests") -> bool:
    differing = [name for name in ("orders", "fills", "equity") if getattr(kafka, name) != getattr(memory, name)]
    if differing:
        errors.print(
            f"NOT IDENTICAL: the Kafka run and the in-memory backtest differ in {', '.join(differing)}",
            style="bold red",
            soft_wrap=True,
        )
        return False
    console.print(
        f"identical: the Kafka run and the in-memory backtest; SHA-256 of orders {kafka.orders[:12]}, "
        f"fills {kafka.fills[:12]}, equity {kafka.equity[:12]}",
        style="bold green",
        soft_wrap=True,
    )
    return True


def _tell_alert(alert: RiskAlert) -> None:
    symbol = f" {alert.symbol}" if alert.symbol else ""
    style = "bold red" if alert.severity is AlertSeverity.CRITICAL else "green"
    console.print(f"{alert.code}{symbol}: {alert.detail}", style=style, markup=False, soft_wrap=True)


def _tell(plane: str, event: str) -> None:
    console.print(f"{plane}: {event}", style="yellow", markup=False)
