"""Tell which changes of a JSON Schema refuse, or read differently, what the old one let pass."""

from collections.abc import Iterator
from typing import cast

from pydantic import JsonValue

Schema = dict[str, JsonValue]

_ANNOTATIONS = {"$schema", "$id", "$defs", "title", "description", "x-schema-version", "examples"}
_BOUNDS = (
    ("minimum", "exclusiveMinimum", 1),
    ("maximum", "exclusiveMaximum", -1),
    ("minLength", "", 1),
    ("maxLength", "", -1),
    ("minItems", "", 1),
    ("maxItems", "", -1),
)
_COMPARED = {
    *(word for inclusive, exclusive, _ in _BOUNDS for word in (inclusive, exclusive)),
    *("type", "enum", "const", "default", "required", "properties"),
    *("additionalProperties", "propertyNames", "items", "anyOf", "allOf"),
}


def incompatibilities(old: Schema, new: Schema) -> list[str]:
    """Changes from ``old`` to ``new`` after which a message of the old contract may be refused or misread.

    Topics keep old messages, and a restart reads them again, so every message that fitted ``old`` must fit
    ``new`` and mean the same. Writers may be upgraded only after their readers: a new optional field or a
    new enum value is no incompatibility here. Each change starts with the JSON Pointer of its place in
    a message (``*`` for any entry). A raised ``x-schema-version`` permits everything, a lowered one nothing.
    """
    before, after = (cast("int", schema.get("x-schema-version", 0)) for schema in (old, new))
    if after > before:
        return []
    if after < before:
        return [": x-schema-version was lowered"]
    return list(_Comparison(old, new).changes("", old, new))


class _Comparison:
    """Two documents and the definitions their references point to."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old = cast("dict[str, Schema]", old.get("$defs", {}))
        self._new = cast("dict[str, Schema]", new.get("$defs", {}))

    def changes(self, path: str, old: JsonValue, new: JsonValue) -> Iterator[str]:
        """Every incompatible change below ``path``."""
        before, after = _resolved(old, self._old), _resolved(new, self._new)
        if "anyOf" in before or "anyOf" in after:
            yield from self._alternatives(path, before, after)
            before, after = ({w: r for w, r in node.items() if w == "default"} for node in (before, after))
        yield from _scalar_changes(path, before, after)
        yield from self._object_changes(path, before, after)
        if "items" in after:
            yield from self.changes(f"{path}/*", before.get("items", {}), after["items"])

    def _alternatives(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        offered = cast("list[JsonValue]", new.get("anyOf", [new]))
        for before in cast("list[JsonValue]", old.get("anyOf", [old])):
            attempts = [list(self.changes(path, before, after)) for after in offered]
            yield from min(attempts, key=len)

    def _object_changes(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        yield from self._field_changes(path, old, new)
        yield from self._entry_changes(path, old, new)
        known = cast("list[JsonValue]", old.get("allOf", []))
        if any(rule not in known for rule in cast("list[JsonValue]", new.get("allOf", []))):
            yield f"{path}: a rule across fields was added or changed"

    def _field_changes(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        before = cast("dict[str, JsonValue]", old.get("properties", {}))
        after = cast("dict[str, JsonValue]", new.get("properties", {}))
        for name, rule in before.items():
            if name not in after:
                yield f"{path}/{name}: the field was removed"
            else:
                yield from self.changes(f"{path}/{name}", rule, after[name])
        required = set(cast("list[str]", old.get("required", [])))
        for name in cast("list[str]", new.get("required", [])):
            if name not in required:
                yield f"{path}/{name}: the field became required"

    def _entry_changes(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if after is False and before is not False:
            yield f"{path}: additional properties were closed"
        elif isinstance(after, dict) and before is not False:
            yield from self.changes(f"{path}/*", before if isinstance(before, dict) else {}, after)
        if "propertyNames" in new:
            yield from self.changes(f"{path}/*(key)", old.get("propertyNames", {}), new["propertyNames"])


def _resolved(node: JsonValue, definitions: dict[str, Schema]) -> Schema:
    schema = cast("Schema", node)
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    beside = {word: rule for word, rule in schema.items() if word != "$ref"}
    return {**definitions[reference.removeprefix("#/$defs/")], **beside}


def _scalar_changes(path: str, old: Schema, new: Schema) -> Iterator[str]:
    if not _types(old) <= _types(new):
        yield f"{path}: the type was narrowed"
    if "enum" in new or "const" in new:
        allowed = _values(new)
        if "enum" not in old and "const" not in old:
            yield f"{path}: the values were limited to a list"
        elif any(value not in allowed for value in _values(old)):
            yield f"{path}: a value was removed"
    yield from _rule_changes(path, old, new)


def _rule_changes(path: str, old: Schema, new: Schema) -> Iterator[str]:
    for inclusive, exclusive, sign in _BOUNDS:
        if _bound(new, inclusive, exclusive, sign) > _bound(old, inclusive, exclusive, sign):
            yield f"{path}: {inclusive} was narrowed"
    if "default" in old and "default" in new and old["default"] != new["default"]:
        yield f"{path}: the default changed, so messages without the field mean something else"
    for word in sorted((old.keys() | new.keys()) - _COMPARED - _ANNOTATIONS):
        if word in new and (word not in old or old[word] != new[word]):
            yield f"{path}: {word} was added or changed"


def _types(schema: Schema) -> set[str]:
    named = schema.get("type", [])
    types = set(cast("list[str]", [named] if isinstance(named, str) else named))
    if not types:
        return {"array", "boolean", "integer", "null", "number", "object", "string"}
    return types | {"integer"} if "number" in types else types


def _values(schema: Schema) -> list[JsonValue]:
    return [schema["const"]] if "const" in schema else cast("list[JsonValue]", schema["enum"])


def _bound(schema: Schema, inclusive: str, exclusive: str, sign: int) -> tuple[float, bool]:
    """How tight one side is: larger is narrower, and an excluded bound is narrower than the same bound allowed."""
    limits = [
        (sign * cast("float", schema[word]), word == exclusive) for word in (inclusive, exclusive) if word in schema
    ]
    return max(limits, default=(float("-inf"), False))
