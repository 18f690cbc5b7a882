"""Let a symbol trade again that the order plane halted."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from pydantic import ValidationError

from contracts.codec import encode
from contracts.control import KillScope, KillSwitchCommand
from domain.ids import halt_id
from kernel.clock import SystemClock
from launcher.kafka_options import console
from launcher.order_journal import Database, Operator, State, journal_errors, not_blank, place_of, settings_of
from launcher.order_socket import what_holds
from order_plane.command_channel import SOCKET, CommandRefused, NobodyListens, ask
from order_plane.composition import durable_journal
from order_plane.safety.symbol_halts import SymbolHalts


def release_symbol(
    symbol: Annotated[str, typer.Argument(help="The symbol, or * for a halt of the whole account.")],
    operator: Operator,
    reason: Annotated[str, typer.Option(help="What you found out, and why trading may go on.", callback=not_blank)],
    state: State = None,
    database: Database = None,
) -> None:
    """Let a symbol trade again that was halted because facts were odd or the venue differed."""
    with journal_errors():
        place = place_of(state, database)
        try:
            command = _release(symbol, operator, reason, what_holds(place / SOCKET, KillScope.SYMBOL, symbol))
            ask(place / SOCKET, "release", {"message": encode(command).decode()})
        except NobodyListens:
            _record(_release(symbol, operator, reason, None), place, database)
    console.print("released")


def _release(symbol: str, operator: str, reason: str, ends: UUID | None) -> KillSwitchCommand:
    at = SystemClock().now()
    try:
        return KillSwitchCommand(
            command_id=halt_id(symbol, f"released by {operator} at {at.isoformat()}"),
            timestamp=at,
            engage=False,
            scope=KillScope.SYMBOL,
            target=symbol,
            operator=operator.strip().replace(" ", "."),
            reason=reason.strip(),
            ends=ends,
        )
    except ValidationError:
        raise CommandRefused("a symbol, a named operator (at most 64 characters) and a reason are needed") from None


def _record(command: KillSwitchCommand, place: Path, database: str | None) -> None:
    journal = durable_journal(settings_of(place, database))
    try:
        halts = SymbolHalts()
        for each in journal.commands():
            if each.scope is KillScope.SYMBOL:
                halts.apply(each)
        newest = halts.newest(command.target)
        if newest is None:
            raise CommandRefused("that symbol is not halted")
        journal.record_command(command.model_copy(update={"ends": newest.command_id}))
    finally:
        journal.close()
    console.print("no order plane runs; it acts on this at its next start")
