"""Bring trading back to nothing, step by step; every step may be repeated, shown first, and ends with a verdict."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from pydantic import JsonValue

from contracts.control import KillAction
from kernel.clock import SystemClock, monotonic
from launcher.kafka_options import NOTHING, console, errors, state_directory
from launcher.kill_cli import Operator, Reason, send, the_command
from launcher.order_socket import State, socket_of
from launcher.running import current
from order_plane.command_channel import Answer, CommandRefused, NobodyListens, ask

app = typer.Typer(
    name="rollback", help="Cancel, flatten, disconnect, verify, report: alone, or in order.", no_args_is_help=True
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Wait = Annotated[float, typer.Option(help="Seconds a step may take to come true.", min=0.0, max=600.0)]
Output = Annotated[Path | None, typer.Option(help="File of the report; default: shown only.")]
_PAUSE = Event()


@app.command("cancel-all")
def cancel_all(
    operator: Operator, reason: Reason, dry_run: DryRun = False, wait: Wait = 10.0, state: State = None
) -> None:
    """Stop new orders and cancel every open one."""
    _verdict("cancel-all", _kill(KillAction.HALT, operator, reason, dry_run, wait, state, _no_orders))


@app.command()
def flatten(
    operator: Operator, reason: Reason, dry_run: DryRun = False, wait: Wait = 60.0, state: State = None
) -> None:
    """Close every position at the market; waits until nothing is held."""
    _verdict("flatten", _kill(KillAction.HALT_AND_FLATTEN, operator, reason, dry_run, wait, state, _flat))


@app.command()
def disconnect(dry_run: DryRun = False, wait: Wait = 30.0, state: State = None) -> None:
    """End the local run, and with it the order plane's connection to the broker; the kill switch stays latched."""
    _verdict("disconnect", _disconnect(dry_run, wait, state))


@app.command()
def verify(state: State = None) -> None:
    """Hold what the order plane says against nothing open, nothing held, nothing in doubt, and a latched switch."""
    _verdict("verify", _verify(_status(state)))


@app.command()
def report(output: Output = None, state: State = None) -> None:
    """Write what the order plane knows as JSON."""
    _verdict("report", _report(output, state))


@app.command()
def run(
    operator: Operator,
    reason: Reason,
    dry_run: DryRun = False,
    wait: Wait = 60.0,
    output: Output = None,
    state: State = None,
) -> None:
    """Everything in order: cancel-all, flatten, verify, report, disconnect; goes on after a step that failed."""
    steps: dict[str, Callable[[], str | None]] = {
        "cancel-all": lambda: _kill(KillAction.HALT, operator, reason, dry_run, min(wait, 10.0), state, _no_orders),
        "flatten": lambda: _kill(KillAction.HALT_AND_FLATTEN, operator, reason, dry_run, wait, state, _flat),
        "verify": lambda: None if dry_run else _verify(_status(state)),
        "report": lambda: None if dry_run else _report(output, state),
        "disconnect": lambda: _disconnect(dry_run, min(wait, 30.0), state),
    }
    failed = [name for name, step in steps.items() if not _told(name, step())]
    if failed:
        _verdict("run", f"failed: {', '.join(failed)}")
    _verdict("run", None)


def _kill(
    action: KillAction,
    operator: str,
    reason: str,
    dry_run: bool,
    wait: float,
    state: Path | None,
    problem: Callable[[Answer], str | None],
) -> str | None:
    """Engage the global switch with ``action`` unless it is, and wait for ``problem`` to vanish."""
    status = _status(state)
    if status is None:
        return "no order plane listens here; its orders, if any, must be looked after at the broker"
    engaged = any(isinstance(each, dict) and _is_enough(each, action) for each in _list(status, "switches"))
    if dry_run:
        held = status["positions"]
        console.print(f"would act on {status['open_orders']} open orders; positions {json.dumps(held)}", markup=False)
        return None
    try:
        if not engaged:
            send(the_command(operator, reason, action), socket_of(state), None)
    except (CommandRefused, NobodyListens) as error:
        return str(error)
    until = monotonic() + wait
    found = problem(_status(state) or status)
    while found is not None and monotonic() < until:
        _PAUSE.wait(0.05)
        found = problem(_status(state) or status)
    return found


def _is_enough(switch: dict[str, JsonValue], action: KillAction) -> bool:
    enough = (action.value, KillAction.HALT_AND_FLATTEN.value)
    return switch.get("scope") == "GLOBAL" and (action is KillAction.HALT or switch.get("action") in enough)


def _disconnect(dry_run: bool, wait: float, state: Path | None) -> str | None:
    running = current(state_directory())
    if running is None:
        return None if _status(state) is None else "an order plane listens that no local run started; end it there"
    if dry_run:
        console.print(f"would end the run {running.run_id}, process {running.pid}", markup=False)
        return None
    os.kill(running.pid, signal.SIGTERM)
    until = monotonic() + wait
    while running.alive and monotonic() < until:
        _PAUSE.wait(0.1)
    return f"process {running.pid} still runs" if running.alive else None


def _verify(status: Answer | None) -> str | None:
    if status is None:
        return "no order plane listens here, so nothing can be verified"
    found = [_no_orders(status), _flat(status), None if status["killed"] else "no kill switch is engaged"]
    return "; ".join(dict.fromkeys(each for each in found if each is not None)) or None


def _report(output: Path | None, state: Path | None) -> str | None:
    status = _status(state)
    text = json.dumps({"at": SystemClock().now().isoformat(), "order_plane": status}, indent=2) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, "utf-8")
    return None if status is not None else "no order plane listens here"


def _no_orders(status: Answer) -> str | None:
    if not (status["open_orders"] or status["in_doubt"]):
        return None
    stuck = ", ".join(map(str, _list(status, "uncancelled"))) or "none"
    return f"{status['open_orders']} orders open, {status['in_doubt']} in doubt, not cancelled: {stuck}"


def _flat(status: Answer) -> str | None:
    held = status["positions"]
    return f"still held: {json.dumps(held)}" if held else _no_orders(status)


def _status(state: Path | None) -> Answer | None:
    try:
        return ask(socket_of(state), "status", {})
    except NobodyListens:
        return None


def _list(status: Answer, name: str) -> list[JsonValue]:
    value = status[name]
    return value if isinstance(value, list) else []


def _told(step: str, problem: str | None) -> bool:
    if problem is None:
        console.print(f"PASS {step}")
    else:
        errors.print(f"FAIL {step}: {problem}", style="red", markup=False, soft_wrap=True)
    return problem is None


def _verdict(step: str, problem: str | None) -> None:
    if not _told(step, problem):
        raise typer.Exit(NOTHING)
