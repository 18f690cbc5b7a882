"""The ``algotrade`` command."""

import json
import logging
import os
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
import yaml
from pydantic import JsonValue
from rich.console import Console

from contracts import schema_export
from ibkr_sim import cli as ibkr_sim
from kernel.settings import ConfigurationError, resolved
from launcher import (
    audit_cli,
    broker_cli,
    dlq_cli,
    gates_cli,
    kill_cli,
    open_orders_cli,
    orders_cli,
    plane_cli,
    plans_cli,
    postgres_cli,
    release_cli,
    rollback_cli,
    run_cli,
    signals_cli,
    strategies_cli,
    take_over_cli,
    topics_cli,
    validate_cli,
)
from launcher.kafka_options import NOTHING, USAGE, reported
from launcher.order_journal import Operator, Reason
from launcher.order_socket import State, socket_of
from launcher.settings import load_settings
from order_plane.command_channel import CommandRefused, NobodyListens, ask

app = typer.Typer(
    name="algotrade",
    help="Trade your own systematic strategies: three planes over Kafka, the same code in backtest, paper and live.",
    epilog="What each exit code means, and what to do: docs/runbook.md, Exit codes.",
    no_args_is_help=True,
    rich_markup_mode="markdown",  # wraps the paragraphs of a help text as wide as the terminal is
    pretty_exceptions_show_locals=False,  # locals may hold secrets
)
schemas = typer.Typer(help="The JSON Schemas of the messages.", no_args_is_help=True)
limits = typer.Typer(help="The limits of the order plane.", no_args_is_help=True)
config = typer.Typer(help="The configuration.", no_args_is_help=True)
app.add_typer(topics_cli.app)
app.add_typer(dlq_cli.app)
app.add_typer(broker_cli.app)
app.add_typer(postgres_cli.app)
orders_cli.app.command("list")(open_orders_cli.list_orders)
orders_cli.app.command()(open_orders_cli.cancel)
orders_cli.app.command(
    epilog='Example: `algotrade orders replace 1f0c2d3e --quantity 40 --operator ann --reason "half is enough"`'
)(open_orders_cli.replace)
orders_cli.app.command(
    "book-fill",
    epilog="Example: `algotrade orders book-fill 1f0c2d3e --fill 0000e0d5.5f0b1c2d.01.01 --quantity 40 --price 101.5 "
    '--at 2026-03-02T15:31:00Z --operator ann --reason "in the trade log of Monday"`',
)(open_orders_cli.book_fill)
orders_cli.app.command("take-over")(take_over_cli.take_over)
orders_cli.app.command("release-symbol")(release_cli.release_symbol)
app.add_typer(orders_cli.app)
app.add_typer(plans_cli.app)
app.add_typer(kill_cli.app)
app.add_typer(rollback_cli.app)
app.add_typer(audit_cli.app)
app.add_typer(gates_cli.app)
app.add_typer(strategies_cli.app)
app.add_typer(ibkr_sim.app)
app.add_typer(schemas, name="schemas")
app.add_typer(limits, name="limits")
app.add_typer(config, name="config")
app.command()(run_cli.demo)
app.command()(run_cli.backtest)
app.command()(run_cli.up)
app.command()(validate_cli.validate)
app.command()(plane_cli.plane)
app.command()(signals_cli.signals)

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
SchemaDirectory = Annotated[Path, typer.Option(help="Directory of the schemas.")]
_SCHEMAS = schema_export.SCHEMAS
_BASELINE = schema_export.RELEASED.name


def _version(wanted: bool) -> None:
    if wanted:
        console.print(version("algo-trade"))
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """Options of every command."""


@schemas.command("export")
def export_schemas(
    directory: SchemaDirectory = _SCHEMAS,
    release: Annotated[
        bool, typer.Option("--release", help="Make them the baseline that later changes are held against, too.")
    ] = False,
) -> None:
    """Write the schemas that follow from the contracts. Exit code 1 when a release would break its predecessor."""
    try:
        paths = schema_export.release(directory) if release else schema_export.export(directory)
    except schema_export.IncompatibleChange as error:
        for change in error.changes:
            errors.print(change, style="red", markup=False, soft_wrap=True)
        raise typer.Exit(NOTHING) from None
    for path in paths:
        console.print(path, markup=False, soft_wrap=True)


@schemas.command("check")
def check_schemas(directory: SchemaDirectory = _SCHEMAS) -> None:
    """Hold the committed schemas against the contracts, and against the last release. Exit code 1 when they differ."""
    found = [*schema_export.check(directory), *schema_export.check_compatibility(directory, directory / _BASELINE)]
    for problem in found:
        errors.print(problem, style="red", markup=False, soft_wrap=True)
    if found:
        raise typer.Exit(NOTHING)
    console.print("schemas match the contracts and are compatible with the last release")


@limits.command("reload")
def reload_limits(
    operator: Operator,
    reason: Reason,
    path: Annotated[
        Path, typer.Option("--config", "-c", help="The YAML file.", envvar="ALGOTRADE_CONFIG")
    ] = run_cli.DEMO,
    state: State = None,
) -> None:
    """Hand order.limits to the order plane that runs here, which writes down who changed what.

    Exit code 1 when a limit would become looser.
    """
    try:
        with reported():
            limit = load_settings(path, os.environ).order.limits
        fields: dict[str, JsonValue] = {"limits": limit.model_dump(mode="json"), "operator": operator, "reason": reason}
        answer = ask(socket_of(state), "limits", fields)
    except (CommandRefused, NobodyListens) as error:
        errors.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(NOTHING if isinstance(error, CommandRefused) else USAGE) from None
    changed = answer.get("changed")
    names = ", ".join(map(str, changed)) if isinstance(changed, list) else ""
    console.print(f"the limits are in force; changed: {names or 'none'}", markup=False)


@limits.command("forget")
def forget_limits(operator: Operator, reason: Reason, state: State = None) -> None:
    """Let the next start of the order plane go by its configuration again; until then the limits stay as they are."""
    try:
        ask(socket_of(state), "limits", {"forget": True, "operator": operator, "reason": reason})
    except (CommandRefused, NobodyListens) as error:
        errors.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(NOTHING if isinstance(error, CommandRefused) else USAGE) from None
    console.print("the next start of the order plane goes by its configuration")


@config.command("show")
def show_config(
    path: Annotated[
        Path, typer.Option("--config", "-c", help="The YAML file.", envvar="ALGOTRADE_CONFIG")
    ] = run_cli.DEMO,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of YAML.")] = False,
) -> None:
    """Show every setting as a run would see it: file, variables and defaults resolved, secrets masked."""
    try:
        settings = resolved(load_settings(path, os.environ))
    except ConfigurationError as error:
        for problem in error.problems:
            errors.print(str(problem), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(USAGE) from None
    if as_json:
        typer.echo(json.dumps(settings, indent=2))
    else:
        typer.echo(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="A run directory, or the name of a run.")],
    runs: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("runs"),
) -> None:
    """Write the HTML report of a run and check its files against their hashes. Exit code 1 when a file was changed."""
    run_cli.report(Path(run) if Path(run).is_dir() else runs / run)


def main() -> None:
    """Run the command line; what goes wrong is said by the command, so the client library's log is not."""
    logging.basicConfig(handlers=[logging.NullHandler()])
    app()


if __name__ == "__main__":
    main()
