"""Bytes to messages and back, with one verdict and one reason for every bad byte."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import islice, takewhile
from types import MappingProxyType
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_core import SchemaValidator, core_schema

from contracts.base import Closed, Message
from contracts.topics import MAX_MESSAGE_BYTES, TOPIC_OF


def event_type_of(message: type[Message]) -> str:
    """The ``event_type`` that a contract carries on the wire."""
    return str(message.model_fields["event_type"].default)


MESSAGE_TYPES: Mapping[str, type[Message]] = MappingProxyType({event_type_of(message): message for message in TOPIC_OF})
"""Every contract by the ``event_type`` it carries on the wire."""
Accepts = tuple[type[Message], ...] | None
"""The contracts a reader understands; None stands for all of them."""

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


WHOLE = "the message"
"""What a person is told for the empty JSON Pointer, which is the root (RFC 6901, section 5)."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One broken rule: ``path`` is a JSON Pointer, ``rule`` a sentence that never repeats the input."""

    path: str
    rule: str
    code: ErrorCode

    def __str__(self) -> str:
        return f"{self.path or WHOLE}: {self.rule} [{self.code}]"


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


def encode_valid(message: Message) -> bytes:
    """The message as it may leave the process: `encode`, and read again.

    A message that was put together without validation shows here, and one that only JSON cannot say.

    Raises:
        ContractViolation: when no reader would take it.
    """
    raw = encode(message)
    decode(raw, (type(message),))
    return raw


def decode(raw: bytes, accepts: Accepts = None) -> Message:
    """Parse and validate ``raw`` as one of ``accepts`` (any contract when None).

    Raises:
        ContractViolation: with the broken rules that the validator found, at most 32.
    """
    if len(raw) > MAX_MESSAGE_BYTES:
        _refuse(f"message exceeds {MAX_MESSAGE_BYTES} bytes", ErrorCode.TOO_LARGE)
    validate = _validators.get(accepts) or _compile(accepts)
    try:
        message = validate(raw)
    except ValidationError as error:
        found = _explain(raw, error)
    else:
        keys = len(message.__pydantic_fields_set__)
        # A key brings one colon that no escape can hide, and every contract requires a timestamp, whose text
        # holds two: without escapes, a message with just so many colons has no room for a key twice.
        if raw.count(b":") != keys + 2 or _BACKSLASH in raw:
            _refuse_repeated_keys(raw, keys)
        return message
    # Raised out here, the refusal does not drag along pydantic's error, which holds the input.
    raise ContractViolation(found)


def pointer(steps: Iterable[int | str]) -> str:
    """The JSON Pointer (RFC 6901) of the deepest place that the contracts name.

    It ends before a key that came with the input: an unknown field, an entry of a mapping.
    """
    names = _field_names()
    known = takewhile(lambda step: isinstance(step, int) or step in names, steps)
    return "".join(f"/{step}" for step in known)


_validators: dict[Accepts, Callable[[bytes], Message]] = {}


def _compile(accepts: Accepts) -> Callable[[bytes], Message]:
    types = MESSAGE_TYPES.values() if accepts is None else accepts
    choices = {event_type_of(message): message.__pydantic_core_schema__ for message in types}
    schema = core_schema.tagged_union_schema(choices, discriminator="event_type")
    validate: Callable[[bytes], Message] = SchemaValidator(schema).validate_json
    _validators[accepts] = validate
    return validate


_BACKSLASH = ord("\\")
_BLANKS = b" \t\r\n"


def _refuse_repeated_keys(raw: bytes, distinct_keys: int) -> None:
    # In text without blanks every key, however it is spelled, is followed by ``":`` at once.
    if raw.count(b'":') == distinct_keys and not any(blank in raw for blank in _BLANKS):
        return

    def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(pairs)
        if len(seen) != len(pairs):
            _refuse("a key stands twice in one object", ErrorCode.DUPLICATE_KEY)
        return seen

    json.loads(raw, object_pairs_hook=no_repeats)


_CODE_OF_RULE = {
    "finite_number": ErrorCode.NON_FINITE,
    "json_invalid": ErrorCode.NOT_JSON,
    "greater_than": ErrorCode.OUT_OF_RANGE,
    "greater_than_equal": ErrorCode.OUT_OF_RANGE,
    "less_than": ErrorCode.OUT_OF_RANGE,
    "less_than_equal": ErrorCode.OUT_OF_RANGE,
}
_NO_SUCH_MOMENT = "not a moment of the calendar, 00:00:00 to 23:59:59, with an offset below 24:00"
_OWN_WORDS = {
    "union_tag_invalid": "event_type is not one that is accepted here",
    "union_tag_not_found": "event_type is missing",
    "json_invalid": "not JSON (RFC 8259)",
    "extra_forbidden": "a field is not part of the contract",
    "datetime_parsing": _NO_SUCH_MOMENT,
    "datetime_from_date_parsing": _NO_SUCH_MOMENT,
}
_MAX_ERRORS = 32


def _explain(raw: bytes, error: ValidationError) -> list[FieldError]:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return [FieldError("", "not UTF-8", ErrorCode.NOT_UTF8)]
    if raw.startswith(_UTF8_BOM):
        return [FieldError("", "starts with a byte order mark", ErrorCode.NOT_UTF8)]
    found = (
        _field_error(found["type"], found["loc"], found["msg"])
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    )
    return list(islice(dict.fromkeys(found), _MAX_ERRORS))


def _field_error(kind: str, location: tuple[int | str, ...], text: str) -> FieldError:
    steps = location[1:] if location and location[0] in MESSAGE_TYPES else location
    rule = _OWN_WORDS.get(kind, text)
    if kind.startswith("union_tag"):
        return FieldError("/event_type", rule, ErrorCode.UNKNOWN_SCHEMA)
    if steps and steps[-1] == "[key]":
        rule = f"a key of this object: {rule}"
    elif kind != "extra_forbidden" and any(step not in _field_names() for step in steps if isinstance(step, str)):
        rule = f"an entry of this object: {rule}"
    return FieldError(pointer(steps), rule, _CODE_OF_RULE.get(kind, ErrorCode.SCHEMA_INVALID))


@cache
def _field_names() -> frozenset[str]:
    names: set[str] = set()
    models = [Closed]
    while models:
        model = models.pop()
        names.update(model.model_fields)
        models += model.__subclasses__()
    return frozenset(names)


def _refuse(rule: str, code: ErrorCode) -> NoReturn:
    raise ContractViolation([FieldError("", rule, code)])
