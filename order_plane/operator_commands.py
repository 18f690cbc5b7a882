"""What an operator can tell a running order plane, and what it does about it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

from pydantic import JsonValue

from contracts.base import Message
from contracts.codec import ContractViolation, decode
from contracts.control import KillScope, KillSwitchCommand
from kernel.ports import Handler
from order_plane.command_channel import CommandHandler, CommandRefused, Fields
from order_plane.desk import Desk
from order_plane.execution import NotInDoubt
from order_plane.journal import Resolution, Verdict

Publish = Callable[[Iterable[Message]], None]


class OrderPlane(Protocol):
    """The stage, as far as operators reach into it."""

    @property
    def handlers(self) -> Mapping[type[Message], Handler]:
        """What it listens to."""
        ...

    @property
    def desk(self) -> Desk:
        """Its desk."""
        ...

    @property
    def journal_id(self) -> str:
        """Its journal."""
        ...

    def settle(self) -> Iterable[Message]:
        """Carry out what is left to do."""
        ...

    def resolve(self, resolution: Resolution) -> Iterable[Message]:
        """Carry out what a person signed about an order in doubt."""
        ...


def operator_commands(stage: OrderPlane, publish: Publish) -> dict[str, CommandHandler]:
    """The commands ``status``, ``kill``, ``release`` and ``resolve``; what they lead to is handed to ``publish``.

    A kill is journaled and its cancels have been sent when it is answered, whether or not Kafka is there.
    """

    def status(fields: Fields) -> dict[str, JsonValue]:
        desk = stage.desk
        return {
            "journal_id": stage.journal_id,
            "killed": desk.killed,
            "open_orders": len(desk.open_orders),
            "in_doubt": desk.in_doubt,
            "halted": dict(desk.halts.reasons),
        }

    def release(fields: Fields) -> dict[str, JsonValue]:
        command = command_of(fields)
        if command.engage or command.scope is not KillScope.SYMBOL:
            raise CommandRefused("this releases the halt of a symbol and does nothing else")
        if command.target not in stage.desk.halts.reasons:
            raise CommandRefused("that symbol is not halted")
        return kill(fields)

    def kill(fields: Fields) -> dict[str, JsonValue]:
        said = [*stage.handlers[KillSwitchCommand](command_of(fields)), *stage.settle()]
        publish(said)
        return {**status(fields), "messages": len(said)}

    def resolve(fields: Fields) -> dict[str, JsonValue]:
        try:
            said = [*stage.resolve(resolution_of(fields)), *stage.settle()]
        except NotInDoubt as refusal:
            raise CommandRefused(str(refusal)) from None
        publish(said)
        return {"messages": len(said), "in_doubt": stage.desk.in_doubt}

    return {"status": status, "kill": kill, "release": release, "resolve": resolve}


def command_of(fields: Fields) -> KillSwitchCommand:
    """The kill switch command in the fields of a command; raises CommandRefused when there is none."""
    try:
        command = decode(str(fields.get("message", "")).encode(), (KillSwitchCommand,))
    except ContractViolation as violation:
        raise CommandRefused(f"no kill switch command: {violation.first}") from None
    assert isinstance(command, KillSwitchCommand)  # noqa: S101 - nothing else is decoded
    return command


def fields_of(resolution: Resolution) -> dict[str, JsonValue]:
    """A decision as the fields of a command."""
    return {
        "intent_id": str(resolution.intent_id),
        "attempt": resolution.attempt,
        "verdict": resolution.verdict.value,
        "operator": resolution.operator,
        "reason": resolution.reason,
        "at": resolution.at.isoformat(),
        "order_id": resolution.order_id,
    }


def resolution_of(fields: Fields) -> Resolution:
    """The decision in the fields of a command; raises CommandRefused when a field is missing or wrong."""
    try:
        resolution = Resolution(
            UUID(str(fields["intent_id"])),
            int(str(fields["attempt"])),
            Verdict(str(fields["verdict"])),
            str(fields["operator"]).strip(),
            str(fields["reason"]).strip(),
            datetime.fromisoformat(str(fields["at"])),
            str(fields.get("order_id", "")).strip(),
        )
    except (KeyError, ValueError):
        raise CommandRefused("intent_id, attempt, verdict, operator, reason and at are needed") from None
    if not (resolution.operator and resolution.reason):
        raise CommandRefused("operator and reason must be given: this decision is signed with a name")
    if resolution.at.tzinfo is None:
        raise CommandRefused("at must have an offset from UTC")
    if (resolution.verdict is Verdict.ADOPTED) != bool(resolution.order_id):
        raise CommandRefused("an adopted order needs the venue's order id, and only that")
    return resolution
