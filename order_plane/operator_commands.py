"""What an operator can tell a running order plane, and what it does about it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

from pydantic import JsonValue

from contracts.base import Message
from contracts.codec import ContractViolation, decode
from contracts.control import KillSwitchCommand
from kernel.ports import Handler
from order_plane.command_channel import CommandHandler, CommandRefused, Fields
from order_plane.desk import Desk
from order_plane.journal import Resolution, Verdict
from order_plane.unacceptable import NotInDoubt

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
    """The commands ``status``, ``kill`` and ``resolve``; what they lead to is handed to ``publish``.

    A kill is journaled and its cancels have been sent when it is answered, whether or not Kafka is there.
    """

    def status(fields: Fields) -> dict[str, JsonValue]:
        desk = stage.desk
        return {
            "journal_id": stage.journal_id,
            "killed": bool(desk.switch.engaged),
            "open_orders": len(desk.open_orders),
            "in_doubt": desk.in_doubt,
        }

    def kill(fields: Fields) -> dict[str, JsonValue]:
        try:
            command = decode(str(fields.get("message", "")).encode(), (KillSwitchCommand,))
        except ContractViolation as violation:
            raise CommandRefused(f"no kill switch command: {violation.first}") from None
        said = [*stage.handlers[KillSwitchCommand](command), *stage.settle()]
        publish(said)
        return {**status(fields), "messages": len(said)}

    def resolve(fields: Fields) -> dict[str, JsonValue]:
        try:
            said = [*stage.resolve(resolution_of(fields)), *stage.settle()]
        except NotInDoubt as refusal:
            raise CommandRefused(str(refusal)) from None
        publish(said)
        return {"messages": len(said), "in_doubt": stage.desk.in_doubt}

    return {"status": status, "kill": kill, "resolve": resolve}


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
