"""Message layouts as tables: which field stands where, of which kind, from which server version to which."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite, isnan
from typing import TypeAlias

Values = Mapping[str, object]

UNSET_DOUBLE = "1.7976931348623157E308"
UNSET_INTEGER = "2147483647"
_HUGE = "1.797693134862315"
_SIZES_ARE_DECIMAL = 163


class Kind(StrEnum):
    """How a value is written, and what an unset one becomes."""

    TEXT = "text"
    INT = "int"
    BOOL = "bool"
    PRICE = "price"
    SIZE = "size"
    DOUBLE = "double"
    WHOLE = "whole"


_UNSET = {
    Kind.TEXT: "",
    Kind.INT: "0",
    Kind.BOOL: "0",
    Kind.PRICE: "0.0",
    Kind.SIZE: "0",
    Kind.DOUBLE: UNSET_DOUBLE,
    Kind.WHOLE: UNSET_INTEGER,
}
_FIELD = re.compile(r"(?P<name>\w+)(:(?P<kind>\w+))?(>=(?P<since>\d+))?(<(?P<until>\d+))?\Z")


class MalformedMessageError(ValueError):
    """A message is shorter than its layout, or a field is of another kind."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field, present when ``since`` <= server version < ``until``."""

    name: str
    kind: Kind = Kind.TEXT
    since: int = 0
    until: int = 1000


@dataclass(frozen=True, slots=True)
class Constant:
    """A field that always says the same, such as a version number; skipped when read."""

    text: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """A count, then as many rows of ``parts``; the value is a list of mappings under ``name``."""

    name: str
    parts: tuple["Part", ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """Fields that are text already, a list under ``name``; for long answers only, never read."""

    name: str


@dataclass(frozen=True, slots=True)
class When:
    """``parts`` follow only if field ``name``, read or given before, has one of ``values``; any set value if none."""

    name: str
    parts: tuple["Part", ...]
    values: tuple[str, ...] = ()


Part: TypeAlias = Field | Constant | Repeat | Ready | When


def fields(text: str) -> tuple[Part, ...]:
    """Parts of a line such as ``=11 reqId:int size:size duration:whole>=158 faProfile<177``.

    ``=x`` is a constant; a name alone is text; ``:kind`` one of `Kind`; ``>=`` and ``<`` bound the server version.

    Raises:
        ValueError: when a word is none of these.
    """
    return tuple(_part(word) for word in text.split())


def _part(word: str) -> Part:
    if word.startswith("="):
        return Constant(word[1:])
    found = _FIELD.match(word)
    if found is None:
        raise ValueError(f"layout word {word!r} is not name[:kind][>=since][<until]")
    kind = Kind(found["kind"] or "text")
    return Field(found["name"], kind, int(found["since"] or 0), int(found["until"] or 1000))


def read(parts: Sequence[Part], texts: Iterator[str], version: int) -> dict[str, str]:
    """The values of a message, as text; rows of a repeat are counted in ``name`` and skipped.

    Raises:
        MalformedMessageError: when fields are missing.
    """
    values: dict[str, str] = {}
    try:
        _read(parts, texts, version, values)
    except StopIteration:
        raise MalformedMessageError("the message ends before its last field") from None
    return values


def _read(parts: Sequence[Part], texts: Iterator[str], version: int, values: dict[str, str]) -> None:
    for part in parts:
        match part:
            case Field(name, _, since, until):
                if since <= version < until:
                    values[name] = next(texts)
            case Constant():
                next(texts)
            case Repeat():
                _read_rows(part, texts, version, values)
            case When(name, inner, wanted):
                if _holds(values.get(name, ""), wanted):
                    _read(inner, texts, version, values)


def _read_rows(part: Repeat, texts: Iterator[str], version: int, values: dict[str, str]) -> None:
    values[part.name] = next(texts)
    for number in range(integer(values[part.name])):
        row: dict[str, str] = {}
        _read(part.parts, texts, version, row)
        values |= {f"{part.name}.{number}.{key}": value for key, value in row.items()}


def write(parts: Sequence[Part], values: Values, version: int) -> list[str]:
    """The fields of a message as text; what ``values`` lacks is written as unset."""
    texts: list[str] = []
    _write(parts, values, version, texts)
    return texts


def _write(parts: Sequence[Part], values: Values, version: int, texts: list[str]) -> None:
    append, get = texts.append, values.get
    for part in parts:
        # Fields are nearly all of a message, and openOrder has more than a hundred: this is what an order costs.
        if type(part) is Field:
            if part.since <= version < part.until:
                value = get(part.name)
                append(_UNSET[part.kind] if value is None else text_of(value, part.kind, version))
        elif type(part) is Constant:
            append(part.text)
        else:
            _write_some(part, values, version, texts)


def _write_some(part: Part, values: Values, version: int, texts: list[str]) -> None:
    match part:
        case Repeat(name, inner):
            rows = values.get(name)
            listed = rows if isinstance(rows, list) else []
            texts.append(str(len(listed)))
            for row in listed:
                _write(inner, row, version, texts)
        case Ready(name):
            ready = values.get(name)
            texts += ready if isinstance(ready, list) else []
        case When(name, inner, wanted):
            if _holds(text_of(values.get(name), Kind.TEXT, version), wanted):
                _write(inner, values, version, texts)


def _holds(value: str, wanted: tuple[str, ...]) -> bool:
    return value in wanted if wanted else value not in ("", "0", "0.0") and not value.startswith(_HUGE)


def text_of(value: object, kind: Kind, version: int) -> str:
    """``value`` as the protocol writes it; sizes are whole numbers for clients below version 163."""
    if type(value) is str and kind is not Kind.SIZE:
        return value or _UNSET[kind]
    if value is None or value == "":
        return _UNSET[kind]
    if isinstance(value, bool):
        return "1" if value else "0"
    if kind is Kind.SIZE:
        return _size(float(str(value)), version)
    if isinstance(value, float):
        return repr(value) if isfinite(value) else "Infinite"
    return str(value)


def _size(value: float, version: int) -> str:
    if value == int(value) or version < _SIZES_ARE_DECIMAL:
        return str(int(value))
    return repr(value)


def integer(text: str) -> int:
    """A whole number; an unset one is 0.

    Raises:
        MalformedMessageError: when it is none.
    """
    if text in ("", UNSET_INTEGER):
        return 0
    try:
        return int(text)
    except ValueError:
        raise MalformedMessageError("a whole number is expected") from None


def number(text: str) -> float | None:
    """A number; None when it is unset.

    Raises:
        MalformedMessageError: when it is none.
    """
    if not text or text.startswith(_HUGE):
        return None
    try:
        value = float("inf") if text == "Infinite" else float(text)
    except ValueError:
        raise MalformedMessageError("a number is expected") from None
    if isnan(value):
        raise MalformedMessageError("a number is expected")
    return value


def flag(text: str) -> bool:
    """A yes or no; unset means no."""
    return text not in ("", "0", "false", "False")
