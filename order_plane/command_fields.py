"""What the fields of an operator's command say, and what must be right about them."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Self, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from contracts.codec import ContractViolation, decode
from contracts.control import KillSwitchCommand
from order_plane.command_channel import CommandRefused, Fields
from order_plane.facts import Fact, FactKind
from order_plane.journals.port import Resolution, Verdict

_READABLE = r"^[^\x00-\x1f\x7f]+$"
_Form = TypeVar("_Form", bound=BaseModel)
_Amount = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
_FIRST, _LAST = datetime(1700, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


class Terms(BaseModel):
    """What an order is to become; what is not given stays."""

    quantity: _Amount | None = None
    limit_price: _Amount | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.quantity is None and self.limit_price is None:
            raise ValueError("nothing is to be changed")
        return self


def terms_of(fields: Fields) -> Terms:
    """What an order is to become; raises CommandRefused when nothing is to be changed, or to nothing that can be."""
    try:
        return Terms.model_validate({name: fields.get(name) for name in Terms.model_fields})
    except ValidationError:
        raise CommandRefused("a quantity (units) or a limit_price above 0 is needed, or both") from None


def signature_of(fields: Fields) -> tuple[str, str]:
    """Who asks and why; raises CommandRefused when one is missing or cannot be written down."""
    try:
        signed = _Signature.model_validate({name: fields.get(name) for name in ("operator", "reason")})
    except ValidationError:
        raise CommandRefused("a named operator (at most 64 characters) and a reason (400) are needed") from None
    return signed.operator, signed.reason


def command_of(fields: Fields) -> KillSwitchCommand:
    """The kill switch command in the fields of a command; raises CommandRefused when there is none."""
    try:
        command = decode(str(fields.get("message", "")).encode(), (KillSwitchCommand,))
    except ContractViolation as violation:
        raise CommandRefused(f"no kill switch command: {violation.first}") from None
    assert isinstance(command, KillSwitchCommand)  # noqa: S101 - nothing else is decoded
    return command


def fill_of(fields: Fields, intent_id: UUID) -> Fact:
    """The execution that somebody read at the venue; raises CommandRefused when a field is missing or wrong."""
    told = _signed_as(
        _Execution,
        fields,
        "An execution has the venue's name of it (at most 64 characters, no blanks), a quantity and a price above 0, a "
        "commission, and a time with an offset; a name and a reason sign it",
    )
    reason = f"BOOKED: signed by {told.operator}: {told.reason}"
    terms = told.quantity, told.price, told.commission
    return Fact(intent_id, FactKind.FILL, told.fill, told.at, "", *terms, reason=reason)


def kills_among(requests: Iterable[Fields]) -> list[KillSwitchCommand]:
    """The kills that wait to be carried out: what must be known before the next order leaves."""
    found = []
    for fields in requests:
        if fields.get("command") == "kill":
            with suppress(CommandRefused):  # it is answered when its turn comes
                found.append(command_of(fields))
    return [command for command in found if command.engage]


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
        "changes": [*resolution.changes],
    }


class _Signature(BaseModel):
    """Who decided and why, in words that every report and record can hold."""

    model_config = ConfigDict(str_strip_whitespace=True)

    operator: Annotated[str, Field(min_length=1, max_length=64, pattern=_READABLE)]
    reason: Annotated[str, Field(min_length=1, max_length=400, pattern=_READABLE)]


class _Signed(_Signature):
    """What a decision must be like before it may become durable: every report on it must be one that can be said."""

    intent_id: UUID
    attempt: Annotated[int, Field(ge=1, le=1_000_000)]
    verdict: Verdict
    at: Annotated[AwareDatetime, Field(ge=_FIRST, le=_LAST)]
    order_id: Annotated[str, Field(pattern=r"^[!-~]{0,64}$")] = ""
    changes: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] = ()


class _Execution(_Signature):
    """An execution that a person tells of; money in currency units."""

    fill: Annotated[str, Field(pattern=r"^[!-~]{1,64}$")]
    quantity: _Amount
    price: _Amount
    commission: Annotated[float, Field(allow_inf_nan=False, strict=True)] = 0.0
    at: Annotated[AwareDatetime, Field(ge=_FIRST, le=_LAST)]


def resolution_of(fields: Fields) -> Resolution:
    """The decision in the fields of a command; raises CommandRefused when a field is missing or wrong."""
    signed = _signed_as(
        _Signed,
        fields,
        "A decision is signed with a name (at most 64 characters) and a reason (400), of an attempt, at a time with an "
        "offset; an order id has no blanks and at most 64 characters",
    )
    if (signed.verdict is Verdict.ADOPTED) != bool(signed.order_id):
        raise CommandRefused("an adopted order needs the venue's order id, and only that")
    return Resolution(**dict(signed))


def _signed_as(model: type[_Form], fields: Fields, wanted: str) -> _Form:
    """The fields as ``model``; raises CommandRefused with those that are wrong and what is ``wanted``."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        wrong = ", ".join(sorted({str(each["loc"][0]) for each in error.errors()}))
        raise CommandRefused(f"{wrong}: wrong or missing. {wanted}") from None
