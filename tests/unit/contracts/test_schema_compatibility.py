"""Narrowing a contract under the same version is an incompatible change; widening it is none."""

from typing import Any

import pytest

from contracts.schema_compatibility import incompatibilities

NULL = {"type": "null"}
NUMBER = {"type": "number", "minimum": 0, "maximum": 10}
BASE: dict[str, Any] = {
    "x-schema-version": 1,
    "type": "object",
    "title": "Message",
    "properties": {
        "symbol": {"type": "string", "pattern": "^[A-Z]+$", "minLength": 1, "maxLength": 8},
        "moment": {"type": "string", "format": "date-time"},
        "price": NUMBER,
        "size": {"type": "integer", "exclusiveMinimum": 0, "default": 1},
        "stop": {"anyOf": [NUMBER, NULL], "default": None},
        "side": {"$ref": "#/$defs/Side", "default": "BUY"},
        "kind": {"const": "a", "type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 5},
        "held": {"type": "object", "additionalProperties": NUMBER, "propertyNames": {"pattern": "^[A-Z]+$"}},
        "note": {"type": "string"},
    },
    "required": ["symbol", "price"],
    "additionalProperties": False,
    "allOf": [{"if": {"required": ["stop"]}, "then": {"required": ["side"]}}],
    "$defs": {"Side": {"enum": ["BUY", "SELL"], "type": "string"}},
}


def with_field(name: str, rule: dict[str, Any]) -> dict[str, Any]:
    return {**BASE, "properties": {**BASE["properties"], name: rule}}


def changed(name: str, **words: Any) -> dict[str, Any]:
    return with_field(name, {**BASE["properties"][name], **words})


def without(name: str, *words: str) -> dict[str, Any]:
    return with_field(name, {word: rule for word, rule in BASE["properties"][name].items() if word not in words})


NARROWED = {
    "field removed": ({**BASE, "properties": {k: v for k, v in BASE["properties"].items() if k != "note"}}, "/note"),
    "field required": ({**BASE, "required": ["symbol", "price", "size"]}, "/size"),
    "new required field": ({**with_field("new", {"type": "string"}), "required": ["symbol", "price", "new"]}, "/new"),
    "type changed": (changed("note", type="number"), "/note"),
    "number to integer": (changed("price", type="integer"), "/price"),
    "null forbidden": (with_field("stop", NUMBER), "/stop"),
    "number forbidden": (with_field("stop", NULL), "/stop"),
    "range in a choice": (with_field("stop", {"anyOf": [{**NUMBER, "maximum": 9}, NULL], "default": None}), "/stop"),
    "minimum raised": (changed("price", minimum=1), "/price"),
    "minimum excluded": (changed("price", exclusiveMinimum=0), "/price"),
    "maximum lowered": (changed("price", maximum=9), "/price"),
    "maximum excluded": (changed("price", exclusiveMaximum=10), "/price"),
    "bound added": (changed("size", maximum=10), "/size"),
    "text shortened": (changed("symbol", maxLength=7), "/symbol"),
    "text lengthened": (changed("symbol", minLength=2), "/symbol"),
    "length added": (changed("note", maxLength=100), "/note"),
    "pattern changed": (changed("symbol", pattern="^[A-Z]{2,}$"), "/symbol"),
    "pattern added": (changed("note", pattern="^x"), "/note"),
    "format added": (changed("note", format="uuid"), "/note"),
    "format changed": (changed("moment", format="date"), "/moment"),
    "value removed": ({**BASE, "$defs": {"Side": {"enum": ["BUY"], "type": "string"}}}, "/side"),
    "values listed": (changed("note", enum=["a"]), "/note"),
    "constant changed": (with_field("kind", {"const": "b", "type": "string"}), "/kind"),
    "constant set": (changed("note", const="a"), "/note"),
    "default changed": (changed("size", default=2), "/size"),
    "default of a choice changed": (changed("stop", default=1), "/stop"),
    "entries limited": (changed("tags", maxItems=4), "/tags"),
    "entries narrowed": (changed("tags", items={"type": "string", "maxLength": 3}), "/tags/*"),
    "entries unique": (changed("tags", uniqueItems=True), "/tags"),
    "values of a mapping narrowed": (changed("held", additionalProperties={**NUMBER, "maximum": 1}), "/held/*"),
    "keys of a mapping narrowed": (changed("held", propertyNames={"pattern": "^A$"}), "/held/*"),
    "keys of a mapping restricted": (changed("held", minProperties=1), "/held"),
    "rule across fields": ({**BASE, "allOf": [*BASE["allOf"], {"required": ["note"]}]}, ""),
    "version lowered": ({**BASE, "x-schema-version": 0}, ""),
}
WIDENED = {
    "nothing": BASE,
    "words": {**BASE, "title": "Other", "description": "New words."},
    "new optional field": with_field("new", {"type": "string", "default": "x"}),
    "no longer required": {**BASE, "required": ["symbol"]},
    "integer to number": changed("size", type="number"),
    "null allowed": with_field("price", {"anyOf": [NUMBER, NULL]}),
    "any type": without("note", "type"),
    "minimum lowered": changed("price", minimum=-1),
    "minimum included": with_field("size", {"type": "integer", "minimum": 0, "default": 1}),
    "maximum raised": changed("price", maximum=11),
    "bound removed": without("price", "maximum"),
    "longer text": changed("symbol", maxLength=9, minLength=0),
    "pattern removed": without("symbol", "pattern"),
    "format removed": without("moment", "format"),
    "value added": {**BASE, "$defs": {"Side": {"enum": ["BUY", "SELL", "SHORT"], "type": "string"}}},
    "constant to a list": with_field("kind", {"enum": ["a", "b"], "type": "string"}),
    "constant freed": with_field("kind", {"type": "string"}),
    "reference written out": with_field("side", {"enum": ["SELL", "BUY"], "type": "string", "default": "BUY"}),
    "choice reordered": with_field("stop", {"anyOf": [NULL, NUMBER], "default": None}),
    "more entries": changed("tags", maxItems=6),
    "any entries": without("tags", "items", "maxItems"),
    "rule across fields dropped": {word: rule for word, rule in BASE.items() if word != "allOf"},
    "opened": {**BASE, "additionalProperties": True},
}


@pytest.mark.parametrize("change", sorted(NARROWED))
def test_narrowing_is_incompatible(change: str) -> None:
    new, place = NARROWED[change]
    found = incompatibilities(BASE, new)
    assert found
    assert all(sentence.startswith(f"{place}") and ": " in sentence for sentence in found)


@pytest.mark.parametrize("change", sorted(NARROWED.keys() - {"version lowered"}))
def test_a_raised_version_permits_narrowing(change: str) -> None:
    new, _ = NARROWED[change]
    assert incompatibilities(BASE, {**new, "x-schema-version": 2}) == []


@pytest.mark.parametrize("change", sorted(WIDENED))
def test_widening_is_compatible(change: str) -> None:
    assert incompatibilities(BASE, WIDENED[change]) == []


def test_closing_an_open_contract_is_incompatible() -> None:
    assert incompatibilities({**BASE, "additionalProperties": True}, BASE) == [": additional properties were closed"]
    assert incompatibilities({word: rule for word, rule in BASE.items() if word != "additionalProperties"}, BASE)


def test_every_change_is_reported() -> None:
    new = {**changed("price", minimum=1, maximum=9), "required": ["symbol", "price", "size"]}
    assert incompatibilities(BASE, new) == [
        "/price: minimum was narrowed",
        "/price: maximum was narrowed",
        "/size: the field became required",
    ]
