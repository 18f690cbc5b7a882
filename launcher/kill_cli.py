"""Engage, release and look at kill switches, through the order plane's own socket or a control message."""

from collections.abc import Mapping
from contextlib import closing
from typing import Annotated

import typer
from pydantic import JsonValue, ValidationError
from rich.console import Console

from contracts.codec import encode
from contracts.control import KillAction, KillScope, KillSwitchCommand
from domain.ids import kill_id
from kernel.clock import SystemClock
from kernel.kafka_errors import BrokerUnavailable
from kernel.kafka_settings import KafkaSettings
from kernel.ports import DeliveryFailed
from launcher.kafka_options import NOTHING, USAGE, Bootstrap, Prefix, connection, console, errors, reported
from launcher.latching import Latch, Plane, plane_of, publish
from launcher.order_journal import Database, Operator, Reason, looked_at
from launcher.order_socket import State, socket_of, tell_whose, what_holds
from launcher.wish import Wish, within
from order_plane.command_channel import CommandRefused, NobodyListens, ask
from order_plane.journals.port import JournalError
from order_plane.safety.kill_switch import KillSwitch

app = typer.Typer(name="kill", help="Stop trading, and let it go on.", no_args_is_help=True)

Scope = Annotated[KillScope, typer.Option(case_sensitive=False, help="What is stopped.")]
Target = Annotated[str, typer.Option(help="The account, strategy or symbol; * for all of them.")]
_plain = Console(highlight=False, soft_wrap=True)


@app.command(
    epilog='Example: `algotrade kill on --scope STRATEGY --target paper-cross --operator ann --reason "odd prices"`'
)
@within(30.0)
def on(
    wish: Wish,
    *,
    scope: Scope = KillScope.GLOBAL,
    target: Target = "*",
    flatten: Annotated[bool, typer.Option("--flatten", help="Close positions at the market, too.")] = False,
    reduce_only: Annotated[
        bool, typer.Option("--reduce-only", help="Spare orders that only reduce a position.")
    ] = False,
) -> None:
    """Refuse new orders and cancel open ones, latched until it is switched off.

    Without an order plane that answers it is written into its journal, with or without Kafka; one that holds its
    journal and does not answer is asked again. Exit code 1 when nothing is known to be stopped; the text says what to
    do then. A target that nobody here knows is latched, and named with those that are known.
    """
    if flatten and reduce_only:
        raise typer.BadParameter("--flatten closes what --reduce-only leaves to the strategies; give one of them")
    if scope is KillScope.GLOBAL and target != "*":
        raise typer.BadParameter(
            f"--target {target} needs --scope ACCOUNT, STRATEGY or SYMBOL: without one, a kill stops everything"
        )
    action = KillAction.HALT_AND_FLATTEN if flatten else KillAction.REDUCE_ONLY if reduce_only else KillAction.HALT
    try:
        outcome = wish.latched(the_command(wish.operator, wish.reason, action, scope, target))
    except CommandRefused as error:
        _end(f"refused: {error}", NOTHING)
        return
    if outcome.latch in (Latch.UNMET, Latch.GUESSED, Latch.SILENT, Latch.NOWHERE):
        _end(outcome.text, NOTHING)
    _plain.print(outcome.text, markup=False)


@app.command(epilog='Example: `algotrade kill off --operator ann --reason "the feed is back"`')
def off(
    operator: Operator,
    reason: Reason,
    scope: Scope = KillScope.GLOBAL,
    target: Target = "*",
    second_operator: Annotated[
        str | None, typer.Option(help="Who confirms it: needed while the cause holds, or was to be investigated.")
    ] = None,
    state: State = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Release a kill switch; refused while its cause still holds, unless a second person overrides that.

    That is judged by the order plane: unlike a kill, a release is never written into the journal of one that is down.
    It ends the switch as it stands now; a kill that comes meanwhile holds.
    """
    tell_whose(state)
    socket = socket_of(state)
    command = the_command(operator, reason, scope=scope, target=target, engage=False, second_operator=second_operator)
    with reported():
        try:
            named = command.model_copy(update={"ends": what_holds(socket, scope, target)})
            ask(socket, "kill", {"message": encode(named).decode()})
        except NobodyListens as error:
            latched = _latched(plane_of(state, None), str(error)).newest(command)
            ends = None if latched is None else latched.command_id
            _publish_release(command.model_copy(update={"ends": ends}), connection(bootstrap, prefix))
        except CommandRefused as error:
            _end(f"refused: {error}", NOTHING)
        else:
            console.print(Latch.ANSWERED.value)


@app.command()
def status(state: State = None, database: Database = None) -> None:
    """Say which switches are engaged and what the guards measure. Exit code 1 when one is engaged.

    When no order plane answers: what is latched in its journal; exit code 2 when that is nothing, or cannot be known.
    """
    tell_whose(state)
    try:
        answer = ask(socket_of(state), "status", {})
    except NobodyListens as error:
        plane = plane_of(state, database)
        latched = _latched(plane, str(error)).engaged
        for each in latched:
            _show(each.model_dump(mode="json"))
        whose = f"the newest journal here holds, in {plane.directory}" if plane.guessed else "its journal holds"
        _end(f"{error}{f'; that is what {whose}' if latched else ''}", NOTHING if latched else USAGE)
        return
    for switch in _records(answer.get("switches")):
        _show(switch)
    _show_held(answer)
    for guard in _records(answer.get("guards")):
        console.print(f"guard {guard['scope']} {guard['target']}: {measured(guard)}", markup=False, soft_wrap=True)
    console.print(f"open orders {answer['open_orders']}, in doubt {answer['in_doubt']}")
    if answer["killed"]:
        raise typer.Exit(NOTHING)
    console.print("no kill switch is engaged")


def _show_held(answer: Mapping[str, object]) -> None:
    """What is not done, and what is held back, besides what a switch holds."""
    stuck = answer.get("uncancelled")
    for order in stuck if isinstance(stuck, list) else ():
        _plain.print(f"NOT CANCELLED {order}", markup=False)
    halted = answer["halted"]
    for symbol, why in halted.items() if isinstance(halted, dict) else ():
        _plain.print(f"HALTED {symbol}: {why} (algotrade orders release-symbol)", markup=False)
    if answer["held"] is not None:
        _plain.print(f"NOTHING IS SENT: {answer['held']}", markup=False)


def _publish_release(command: KillSwitchCommand, kafka: KafkaSettings) -> None:
    """Publish a release of which a journal told what it ends; one that names nothing would be refused in its turn."""
    text = "a release is judged by the order plane: start it, which comes up stopped, and repeat this"
    if command.ends is None:
        _end(f"no order plane answers and no journal here shows what would be released; {text} beside it", NOTHING)
    try:
        publish(command, kafka)
    except (BrokerUnavailable, DeliveryFailed):
        errors.print(text, style="red", markup=False, soft_wrap=True)
        raise
    console.print(Latch.PUBLISHED.value)


def _show(switch: Mapping[str, JsonValue]) -> None:
    _plain.print(
        f"ENGAGED {switch['scope']} {switch['target']} {switch['action']} for {switch['cause']}"
        f" by {switch['operator']} at {switch['timestamp']}: {switch['reason']}"
        f"{' - ' + str(switch['unmet']) if switch.get('unmet') else ''}",
        markup=False,
    )


def _latched(plane: Plane, silence: str) -> KillSwitch:
    """The switches that the journal of ``plane`` will bring back at its next start; ends when it cannot be read."""
    switch = KillSwitch("")
    if plane.directory is None:
        return switch
    try:
        with closing(looked_at(plane.directory, plane.database)) as journal:
            commands = journal.commands()
    except JournalError as error:
        _end(f"{silence}, and nobody knows whether a kill is latched: {error}", USAGE)
        return switch
    for command in commands:
        if command.scope is not KillScope.SYMBOL:
            switch.apply(command)
    return switch


def the_command(
    operator: str,
    reason: str,
    action: KillAction = KillAction.HALT,
    scope: KillScope = KillScope.GLOBAL,
    target: str = "*",
    *,
    engage: bool = True,
    second_operator: str | None = None,
) -> KillSwitchCommand:
    """A command of ``operator``, given now and named after who, what and when."""
    at = SystemClock().now()
    given: dict[str, object] = {
        "engage": engage,
        "reason": reason,
        "action": action,
        "second_operator": second_operator,
        "command_id": kill_id(f"MANUAL {operator}", scope.value, target, at),
        "timestamp": at,
        "operator": operator,
        "scope": scope,
        "target": target,
    }
    try:
        return KillSwitchCommand.model_validate(given)
    except ValidationError as error:
        wrong = ", ".join(sorted({str(each["loc"][0]) for each in error.errors()}))
        raise typer.BadParameter(f"{wrong}: a name without blanks, or a reason of 1 to 512 characters") from None


def measured(guard: Mapping[str, JsonValue]) -> str:
    """What a guard measures as a person reads it.

    Equity is money; the result of the day (``pnl``) is a share of the equity it began with, and
    ``drawdown`` of the highest.
    """
    tripped = guard["tripped"]
    causes = ", ".join(map(str, tripped)) if isinstance(tripped, list) else ""
    return (
        f"equity {_figure(guard['equity'], 'z,.2f')}, pnl {_figure(guard['pnl'], '+z.2%')}, "
        f"drawdown {_figure(guard['drawdown'], 'z.2%')}, psr {_figure(guard['psr'], '.2f')}, tripped {causes or 'none'}"
    )


def _figure(value: JsonValue, form: str) -> str:
    """A number in the ``form`` given, and zero has no sign; a dash when it is not known."""
    return format(value, form) if isinstance(value, int | float) else "-"


def _records(value: JsonValue) -> list[dict[str, JsonValue]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _end(text: str, code: int) -> None:
    errors.print(text, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(code)
