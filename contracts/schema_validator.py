"""Validate one message from outside and say what is wrong with it; never raises on bad input."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any
from uuid import UUID

from contracts.base import Message
from contracts.codec import Accepts, ContractViolation, ErrorCode, FieldError, decode, event_type_of, pointer
from contracts.market import BarEvent, OFIEvent, TickEvent
from contracts.topics import MAX_MESSAGE_BYTES
from contracts.trading import ExecutionReport, OrderIntent

Data = bytes | bytearray | memoryview | str | Mapping[str, Any]
"""One message: JSON as bytes or text, or a mapping of its fields (text, numbers, datetime, UUID)."""


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


def _validate(data: Data, accepts: Accepts, *, json_schema: bool) -> ValidationResult:
    try:
        raw = data if type(data) is bytes else _as_bytes(data)
        message = decode(raw, accepts)
        if json_schema:
            _hold_against_schema(raw, message)
    except ContractViolation as violation:
        return ValidationResult(False, None, violation.errors)
    return ValidationResult(True, message)


def _as_bytes(data: Data) -> bytes:
    try:
        if isinstance(data, bytes | bytearray | memoryview):
            return bytes(memoryview(data))
        if isinstance(data, str):
            return _encoded(data)
        if isinstance(data, Mapping):
            return json.dumps(_plain(data)).encode("ascii")
    except UnicodeEncodeError:
        reason = FieldError("", "not UTF-8", ErrorCode.NOT_UTF8)
    except Exception:  # noqa: BLE001 - a stranger's object may raise anything when it is looked at
        reason = FieldError("", "a key or a value has no JSON form", ErrorCode.NOT_JSON)
    else:
        reason = FieldError("", "expected bytes, text or a mapping", ErrorCode.NOT_JSON)
    raise ContractViolation([reason])


def _encoded(text: str) -> bytes:
    # One character is at least one byte, so text cut here is still too large.
    return str.encode(str.__getitem__(text, slice(MAX_MESSAGE_BYTES + 1)), "utf-8")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _hold_against_schema(raw: bytes, message: Message) -> None:
    found = sorted(
        (pointer(error.absolute_path), str(error.validator))
        for error in _schema_validator(event_type_of(type(message))).iter_errors(json.loads(raw))
    )
    if found:
        raise ContractViolation(
            [
                FieldError(path, f"breaks the rule '{rule}' of the JSON Schema", ErrorCode.SCHEMA_INVALID)
                for path, rule in found
            ]
        )


@cache
def _schema_validator(event_type: str) -> Any:  # noqa: ANN401 - a jsonschema validator
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - only callers who ask for it pay for it

    text = resources.files("contracts").joinpath("schemas", f"{event_type}.schema.json").read_text("utf-8")
    return Draft202012Validator(json.loads(text), format_checker=Draft202012Validator.FORMAT_CHECKER)
