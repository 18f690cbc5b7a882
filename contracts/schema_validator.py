"""Validate one message from outside and say what is wrong with it; never raises on bad input."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from importlib import resources
from typing import Any
from uuid import UUID

from contracts.base import Message
from contracts.codec import ContractViolation, ErrorCode, FieldError, decode
from contracts.market import BarEvent, OFIEvent, TickEvent
from contracts.trading import ExecutionReport, OrderIntent

Data = bytes | bytearray | memoryview | str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """The verdict on one message: the parsed message when valid, every broken rule when not."""

    is_valid: bool
    validated_data: Message | None
    errors: tuple[FieldError, ...] = ()

    def __bool__(self) -> bool:
        return self.is_valid


def validate_bar_event(data: Data, *, json_schema: bool = False) -> ValidationResult:
    """Validate a `BarEvent`; ``json_schema`` also holds it against the committed JSON Schema."""
    return _validate(data, (BarEvent,), json_schema=json_schema)


def validate_tick_event(data: Data, *, json_schema: bool = False) -> ValidationResult:
    """Validate a `TickEvent`; ``json_schema`` also holds it against the committed JSON Schema."""
    return _validate(data, (TickEvent,), json_schema=json_schema)


def validate_ofi_event(data: Data, *, json_schema: bool = False) -> ValidationResult:
    """Validate an `OFIEvent`; ``json_schema`` also holds it against the committed JSON Schema."""
    return _validate(data, (OFIEvent,), json_schema=json_schema)


def validate_order_intent(data: Data, *, json_schema: bool = False) -> ValidationResult:
    """Validate an `OrderIntent`; ``json_schema`` also holds it against the committed JSON Schema."""
    return _validate(data, (OrderIntent,), json_schema=json_schema)


def validate_execution_report(data: Data, *, json_schema: bool = False) -> ValidationResult:
    """Validate an `ExecutionReport`; ``json_schema`` also holds it against the committed JSON Schema."""
    return _validate(data, (ExecutionReport,), json_schema=json_schema)


def validate_message(data: Data, *, json_schema: bool = False) -> ValidationResult:
    """Validate any message of the platform, told apart by its ``event_type``."""
    return _validate(data, None, json_schema=json_schema)


def _validate(data: Data, accepts: tuple[type[Message], ...] | None, *, json_schema: bool) -> ValidationResult:
    try:
        raw = _as_bytes(data)
        message = decode(raw, accepts)
        if json_schema:
            _hold_against_schema(raw, message)
    except ContractViolation as violation:
        return ValidationResult(False, None, violation.errors)
    return ValidationResult(True, message)


def _as_bytes(data: Data) -> bytes:
    if isinstance(data, bytes):
        return data
    try:
        if isinstance(data, str):
            return data.encode("utf-8")
        if isinstance(data, bytearray | memoryview):
            return bytes(data)
        if isinstance(data, Mapping):
            return json.dumps(dict(data), default=_scalar).encode("utf-8")
    except UnicodeEncodeError:
        raise ContractViolation([FieldError("", "not UTF-8", ErrorCode.NOT_UTF8)]) from None
    except (TypeError, ValueError, RecursionError):
        raise ContractViolation([FieldError("", "a value has no JSON form", ErrorCode.NOT_JSON)]) from None
    raise ContractViolation([FieldError("", "expected bytes, text or a mapping", ErrorCode.NOT_JSON)])


def _scalar(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID | Enum):
        return str(value)
    raise TypeError


def _hold_against_schema(raw: bytes, message: Message) -> None:
    event_type = str(type(message).model_fields["event_type"].default)
    found = sorted(_schema_validator(event_type).iter_errors(json.loads(raw)), key=lambda e: e.json_path)
    if found:
        raise ContractViolation(
            [
                FieldError(
                    "".join(f"/{step}" for step in error.absolute_path),
                    f"breaks the schema's rule {error.validator}",
                    ErrorCode.SCHEMA_INVALID,
                )
                for error in found
            ]
        )


@cache
def _schema_validator(event_type: str) -> Any:  # noqa: ANN401 - a jsonschema validator
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - only callers who ask for it pay for it

    text = resources.files("contracts").joinpath("schemas", f"{event_type}.schema.json").read_text("utf-8")
    return Draft202012Validator(json.loads(text), format_checker=Draft202012Validator.FORMAT_CHECKER)
