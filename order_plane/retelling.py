"""What happens to an order plane beside its bus, as a recording holds it and as it is told again."""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from uuid import UUID

from contracts.base import Message
from contracts.claims import JournalClaim
from contracts.codec import decode, encode
from contracts.control import KillSwitchCommand
from contracts.trading import ExecutionReport
from kernel.ports import Unprocessable
from order_plane.claims import Standing
from order_plane.command_channel import CommandRefused, Fields
from order_plane.execution import Execution
from order_plane.operator_commands import operator_commands

OPENED, RECONCILED, OVERHEARD, AHEAD = "opened", "reconciled", "overheard", "ahead"
"""Commands of a recording that nobody gives: it came back, held the account against the venue, heard another plane,
and heard a kill switch command before its turn."""


def told_of(standing: Standing, intents: Collection[UUID]) -> Fields:
    """What an order plane is told when it comes back: who held before, and which ``intents`` were handed over."""
    holder = None if standing.holder is None else encode(standing.holder).decode()
    return {
        "holder": holder,
        "before": [*sorted(standing.before)],
        "intents_from": standing.intents_from,
        "handed": standing.handed,
        "intents": [*sorted(map(str, intents))],
    }


def opened(stage: Execution, standing: Standing, intents: Collection[UUID]) -> Sequence[Message]:
    """Come back from the last life; what it returns must be published. Raises JournalError as `recover` does."""
    stage.published.accept(standing.before)
    if standing.intents_from is not None:
        stage.inheritance.accept(standing, intents)
    return stage.recover()


def overheard(message: Message) -> Fields:
    """A report of another order plane, or a command heard before its turn, as a recording holds it."""
    return {"message": encode(message).decode()}


def obeyed_ahead(stage: Execution, command: KillSwitchCommand) -> Sequence[Message]:
    """Carry out a command that came by Kafka before its turn, in which one that is refused is told so.

    What it wants cancelled is asked for at once: the next batch may be long, or never come.
    """
    with suppress(Unprocessable):
        return [*stage.handlers[KillSwitchCommand](command), *stage.settle()]
    return ()


def retold(stage: Execution) -> Callable[[Fields], Iterable[Message]]:
    """Carries out again what a recording holds beside the bus, refused or not, and returns what that says."""
    said: list[Message] = []
    commands = operator_commands(stage, said.extend)
    beside: dict[str, Callable[[Fields], Iterable[Message]]] = {
        OPENED: lambda fields: opened(stage, _standing(fields), frozenset(map(UUID, _texts(fields, "intents")))),
        RECONCILED: lambda fields: stage.reconcile(),
        OVERHEARD: lambda fields: _overhear(stage, str(fields["message"])),
        AHEAD: lambda fields: _obey_ahead(stage, str(fields["message"])),
    }

    def carry_out(fields: Fields) -> Iterable[Message]:
        name = str(fields["command"])
        if name in beside:
            return beside[name](fields)
        said.clear()
        with suppress(CommandRefused):
            commands[name](fields)
        return tuple(said)

    return carry_out


def _overhear(stage: Execution, message: str) -> tuple[()]:
    stage.published.overhear(decode(message.encode(), (ExecutionReport,)))
    return ()


def _obey_ahead(stage: Execution, message: str) -> Sequence[Message]:
    command = decode(message.encode(), (KillSwitchCommand,))
    return obeyed_ahead(stage, command) if isinstance(command, KillSwitchCommand) else ()


def _standing(fields: Fields) -> Standing:
    holder, start, handed = fields["holder"], fields["intents_from"], fields["handed"]
    claim = None if holder is None else decode(str(holder).encode(), (JournalClaim,))
    return Standing(
        claim if isinstance(claim, JournalClaim) else None,
        frozenset(_texts(fields, "before")),
        start if isinstance(start, int) else None,
        handed if isinstance(handed, int) else 0,
    )


def _texts(fields: Fields, name: str) -> list[str]:
    found = fields[name]
    return list(map(str, found)) if isinstance(found, list) else []
