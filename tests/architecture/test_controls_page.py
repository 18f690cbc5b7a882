"""The page of the controls says what the code does: codes, files and settings exist, and none is left out."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from order_plane.limit_settings import LimitSettings
from order_plane.safety import performance_guard, symbol_halts
from order_plane.settings import OrderSettings

REFUSAL = re.compile(r"Refusal\(\s*\"([A-Z_]+)\"")


@pytest.fixture
def table(root: Path) -> dict[str, str]:
    text = (root / "docs" / "controls.md").read_text("utf-8")
    return {found[1]: found[0] for found in re.finditer(r"^\| (C\d+) \|.*$", text, re.MULTILINE)}


def refusals(root: Path) -> set[str]:
    """The codes that controls refuse with."""
    files = (root / "order_plane").rglob("*.py")
    return {code for file in files for code in REFUSAL.findall(file.read_text("utf-8"))}


def setting(name: str) -> bool:
    """Whether the order plane has that setting."""
    found: type[BaseModel] | None = OrderSettings
    for part in name.split("."):
        if found is None or part not in found.model_fields:
            return False
        kind = found.model_fields[part].annotation
        found = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    return True


def test_codes_are_those_of_the_code(root: Path, table: dict[str, str]) -> None:
    told = {code for row in table.values() for code in re.findall(r"`([A-Z][A-Z_]+)`", row)}
    causes = {*performance_guard.CAUSES, *symbol_halts.CAUSES}
    assert refusals(root) <= told
    assert told - refusals(root) - {"LIMITS_IN_FORCE", "STARTED_OTHERWISE"} <= causes


def test_files_exist_and_no_control_is_left_out(root: Path, table: dict[str, str]) -> None:
    told = {name for row in table.values() for name in re.findall(r"`(order_plane/[\w/]+\.py)`", row)}
    assert sorted(name for name in told if not (root / name).is_file()) == []
    controls = {f"order_plane/risk/{file.name}" for file in (root / "order_plane" / "risk").glob("*.py")}
    assert controls - told == {"order_plane/risk/__init__.py", "order_plane/risk/port.py"}


def test_settings_exist_and_no_limit_is_left_out(table: dict[str, str]) -> None:
    cells = [row.split("|")[5] for row in table.values()]
    told = {name for cell in cells for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)*)`", cell)}
    assert sorted(name for name in told if not setting(name)) == []
    assert {f"limits.{name}" for name in LimitSettings.model_fields} <= told
