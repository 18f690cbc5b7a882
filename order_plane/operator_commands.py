"""What an operator can tell a running order plane, and what it does about it."""

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from math import isnan
from typing import Protocol
from uuid import UUID

from pydantic import JsonValue, ValidationError

from contracts.base import Message
from contracts.control import KillScope, KillSwitchCommand
from contracts.trading import ExecutionReport
from kernel.ports import Handler, Unprocessable
from order_plane.brokers.port import KeyLife
from order_plane.command_channel import CommandHandler, CommandRefused, Fields
from order_plane.command_fields import command_of, fill_of, resolution_of, signature_of, terms_of
from order_plane.controls import LooserLimit
from order_plane.desk import Desk
from order_plane.effects import CancelOrder
from order_plane.facts import Fact
from order_plane.journals.port import Resolution
from order_plane.limit_settings import LimitSettings
from order_plane.refusals import refused
from order_plane.safety.kill_switch import switch_name
from order_plane.safety.kill_targets import unmet
from order_plane.safety.performance_guard import PerformanceGuard
from order_plane.supervision import Supervision
from order_plane.unacceptable import NotBookable, NotInDoubt, NotOpen, NotReplaceable
from order_plane.upkeep import Upkeep

Publish = Callable[[Iterable[Message]], None]


class _Witnessed(CommandRefused):
    """A refusal that the audit log holds already."""


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

    @property
    def key_life(self) -> KeyLife:
        """How long its venue knows an intent by its id."""
        ...

    @property
    def supervision(self) -> Supervision:
        """Its kill switches at work."""
        ...

    @property
    def upkeep(self) -> Upkeep:
        """Its care for orders that work."""
        ...

    @property
    def uncancelled(self) -> Mapping[UUID, CancelOrder]:
        """Cancels that are due: not asked for yet, or without an answer."""
        ...

    def cancel(self, intent_id: UUID, request_id: str, reason: str) -> None:
        """Ask for an open order to be cancelled."""
        ...

    def settle(self) -> Iterable[Message]:
        """Carry out what is left to do."""
        ...

    def book(self, fill: Fact) -> Iterable[Message]:
        """Book an execution that a person told."""
        ...

    def resolve(self, resolution: Resolution) -> Iterable[Message]:
        """Carry out what a person signed about an order in doubt."""
        ...


def operator_commands(stage: OrderPlane, publish: Publish) -> dict[str, CommandHandler]:
    """The commands by name; what they lead to is handed to ``publish``.

    A kill is journaled and its cancels have been sent when it is answered, whether or not Kafka is there.
    """
    handlers: dict[str, CommandHandler] = {
        "kill": lambda fields: _kill(stage, publish, command_of(fields)),
        "release": lambda fields: _release(stage, publish, command_of(fields)),
        "resolve": lambda fields: _resolve(stage, publish, resolution_of(fields)),
        "book": lambda fields: _book(stage, publish, fields),
        "cancel": lambda fields: _cancel(stage, publish, fields),
        "replace": lambda fields: _replace(stage, publish, fields),
        "limits": lambda fields: _tighten(stage, fields),
    }
    witnessed = {name: _told(name, handler, stage) for name, handler in handlers.items()}
    return {"status": lambda fields: _status(stage), **witnessed}


def _told(name: str, handler: CommandHandler, stage: OrderPlane) -> CommandHandler:
    """``handler`` with an entry in the audit log on whatever it refuses."""

    def carry_out(fields: Fields) -> dict[str, JsonValue]:
        try:
            return handler(fields)
        except _Witnessed:
            raise
        except CommandRefused as refusal:
            asked: Mapping[str, object] = fields
            with suppress(CommandRefused):  # of a kill switch command, what it says
                asked = command_of(fields).model_dump(mode="json", exclude_none=True)
            stage.supervision.witness(refused(name, asked, str(refusal)))
            raise

    return carry_out


def _kill(stage: OrderPlane, publish: Publish, command: KillSwitchCommand) -> dict[str, JsonValue]:
    """Whoever names this plane means it to do something: what it could not do is refused."""
    switch = stage.desk.switch
    if not switch.concerns(command):
        raise CommandRefused(f"this order plane trades another account than {command.target}; nothing was done")
    if not command.engage and command.scope is not KillScope.SYMBOL and switch.engaged_as(command) is None:
        engaged = ", ".join(f"{each.scope.value} {each.target}" for each in switch.engaged) or "none"
        raise CommandRefused(f"no switch {command.scope.value} {command.target} is engaged; engaged: {engaged}")
    try:
        said = [*stage.handlers[KillSwitchCommand](command)]
        due = None if command.scope is KillScope.SYMBOL else len(_uncancelled(stage))  # a halt cancels nothing
        said += stage.settle()
    except Unprocessable as verdict:
        raise _Witnessed(verdict.error.rule) from None
    publish([command, *said])
    doubt = unmet(command, stage.desk.books.known(command))
    return {**_status(stage), "messages": len(said), "due": due, "unmet": doubt}


def _release(stage: OrderPlane, publish: Publish, command: KillSwitchCommand) -> dict[str, JsonValue]:
    if command.engage or command.scope is not KillScope.SYMBOL:
        raise CommandRefused("this releases the halt of a symbol and does nothing else")
    if command.target not in stage.desk.halts.reasons:
        raise CommandRefused("that symbol is not halted")
    return _kill(stage, publish, command)


def _resolve(stage: OrderPlane, publish: Publish, resolution: Resolution) -> dict[str, JsonValue]:
    try:
        said = [*stage.resolve(resolution), *stage.settle()]
    except NotInDoubt as refusal:
        raise CommandRefused(str(refusal)) from None
    publish(said)
    return {"messages": len(said), "in_doubt": stage.desk.in_doubt}


def _book(stage: OrderPlane, publish: Publish, fields: Fields) -> dict[str, JsonValue]:
    try:
        fill = fill_of(fields, _named(stage.desk, str(fields.get("intent_id") or "")))
        booked = [*stage.book(fill)]
    except NotBookable as refusal:
        raise CommandRefused(str(refusal)) from None
    publish([*booked, *stage.settle()])
    return {"booked": bool(booked)}


def _cancel(stage: OrderPlane, publish: Publish, fields: Fields) -> dict[str, JsonValue]:
    intent_id, request_id, reason = _wish(stage, fields)
    try:
        stage.cancel(intent_id, request_id, reason)
    except NotOpen as refusal:
        raise CommandRefused(str(refusal)) from None
    said = list(stage.settle())
    publish(said)
    return {"messages": len(said), "waits": intent_id in stage.uncancelled}


def _replace(stage: OrderPlane, publish: Publish, fields: Fields) -> dict[str, JsonValue]:
    intent_id, request_id, reason = _wish(stage, fields)
    terms = terms_of(fields)
    try:
        stage.upkeep.wish(intent_id, request_id, terms.quantity, terms.limit_price, reason)
    except (NotOpen, NotReplaceable) as refusal:
        raise CommandRefused(str(refusal)) from None
    said = list(stage.settle())
    publish(said)
    told = [each for each in said if isinstance(each, ExecutionReport) and each.intent_id == intent_id]
    return {"messages": len(said), "outcome": told[-1].reject_reason if told else None}


def _wish(stage: OrderPlane, fields: Fields) -> tuple[UUID, str, str]:
    """Which order somebody wants something of, the name of the wish, and who wants it and why."""
    operator, reason = signature_of(fields)
    return (
        _named(stage.desk, str(fields.get("intent_id") or "")),
        f"operator-{operator}-{stage.desk.as_of().isoformat()}",
        f"{operator}: {reason}"[:512],
    )


def _named(desk: Desk, reference: str) -> UUID:
    """The intent whose id is ``reference``, or the one with an open order whose id begins so."""
    with suppress(ValueError):
        return UUID(reference)
    ids = [each.intent.intent_id for each in desk.open_orders]
    found = [each for each in ids if reference and str(each).startswith(reference.lower())]
    if len(found) != 1:
        many = f"{len(found)} open orders have" if found else "no open order has"
        raise CommandRefused(f"{many} an id that begins with {reference}; algotrade orders list shows all")
    return found[0]


def _status(stage: OrderPlane) -> dict[str, JsonValue]:
    desk, guards = stage.desk, stage.supervision.guards
    positions: dict[str, JsonValue] = dict(desk.positions)
    beyond: dict[str, JsonValue] | None = None if desk.books.beyond is None else dict(desk.books.beyond)
    return {
        "journal_id": stage.journal_id,
        "killed": bool(desk.switch.engaged),
        "switches": [
            {**each.model_dump(mode="json", exclude={"event_type"}), "unmet": unmet(each, desk.books.known(each))}
            for each in desk.switch.engaged
        ],
        "open_orders": len(desk.open_orders),
        "in_doubt": desk.in_doubt,
        "key_life": stage.key_life.value,
        "halted": dict(desk.halts.reasons),
        "newest": _newest(stage),
        "uncancelled": _uncancelled(stage),
        "positions": positions,
        "beyond": beyond,
        "reconciled": stage.upkeep.reconciled,
        "held": desk.halts.held,
        "guards": [_measured(guard) for guard in guards.all] if guards is not None else [],
    }


def _uncancelled(stage: OrderPlane) -> list[JsonValue]:
    """The orders that a switch wants cancelled and that may work, and those that nobody wants."""
    strays = [each for each in stage.uncancelled.values() if each.stray]
    return [
        *(f"{order.intent.intent_id} {order.intent.symbol}" for order, _ in stage.desk.cancels.covered()),
        *(f"{each.intent_id} order {each.order_id}, which nobody wants" for each in strays),
    ]


def _newest(stage: OrderPlane) -> dict[str, JsonValue]:
    """The newest command that holds each switch and each halt: a release must name it."""
    standing = (*stage.desk.switch.engaged, *stage.desk.halts.engaged)
    newest = ((each, stage.supervision.newest(each)) for each in standing)
    return {switch_name(each.scope, each.target): str(last.command_id) for each, last in newest if last is not None}


def _tighten(stage: OrderPlane, fields: Fields) -> dict[str, JsonValue]:
    operator, reason = signature_of(fields)
    if fields.get("forget") is True:
        stage.supervision.forget_limits(operator, reason)
        return {"changed": []}
    try:
        limits = LimitSettings.model_validate_json(json.dumps(fields.get("limits")))
        changed = stage.supervision.tighten(limits, operator, reason)
    except ValidationError as error:
        names = ", ".join(sorted({".".join(map(str, each["loc"])) for each in error.errors()}))
        raise CommandRefused(f"these limits are wrong: {names or 'all'}") from None
    except LooserLimit as error:
        raise _Witnessed(str(error)) from None
    return {"changed": [*changed]}


def _measured(guard: PerformanceGuard) -> JsonValue:
    """What a guard measures; numbers that cannot be known are null."""
    sharpe = None if isnan(guard.sharpe) else guard.sharpe
    watch = guard.watch
    return {
        "scope": guard.scope.value,
        "target": guard.target,
        "equity": watch.last,
        "pnl": watch.profit,
        "drawdown": watch.drawdown,
        "psr": sharpe,
        "tripped": [*guard.tripped],
        "holding": [cause for cause in guard.tripped if guard.holds(cause)],
    }
