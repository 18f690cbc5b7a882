"""What pyproject.toml says of the code: its packages and its pure heart."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def pyproject() -> dict[str, Any]:
    """The project's one configuration file."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@pytest.fixture(scope="session")
def linter(pyproject: dict[str, Any]) -> dict[str, Any]:
    """The configuration of import-linter."""
    return pyproject["tool"]["importlinter"]


@pytest.fixture(scope="session")
def pure(linter: dict[str, Any]) -> list[str]:
    """The modules that must be pure."""
    (contract,) = (each for each in linter["contracts"] if each["id"] == "purity")
    return contract["source_modules"]
