"""Bytes to messages and back, with one verdict and one reason for every bad byte."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, NoReturn

from pydantic import Field, TypeAdapter, ValidationError

from contracts.base import Message
from contracts.topics import MAX_MESSAGE_BYTES, TOPIC_OF

MESSAGE_TYPES: Mapping[str, type[Message]] = {
    str(message.model_fields["event_type"].default): message for message in TOPIC_OF
}
"""Every contract by the ``event_type`` it carries on the wire."""

_UTF8_BOM = b"\xef\xbb\xbf"


class ErrorCode(StrEnum):
    """Why a message was refused; a closed list that dead letters are filtered by."""

    NOT_UTF8 = "NOT_UTF8"
    NOT_JSON = "NOT_JSON"
    DUPLICATE_KEY = "DUPLICATE_KEY"
    UNKNOWN_SCHEMA = "UNKNOWN_SCHEMA"
    SCHEMA_INVALID = "SCHEMA_INVALID"
    NON_FINITE = "NON_FINITE"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    TOO_LARGE = "TOO_LARGE"
    STALE = "STALE"
    SEQ_GAP = "SEQ_GAP"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    HANDLER_BUG = "HANDLER_BUG"
    DEPENDENCY_DOWN = "DEPENDENCY_DOWN"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One broken rule: ``path`` is a JSON Pointer, ``rule`` a sentence that never repeats the input."""

    path: str
    rule: str
    code: ErrorCode

    def __str__(self) -> str:
        return f"{self.path or '/'}: {self.rule} [{self.code}]"


class ContractViolation(ValueError):
    """The bytes are no message of the platform; ``errors`` say where and by which rule."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(str(error) for error in self.errors[:3]))

    @property
    def first(self) -> FieldError:
        """The error that a dead letter is filed under."""
        return self.errors[0]


def encode(message: Message) -> bytes:
    """The message as canonical JSON: contract order, UTF-8, no blanks."""
    return message.__pydantic_serializer__.to_json(message)


def decode(raw: bytes, accepts: tuple[type[Message], ...] | None = None) -> Message:
    """Parse and validate ``raw`` as one of ``accepts`` (any contract when None).

    Raises:
        ContractViolation: with every broken rule that the validator found.
    """
    adapter = _adapter(accepts)
    if len(raw) > MAX_MESSAGE_BYTES:
        _refuse("", f"message exceeds {MAX_MESSAGE_BYTES} bytes", ErrorCode.TOO_LARGE)
    try:
        message: Message = adapter.validate_json(raw)
    except ValidationError as error:
        raise ContractViolation(_explain(raw, error)) from None
    if _may_repeat_a_key(raw, len(message.__pydantic_fields_set__)):
        _refuse_repeated_keys(raw)
    return message


@cache
def _adapter(accepts: tuple[type[Message], ...] | None) -> Any:  # noqa: ANN401 - a compiled validator
    types = accepts or tuple(MESSAGE_TYPES.values())
    if len(types) == 1:
        return types[0].__pydantic_validator__
    union: Any = types[0]
    for other in types[1:]:
        union = union | other
    return TypeAdapter(Annotated[union, Field(discriminator="event_type")]).validator


def _may_repeat_a_key(raw: bytes, distinct_keys: int) -> bool:
    """Whether only a full parse can tell that no key stands twice.

    In text without blanks and escapes every key is followed by ``":`` at once, so as many of them as
    distinct keys were read leaves no room for a repeated one.
    """
    return raw.count(b'":') != distinct_keys or b"\\" in raw or b" " in raw or raw.split(None, 1)[0] != raw


def _refuse_repeated_keys(raw: bytes) -> None:
    def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(pairs)
        if len(seen) != len(pairs):
            _refuse("", "a key stands twice in one object", ErrorCode.DUPLICATE_KEY)
        return seen

    json.loads(raw, object_pairs_hook=no_repeats)


_CODE_OF_RULE = {
    "finite_number": ErrorCode.NON_FINITE,
    "json_invalid": ErrorCode.NOT_JSON,
    "union_tag_invalid": ErrorCode.UNKNOWN_SCHEMA,
    "union_tag_not_found": ErrorCode.UNKNOWN_SCHEMA,
    "greater_than": ErrorCode.OUT_OF_RANGE,
    "greater_than_equal": ErrorCode.OUT_OF_RANGE,
    "less_than": ErrorCode.OUT_OF_RANGE,
    "less_than_equal": ErrorCode.OUT_OF_RANGE,
}
_QUOTES_INPUT = {
    "union_tag_invalid": "event_type is not one this topic accepts",
    "union_tag_not_found": "event_type is missing",
    "json_invalid": "not a JSON object of the contract",
    "extra_forbidden": "field is not part of the contract",
}


def _explain(raw: bytes, error: ValidationError) -> list[FieldError]:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return [FieldError("", "not UTF-8", ErrorCode.NOT_UTF8)]
    if raw.startswith(_UTF8_BOM):
        return [FieldError("", "starts with a byte order mark", ErrorCode.NOT_UTF8)]
    return [
        _field_error(found["type"], found["loc"], found["msg"])
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _field_error(kind: str, location: tuple[int | str, ...], text: str) -> FieldError:
    steps = [step for step in location if step not in MESSAGE_TYPES]
    if kind == "extra_forbidden":
        steps = steps[:-1]  # the unknown name is input too, and must not be echoed
    path = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return FieldError(path, _QUOTES_INPUT.get(kind, text), _CODE_OF_RULE.get(kind, ErrorCode.SCHEMA_INVALID))


def _refuse(path: str, rule: str, code: ErrorCode) -> NoReturn:
    raise ContractViolation([FieldError(path, rule, code)])
