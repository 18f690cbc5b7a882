"""Bring trading back to nothing, step by step; every step may be repeated, shown first, and ends with a verdict."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from pydantic import JsonValue

from contracts.control import KillAction, KillScope
from kernel.clock import SystemClock, monotonic
from launcher.kafka_options import NOTHING, console, errors, state_directory
from launcher.kill_cli import the_command
from launcher.order_socket import State, socket_of, tell_whose
from launcher.running import current
from launcher.wish import Wait, Wish, within
from order_plane.command_channel import Answer, CommandRefused, NobodyListens, ask

app = typer.Typer(
    name="rollback", help="Cancel, flatten, disconnect, verify, report: alone, or in order.", no_args_is_help=True
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say at once what would be done, and do nothing.")]
Output = Annotated[Path | None, typer.Option(help="File of the report; default: shown only.")]
_PAUSE = Event()
_NOBODY = "no order plane answers here; its orders, if any, must be looked after at the broker"


@app.command("cancel-all")
@within(10.0)
def cancel_all(wish: Wish, *, dry_run: DryRun = False) -> None:
    """Stop new orders and cancel every open one."""
    _verdict(_step("cancel-all", dry_run), _shown(wish) if dry_run else _kill(KillAction.HALT, wish, _no_orders))


@app.command()
@within(60.0)
def flatten(wish: Wish, *, dry_run: DryRun = False) -> None:
    """Close every position at the market; waits until nothing is held."""
    _verdict(_step("flatten", dry_run), _shown(wish) if dry_run else _kill(KillAction.HALT_AND_FLATTEN, wish, _flat))


@app.command()
def disconnect(dry_run: DryRun = False, wait: Wait = 30.0, state: State = None) -> None:
    """End the local run, and with it the order plane's connection to the broker; the kill switch stays latched.

    Refused while the order plane does not say that trading is stopped.
    """
    tell_whose(state)
    _verdict(_step("disconnect", dry_run), _disconnect(dry_run, wait, state))


@app.command()
def verify(state: State = None) -> None:
    """Hold what the order plane says against nothing open, nothing held, nothing in doubt, and a latched switch."""
    tell_whose(state)
    _verdict("verify", _verify(_status(state)))


@app.command()
def report(output: Output = None, state: State = None) -> None:
    """Write what the order plane knows as JSON."""
    tell_whose(state)
    _verdict("report", _report(output, state))


@app.command(epilog='Example: `algotrade rollback run --operator ann --reason "bad release" --dry-run`')
@within(60.0)
def run(wish: Wish, *, dry_run: DryRun = False, output: Output = None) -> None:
    """Everything in order: cancel-all, flatten, verify, report, disconnect; goes on after a step that failed."""
    state = wish.state
    if dry_run:
        _verdict("dry run", _shown(wish, everything=True))
        return
    steps: dict[str, Callable[[], str | None]] = {
        "cancel-all": lambda: _kill(KillAction.HALT, replace(wish, wait=min(wish.wait, 10.0)), _no_orders),
        "flatten": lambda: _kill(KillAction.HALT_AND_FLATTEN, wish, _flat),
        "verify": lambda: _verify(_status(state)),
        "report": lambda: _report(output, state),
        "disconnect": lambda: _disconnect(dry_run, min(wish.wait, 30.0), state),
    }
    failed = [name for name, step in steps.items() if not _told(name, step())]
    if failed:
        _verdict("run", f"failed: {', '.join(failed)}")
    _verdict("run", None)


def _shown(wish: Wish, *, everything: bool = False) -> str | None:
    """Say what would be done, and with ``everything`` what is not yet as it should be and which run would end."""
    status = _status(wish.state)
    if status is None:
        return _NOBODY
    held = json.dumps(status["positions"])
    console.print(f"would act on {status['open_orders']} open orders; positions {held}", markup=False)
    if everything:
        console.print(f"verify would say now: {_verify(status) or 'PASS'}", markup=False, soft_wrap=True)
        running = current(state_directory())
        if running is not None:
            console.print(f"would end the run {running.run_id}, process {running.pid}", markup=False)
    return None


def _kill(action: KillAction, wish: Wish, problem: Callable[[Answer], str | None]) -> str | None:
    """Engage the global switch with ``action``, and wait for ``problem`` to vanish.

    Nothing is asked before that: an order plane that is busy answers nothing, and heeds a kill all the same.
    """
    until = monotonic() + wish.wait
    try:
        outcome = wish.latched(the_command(wish.operator, wish.reason, action), insist=True)
    except CommandRefused as error:
        return str(error)
    if not outcome.holds:
        return outcome.text
    while True:
        status = _status(wish.state)
        found = "the kill switch is engaged; now the order plane does not answer" if status is None else problem(status)
        if found is None or monotonic() >= until:
            return found
        _PAUSE.wait(0.05)


def _disconnect(dry_run: bool, wait: float, state: Path | None) -> str | None:
    running = current(state_directory())
    if running is None:
        return None if _status(state) is None else "an order plane listens that no local run started; end it there"
    own = state_directory() / "runs" / running.run_id
    if state is not None and state.resolve() not in (own.resolve(), state_directory().resolve()):
        return f"the order plane of {state} is not that of the run {running.run_id} here; end it where it was started"
    status = _status(state, 0.0 if dry_run else wait)
    if status is None or not _is_stopped(status):
        return f"no order plane says that a global kill switch is engaged, so process {running.pid} was left running"
    if dry_run:
        console.print(f"would end the run {running.run_id}, process {running.pid}", markup=False)
        return None
    os.kill(running.pid, signal.SIGTERM)
    until = monotonic() + wait
    while running.alive and monotonic() < until:
        _PAUSE.wait(0.1)
    return f"process {running.pid} still runs" if running.alive else None


def _is_stopped(status: Answer) -> bool:
    """Whether a switch is engaged that stops everything, and not only one strategy or what reduces no position."""
    switches = [each for each in _list(status, "switches") if isinstance(each, dict)]
    stopping = [each for each in switches if each.get("action") != KillAction.REDUCE_ONLY.value]
    return any(each.get("scope") == KillScope.GLOBAL.value for each in stopping)


def _verify(status: Answer | None) -> str | None:
    if status is None:
        return "no order plane listens here, so nothing can be verified"
    stopped = None if _is_stopped(status) else "no kill switch stops all"
    same = None if status["reconciled"] else "the venue's account differs from this one, or cannot be had"
    found = [_no_orders(status), _flat(status), stopped, same]
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
    held, beyond = status["positions"], status["beyond"]
    if held:
        return f"still held: {json.dumps(held)}"
    if beyond is None:
        return "the venue has not said what it holds"
    if beyond:
        return f"held at the venue beside what is known here: {json.dumps(beyond)}; close that there"
    return _no_orders(status)


def _status(state: Path | None, wait: float = 0.0) -> Answer | None:
    """What the order plane says, asked again for ``wait`` seconds; None when it says nothing."""
    until = monotonic() + wait
    while True:
        try:
            return ask(socket_of(state), "status", {})
        except NobodyListens:
            if monotonic() >= until:
                return None
        _PAUSE.wait(0.1)


def _list(status: Answer, name: str) -> list[JsonValue]:
    value = status[name]
    return value if isinstance(value, list) else []


def _told(step: str, problem: str | None) -> bool:
    if problem is None:
        console.print(f"PASS {step}")
    else:
        errors.print(f"FAIL {step}: {problem}", style="red", markup=False, soft_wrap=True)
    return problem is None


def _step(name: str, dry_run: bool) -> str:
    return f"dry run of {name}: nothing was done" if dry_run else name


def _verdict(step: str, problem: str | None) -> None:
    if not _told(step, problem):
        raise typer.Exit(NOTHING)
