"""Generate the JSON Schemas of all contracts and hold the committed ones against the models."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from pydantic import JsonValue
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema

from contracts.base import Message
from contracts.codec import MESSAGE_TYPES
from contracts.schema_compatibility import Schema, incompatibilities

__all__ = ["IncompatibleChange", "check", "check_compatibility", "export", "incompatibilities", "release", "schema_of"]

SCHEMAS = Path(__file__).parent / "schemas"
"""Where the committed schemas live, one ``<event_type>.schema.json`` for each contract."""
RELEASED = SCHEMAS / "released"
"""The schemas as last released: what messages already written and programs already running follow."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SUFFIX = ".schema.json"
_FIRST = ("$schema", "$id", "title", "description", "x-schema-version", "type", "properties", "required")
_FIX = "run `algotrade schemas export`"


class IncompatibleChange(ValueError):
    """A contract changed so that its messages and its readers no longer fit, under the same version."""

    def __init__(self, changes: list[str]) -> None:
        self.changes = tuple(changes)
        super().__init__("; ".join(changes))


class _Generator(GenerateJsonSchema):
    """Leaves out the title of each field, which only repeats its name."""

    def field_title_should_be_set(self, schema: CoreSchema) -> bool:
        return False


def schema_of(message: type[Message]) -> Schema:
    """The JSON Schema (draft 2020-12) of ``message`` as it crosses the wire, where ``event_type`` is required."""
    raw = message.model_json_schema(schema_generator=_Generator)
    schema = cast("Schema", _portable(raw))
    properties = cast("dict[str, Schema]", schema["properties"])
    event_type = properties["event_type"].pop("default")
    schema["required"] = [
        *(name for name in properties if name in {"event_type", *cast("list[str]", schema["required"])})
    ]
    schema["$schema"] = _DIALECT
    schema["$id"] = f"urn:algo-trade:schema:{event_type}:{message.schema_version}"
    schema["x-schema-version"] = message.schema_version
    return {name: schema[name] for name in (*_FIRST, *sorted(schema.keys() - set(_FIRST))) if name in schema}


def export(directory: Path = SCHEMAS) -> list[Path]:
    """Write the schema of every contract to ``directory``, delete those of contracts that are gone."""
    directory.mkdir(parents=True, exist_ok=True)
    texts = _texts()
    for path in directory.glob(f"*{_SUFFIX}"):
        if path.name not in texts:
            path.unlink()
    paths = [directory / name for name in texts]
    for path in paths:
        path.write_text(texts[path.name], "utf-8", newline="\n")
    return paths


def release(directory: Path = SCHEMAS) -> list[Path]:
    """Export, and keep a copy in ``released`` as the baseline that later changes are held against.

    Raises:
        IncompatibleChange: when the models break the baseline without a new ``schema_version``.
    """
    export(directory)
    broken = check_compatibility(directory, directory / RELEASED.name)
    if broken:
        raise IncompatibleChange(broken)
    return export(directory / RELEASED.name)


def check(directory: Path = SCHEMAS) -> list[str]:
    """Differences between the models and the files in ``directory``, each a sentence that says what to run."""
    texts = _texts()
    drift = []
    for name, text in texts.items():
        path = directory / name
        if not path.exists():
            drift.append(f"{name} is missing: {_FIX}")
        elif path.read_text("utf-8") != text:
            drift.append(f"{name} differs from its model: {_FIX}")
    strangers = sorted(path.name for path in directory.glob(f"*{_SUFFIX}") if path.name not in texts)
    return drift + [f"{name} belongs to no contract: {_FIX}" for name in strangers]


def check_compatibility(directory: Path = SCHEMAS, baseline: Path = RELEASED) -> list[str]:
    """Changes from the schemas in ``baseline`` to those in ``directory`` that break what is already written.

    Each is a sentence; a contract whose ``x-schema-version`` was raised may change freely.
    """
    broken = []
    for old_path in sorted(baseline.glob(f"*{_SUFFIX}")):
        event_type = old_path.name.removesuffix(_SUFFIX)
        new_path = directory / old_path.name
        if not new_path.exists():
            broken.append(f"{event_type}: the contract was removed, and messages of it are still in the topics")
            continue
        changes = incompatibilities(_read(old_path), _read(new_path))
        broken += [f"{event_type}{change}; undo it or raise schema_version" for change in changes]
    return broken


def _texts() -> Mapping[str, str]:
    return {
        f"{event_type}{_SUFFIX}": json.dumps(schema_of(message), indent=2) + "\n"
        for event_type, message in sorted(MESSAGE_TYPES.items())
    }


def _read(path: Path) -> Schema:
    return cast("Schema", json.loads(path.read_text("utf-8")))


def _portable(node: JsonValue, *, names: bool = False) -> JsonValue:
    """``node`` in words that every validator reads alike; ``names`` says that its keys are field names."""
    if isinstance(node, list):
        return [_portable(item) for item in node]
    if not isinstance(node, dict):
        return node
    if names:
        return {name: _portable(item) for name, item in node.items()}
    node = _with_checked_keys(node)
    plain = {word: _portable(node[word], names=word in {"properties", "$defs"}) for word in sorted(node)}
    for word, spell in (("pattern", _end_at_the_end), ("description", _plain_text)):
        if isinstance(plain.get(word), str):
            plain[word] = spell(cast("str", plain[word]))
    return plain


def _with_checked_keys(node: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Pydantic checks the keys of a mapping; ``patternProperties`` alone would let any other key pass."""
    rules = node.get("patternProperties")
    if not isinstance(rules, dict):
        return node
    ((pattern, values),) = rules.items()
    others = {word: rule for word, rule in node.items() if word != "patternProperties"}
    return {**others, "propertyNames": {"pattern": pattern}, "additionalProperties": values}


def _end_at_the_end(pattern: str) -> str:
    """In Python, unlike in ECMA-262 and Rust, a final ``$`` also matches before a trailing newline."""
    return re.sub(r"\$$", r"$(?!\\n)", pattern)


def _plain_text(description: str) -> str:
    return " ".join(description.replace("``", "`").split())
