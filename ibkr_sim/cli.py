"""The command line of the simulator."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Annotated

import typer

from ibkr_sim.command import SYMBOLS, InvalidOptionError, Options, serve
from ibkr_sim.data_desk import DataRules
from ibkr_sim.faults import FaultScriptError
from ibkr_sim.gateway import NEWEST_VERSION, OLDEST_VERSION, GatewayRules
from ibkr_sim.order_book import Venue
from ibkr_sim.order_checks import Rules
from ibkr_sim.order_desk import DeskRules
from ibkr_sim.tape import UnreadableBarsError

_USAGE = 2
_MILLISECONDS = 1e-3
_CONTROL_SECONDS = 5.0

app = typer.Typer(name="ibkr-sim", invoke_without_command=True)

Seconds = Annotated[float, typer.Option(min=0)]


@app.callback()
def ibkr_sim(  # noqa: PLR0913, PLR0917 - each parameter is an option of the command line
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, help="API port on the loopback; 0 takes a free one.")] = 4002,
    seed: Annotated[int, typer.Option(min=0, help="Decides prices, quotes and ids.")] = 0,
    account: Annotated[
        list[str] | None, typer.Option(help="Account name, DU... for paper, U... for live; may be repeated.")
    ] = None,
    cash: Annotated[float, typer.Option(min=0, help="Dollars in each account.")] = 1_000_000.0,
    bars: Annotated[list[Path] | None, typer.Option(help="Parquet file of bars; may be repeated.")] = None,
    symbol: Annotated[
        list[str] | None, typer.Option(help="Symbol of the made-up market, without --bars; may be repeated.")
    ] = None,
    start: Annotated[str, typer.Option(help="Where the market begins: a time, or 'now' to play the bars today.")] = "",
    speed: Annotated[float, typer.Option(min=0.001, max=100_000, help="Market seconds in a second.")] = 1.0,
    stepped: Annotated[
        bool, typer.Option(help='Time stands still until {"go": SECONDS} comes on the control port.')
    ] = False,
    faults: Annotated[Path | None, typer.Option(help="YAML file of faults.")] = None,
    control_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port for faults by JSON lines; 0 takes a free one.")
    ] = None,
    latency_ms: Annotated[float, typer.Option(min=0, help="How long an order needs to the exchange.")] = 0.0,
    cancel_latency_ms: Annotated[float, typer.Option(min=0, help="How long a cancellation needs.")] = 0.0,
    depth: Annotated[float, typer.Option(min=0.01, help="Multiplies displayed sizes; more means whole fills.")] = 1.0,
    largest_fill: Annotated[float, typer.Option(min=0, help="Most shares of one execution; 0: any.")] = 0.0,
    market_data: Annotated[str, typer.Option(help="Subscriptions: live, delayed or none.")] = "live",
    message_rate: Annotated[int, typer.Option(min=0, help="Messages a client may send a second; 0: any.")] = 50,
    history_pacing: Annotated[
        bool, typer.Option(help="Enforce the pacing of historical bars up to 30 seconds.")
    ] = True,
    active_orders: Annotated[int, typer.Option(min=0, help="Per contract, side and account; 0: any.")] = 20,
    largest_order: Annotated[
        float, typer.Option(min=0, help="Shares above which error 383 comes; 0: any.")
    ] = 500_000.0,
    price_band: Annotated[float, typer.Option(min=0, help="Share off the market that brings error 109; 0: any.")] = 0.0,
    fractional: Annotated[bool, typer.Option(help="Allow fractional shares.")] = False,
    read_only: Annotated[bool, typer.Option(help="Refuse orders, as a read-only API does.")] = False,
    master_client: Annotated[int, typer.Option(help="Client id that is told of all orders; -1: none.")] = -1,
    server_version: Annotated[
        int, typer.Option(min=OLDEST_VERSION, max=NEWEST_VERSION, help="Newest protocol version to agree on.")
    ] = NEWEST_VERSION,
) -> None:
    """Simulate Interactive Brokers' TWS or Gateway: its socket protocol, a market, accounts and faults."""
    if context.invoked_subcommand is not None:
        return
    if market_data not in ("live", "delayed", "none"):
        raise typer.BadParameter("use live, delayed or none", param_hint="--market-data")
    checks = Rules(read_only=read_only, largest_order=largest_order, price_band=price_band)
    latencies = latency_ms * _MILLISECONDS, cancel_latency_ms * _MILLISECONDS
    rules = GatewayRules(
        seed=seed,
        cash=cash,
        server_version=server_version,
        message_rate=message_rate,
        history_pacing=history_pacing,
        time_pacing=not stepped,
        master_client=master_client,
        orders=DeskRules(checks, Venue(depth, largest_fill), *latencies, active_orders),
        data=DataRules(market_data),
    )
    options = Options(
        port,
        control_port,
        tuple(account or ["DU1234567"]),
        tuple(bars or ()),
        tuple(symbol or SYMBOLS),
        start,
        speed,
        faults,
        0.0001 if fractional else 1.0,
        rules,
        stepped,
    )
    try:
        asyncio.run(serve(options, _say))
    except (InvalidOptionError, UnreadableBarsError, FaultScriptError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(_USAGE) from None
    except OSError as error:
        typer.echo(f"cannot listen on port {port}: {error.strerror or error}; choose another --port", err=True)
        raise typer.Exit(1) from None


@app.command()
def fault(
    fault: Annotated[str, typer.Argument(help='JSON: a fault, a list of faults, {"show": "state"} or {"go": 60}.')],
    control_port: Annotated[int, typer.Option(min=1, max=65535, help="As the simulator was given it.")] = 7000,
) -> None:
    """Have a simulator that runs commit a fault, and show its answer."""
    try:
        answer = _asked(fault, control_port)
        done = json.loads(answer)["ok"]
    except (OSError, ValueError) as error:
        start = f"start one: algotrade ibkr-sim --control-port {control_port}"
        typer.echo(f"no simulator answers on port {control_port} ({error}); {start}", err=True)
        raise typer.Exit(1) from None
    typer.echo(answer)
    if not done:
        raise typer.Exit(_USAGE)


def _asked(text: str, port: int) -> str:
    """What the simulator answers to one line; raises OSError when nobody does."""
    with socket.create_connection(("127.0.0.1", port), _CONTROL_SECONDS) as link, link.makefile("rw") as lines:
        lines.write(" ".join(text.splitlines()) + "\n")
        lines.flush()
        answer: str = lines.readline().strip()
    if not answer:
        raise ConnectionResetError("it hung up")
    return answer


def _say(port: int, control_port: int | None, market: str) -> None:
    control = "" if control_port is None else f", control on 127.0.0.1:{control_port}"
    typer.echo(f"ibkr-sim listens on 127.0.0.1:{port}{control}, market {market}")
