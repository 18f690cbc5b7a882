"""Engage, release and look at kill switches, through the order plane's own socket or a control message."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue, ValidationError
from rich.console import Console

from contracts.codec import encode
from contracts.control import KillAction, KillScope, KillSwitchCommand
from contracts.topics import TOPIC_OF, qualified
from domain.ids import kill_id
from kernel.clock import SystemClock
from kernel.kafka_producer import DurableProducer
from kernel.kafka_settings import KafkaSettings
from launcher.kafka_options import NOTHING, USAGE, Bootstrap, Prefix, connection, console, errors, reported
from launcher.order_socket import State, socket_of
from order_plane.command_channel import CommandRefused, NobodyListens, ask

app = typer.Typer(name="kill", help="Stop trading, and let it go on.", no_args_is_help=True)

Operator = Annotated[str, typer.Option(help="Who you are.")]
Reason = Annotated[str, typer.Option(help="Why.")]
Scope = Annotated[KillScope, typer.Option(case_sensitive=False, help="What is stopped.")]
Target = Annotated[str, typer.Option(help="The account or strategy; * for all of them.")]
_plain = Console(highlight=False, soft_wrap=True)


class Sent(StrEnum):
    """How a command went out."""

    DONE = "carried out by the order plane"
    PUBLISHED = "published; the order plane carries it out when it reads it"


@app.command()
def on(
    operator: Operator,
    reason: Reason,
    scope: Scope = KillScope.GLOBAL,
    target: Target = "*",
    flatten: Annotated[bool, typer.Option("--flatten", help="Close positions at the market, too.")] = False,
    state: State = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Refuse new orders and cancel open ones, latched until it is switched off."""
    action = KillAction.HALT_AND_FLATTEN if flatten else KillAction.HALT
    command = the_command(engage=True, operator=operator, reason=reason, scope=scope, target=target, action=action)
    _carry_out(command, state, bootstrap, prefix)


@app.command()
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
    """Release a kill switch; refused while its cause still holds, unless a second person overrides that."""
    command = the_command(
        engage=False, operator=operator, reason=reason, scope=scope, target=target, second_operator=second_operator
    )
    _carry_out(command, state, bootstrap, prefix)


@app.command()
def status(state: State = None) -> None:
    """Say which switches are engaged and what the guards measure. Exit code 1 when one is engaged."""
    try:
        answer = ask(socket_of(state), "status", {})
    except NobodyListens as error:
        _end(str(error), USAGE)
        return
    for switch in _records(answer.get("switches")):
        _plain.print(
            f"ENGAGED {switch['scope']} {switch['target']} {switch['action']} for {switch['cause']}"
            f" by {switch['operator']} at {switch['timestamp']}: {switch['reason']}",
            markup=False,
        )
    stuck = answer.get("uncancelled")
    for order in stuck if isinstance(stuck, list) else ():
        _plain.print(f"NOT CANCELLED {order}", markup=False)
    halted = answer["halted"]
    for symbol, why in halted.items() if isinstance(halted, dict) else ():
        _plain.print(f"HALTED {symbol}: {why} (algotrade orders release-symbol)", markup=False)
    for guard in _records(answer.get("guards")):
        console.print(f"guard {guard['scope']} {guard['target']}: {measured(guard)}", markup=False, soft_wrap=True)
    console.print(f"open orders {answer['open_orders']}, in doubt {answer['in_doubt']}")
    if answer["killed"]:
        raise typer.Exit(NOTHING)
    console.print("no kill switch is engaged")


def send(command: KillSwitchCommand, socket: Path, kafka: KafkaSettings | None, timeout_seconds: float = 10.0) -> Sent:
    """Have ``command`` carried out through ``socket``, else published to ``kafka`` when that is given.

    ``timeout_seconds`` is how long the order plane may take to answer.

    Raises:
        CommandRefused: when the order plane refuses it.
        NobodyListens: when no order plane listens and there is no Kafka to publish to.
    """
    try:
        ask(socket, "kill", {"message": encode(command).decode()}, timeout_seconds)
    except NobodyListens:
        if kafka is None:
            raise
        publish(command, kafka)
        return Sent.PUBLISHED
    return Sent.DONE


def publish(command: KillSwitchCommand, kafka: KafkaSettings) -> None:
    """Make ``command`` durable in ``kafka``, where the order plane reads it, now or when it starts again.

    Raises:
        BrokerUnavailable, DeliveryFailed: when that could not be done.
    """
    producer = DurableProducer(kafka)
    try:
        topic = qualified(TOPIC_OF[KillSwitchCommand].name, kafka.topic_prefix)
        producer.send(topic, encode(command), key=command.partition_key.encode(), headers=())
        producer.flush()
    finally:
        producer.close()


def _carry_out(command: KillSwitchCommand, state: Path | None, bootstrap: str | None, prefix: str | None) -> None:
    with reported():
        try:
            sent = send(command, socket_of(state), None)
        except NobodyListens:
            sent = send(command, socket_of(state), connection(bootstrap, prefix))
        except CommandRefused as error:
            _end(f"refused: {error}", NOTHING)
            return
    console.print(sent.value)


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
    """A command of ``operator``, named after who, what and when."""
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
