"""The JSON Schemas of artifacts and signed documents, committed beside the code."""

import json
from pathlib import Path

from domain.go_live import Sheet, SignedGovernance, SignedRecord
from gates.artifact import MODELS
from gates.stages import GOVERNANCE, RECORD, STAGES

SCHEMAS = Path(__file__).parent / "schemas"


def schemas() -> dict[str, str]:
    """Text of each schema by the name of its file."""
    models: dict[str, type[Sheet]] = {RECORD: SignedRecord, GOVERNANCE: SignedGovernance}
    models |= {each.artifact: MODELS[each.number] for each in STAGES}
    found = {}
    for name, model in models.items():
        stem = name.removesuffix(".json").lower()
        schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:algo-trade:gates:{stem}:1",
            **model.model_json_schema(),
        }
        found[f"{stem}.schema.json"] = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return found


def export(directory: Path = SCHEMAS) -> list[Path]:
    """Write every schema and return where."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in schemas().items():
        (directory / name).write_text(text, "utf-8", newline="\n")
    return [directory / name for name in schemas()]


def check(directory: Path = SCHEMAS) -> list[str]:
    """What differs between the committed schemas and the models."""
    known = {path.name: path.read_text("utf-8") for path in directory.glob("*.schema.json")}
    wanted = schemas()
    return [
        f"{name}: not as the models say; run algotrade gates export"
        for name in sorted({*known, *wanted})
        if known.get(name) != wanted.get(name)
    ]
