"""The wheel holds everything that the installed program needs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

IN_THE_WHEEL = (
    "contracts/schemas/**/*.json",
    "backtest/assets/*",
    "gates/schemas/*.json",
    "launcher/kafka/pom.xml",
    "*/**/*.py",
)


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(place)]
    subprocess.run(build, cwd=root, check=True, capture_output=True, timeout=120)
    (built,) = place.glob("*.whl")
    return built


def test_the_wheel_holds_code_schemas_assets_and_nothing_else(root: Path, wheel: Path, linter: dict[str, Any]) -> None:
    packages = set(linter["root_packages"])
    held = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    needed = {str(path.relative_to(root)) for pattern in IN_THE_WHEEL for path in root.glob(pattern)}
    assert {name for name in needed if name.partition("/")[0] in packages} <= held
    assert {name.partition("/")[0] for name in held} == packages


def test_the_installed_program_finds_its_files(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target", str(site), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True, capture_output=True, timeout=120)
    assert _say(site, "import launcher.cli as cli; print(cli.__file__)") == str(site / "launcher" / "cli.py")
    checked = _say(
        site, "import sys; sys.argv = ['algotrade', 'schemas', 'check']; from launcher.cli import main; main()"
    )
    assert checked.startswith("schemas match the contracts")


def _say(site: Path, code: str) -> str:
    """What ``code`` prints with the wheel ahead of every other copy, outside the repository."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=site.parent,
        env=os.environ | {"PYTHONPATH": str(site), "COLUMNS": "200"},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout.strip()
