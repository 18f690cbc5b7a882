"""The committed schemas are those of the models, are packaged, and break nothing that was released."""

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from jsonschema import Draft202012Validator

from contracts.codec import MESSAGE_TYPES
from contracts.schema_export import IncompatibleChange, check, check_compatibility, export, release, schema_of

ROOT = Path(__file__).parents[3]


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    export(tmp_path)
    return tmp_path


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


def test_the_committed_schemas_are_those_of_the_models() -> None:
    assert check() == []


def test_the_committed_schemas_break_nothing_that_was_released() -> None:
    assert check_compatibility() == []


def test_every_contract_has_a_schema_that_is_packaged() -> None:
    names = {f"{event_type}.schema.json" for event_type in MESSAGE_TYPES}
    packaged = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert {f"contracts/schemas/{name}" for name in names} <= packaged
    assert names <= {entry.name for entry in resources.files("contracts").joinpath("schemas").iterdir()}


@pytest.mark.parametrize("event_type", sorted(MESSAGE_TYPES))
def test_a_schema_is_valid_and_says_what_it_is(event_type: str) -> None:
    schema = schema_of(MESSAGE_TYPES[event_type])
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:algo-trade:schema:{event_type}:1"
    assert schema["title"] == MESSAGE_TYPES[event_type].__name__
    assert schema["x-schema-version"] == 1
    assert schema["additionalProperties"] is False
    assert list(schema["properties"]) == list(MESSAGE_TYPES[event_type].model_fields)
    assert "event_type" in schema["required"]


def patterns(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (rule for word, rule in node.items() if word == "pattern" and isinstance(rule, str))
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from patterns(child)


def test_no_pattern_lets_a_trailing_newline_pass_in_python() -> None:
    found = [pattern for message in MESSAGE_TYPES.values() for pattern in patterns(schema_of(message))]
    assert found
    assert [pattern for pattern in found if not pattern.endswith(r"$(?!\n)")] == []


def test_the_text_is_the_same_on_every_export(tmp_path: Path) -> None:
    first = {path.name: path.read_bytes() for path in export(tmp_path / "a")}
    second = {path.name: path.read_bytes() for path in export(tmp_path / "b")}
    assert first == second
    assert all(text.endswith(b"}\n") and b"\r" not in text for text in first.values())


def test_drift_says_what_to_run(exported: Path) -> None:
    assert check(exported) == []
    (exported / "bar_event.schema.json").unlink()
    edit(exported / "tick_event.schema.json", title="Other")
    (exported / "old_event.schema.json").write_text("{}", "utf-8")
    assert check(exported) == [
        "bar_event.schema.json is missing: run `algotrade schemas export`",
        "tick_event.schema.json differs from its model: run `algotrade schemas export`",
        "old_event.schema.json belongs to no contract: run `algotrade schemas export`",
    ]
    export(exported)
    assert check(exported) == []


def test_a_released_contract_may_only_widen(exported: Path) -> None:
    released = exported / "released"
    release(exported)
    assert {path.name for path in released.iterdir()} == {path.name for path in exported.glob("*.json")}
    assert check_compatibility(exported, released) == []
    old = json.loads((released / "bar_event.schema.json").read_text("utf-8"))
    edit(released / "bar_event.schema.json", required=old["required"][:-1])
    assert check_compatibility(exported, released) == [
        "bar_event/volume: the field became required; undo it or raise schema_version"
    ]
    with pytest.raises(IncompatibleChange, match="bar_event/volume"):
        release(exported)


def test_a_raised_version_may_change_anything(exported: Path) -> None:
    released = exported / "released"
    release(exported)
    edit(released / "bar_event.schema.json", required=[], **{"x-schema-version": 0})
    assert check_compatibility(exported, released) == []
    release(exported)
    assert json.loads((released / "bar_event.schema.json").read_text("utf-8"))["x-schema-version"] == 1


def test_a_contract_cannot_just_disappear(exported: Path) -> None:
    release(exported)
    (exported / "released" / "old_event.schema.json").write_text("{}", "utf-8")
    (broken,) = check_compatibility(exported, exported / "released")
    assert broken.startswith("old_event: the contract was removed")
