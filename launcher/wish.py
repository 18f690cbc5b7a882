"""What every command says that stops trading: who wants it and why, of which order plane, and where it can be told."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import Signature, signature
from typing import Annotated

import typer

from contracts.control import KillSwitchCommand
from launcher.kafka_options import Bootstrap, Prefix, connection, errors
from launcher.latching import Outcome, latch, plane_of
from launcher.order_journal import Database, Operator, Reason
from launcher.order_socket import State, tell_whose

Wait = Annotated[float, typer.Option(help="Seconds it may take to come true.", min=0.0, max=600.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The options that such commands share."""

    operator: Operator
    reason: Reason
    wait: Wait
    state: State = None
    database: Database = None
    bootstrap: Bootstrap = None
    prefix: Prefix = None

    def latched(self, command: KillSwitchCommand, *, insist: bool = False) -> Outcome:
        """Have the order plane that is meant carry ``command`` out, as `latch` does."""
        plane = plane_of(self.state, self.database)
        return latch(command, plane, lambda: connection(self.bootstrap, self.prefix), self.wait, _tell, insist=insist)


def within(seconds: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a command of a step: its options are those of a `Wish`, which may take so many ``seconds``, and its own."""

    def command_of(step: Callable[..., None]) -> Callable[..., None]:
        own = [*signature(step).parameters.values()][1:]
        wished = signature(Wish).parameters
        options = [each.replace(default=seconds) if name == "wait" else each for name, each in wished.items()]

        @wraps(step)
        def command(**given: object) -> None:
            rest = {each.name: given.pop(each.name) for each in own}
            wish = Wish(**given)  # type: ignore[arg-type]
            tell_whose(wish.state)
            step(wish, **rest)

        command.__signature__ = Signature([*options, *own])  # type: ignore[attr-defined]
        return command

    return command_of


def _tell(line: str) -> None:
    errors.print(line, style="dim", markup=False, soft_wrap=True)
