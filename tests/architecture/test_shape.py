"""The code stays small enough to own: file and function sizes, one-sentence modules, no mode switches."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    *(
        "contracts",
        "domain",
        "kernel",
        "data_plane",
        "strategy_plane",
        "order_plane",
        "backtest",
        "gates",
        "ibkr_client",
        "ibkr_sim",
        "launcher",
    ),
)
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "manager", "misc", "common"}
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 50


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(params=MODULES, ids=_name)
def module(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_a_file_fits_in_one_head(module: Path) -> None:
    assert len(module.read_text("utf-8").splitlines()) <= MAX_FILE_LINES


def test_functions_are_shorter_than_fifty_lines(module: Path) -> None:
    long = [
        f"{node.name} ({_body_lines(node)})"
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _body_lines(node) >= MAX_FUNCTION_LINES
    ]
    assert long == []


def test_the_first_line_of_a_module_is_one_sentence(module: Path) -> None:
    doc = ast.get_docstring(ast.parse(module.read_text("utf-8")))
    assert doc is not None
    first = doc.splitlines()[0]
    assert first.endswith(".")
    assert first.count(". ") == 0


def test_a_module_is_named_for_what_it_holds(module: Path) -> None:
    assert module.stem not in FORBIDDEN_NAMES


def test_modes_are_chosen_in_composition_only(module: Path) -> None:
    if module.name in {"composition.py", "app.py", "settings.py"} or module.parent.name == "launcher":
        return
    switches = re.findall(
        r"\bif [^\n]*\b(mode|is_live|is_backtest|live_mode|backtest_mode)\b", module.read_text("utf-8")
    )
    assert switches == []


def test_folders_that_are_not_packages_stay_that_way() -> None:
    for folder in ("tests", "fixtures", "docker", "k8s", "benchmarks"):
        assert not list((ROOT / folder).rglob("__init__.py"))


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body
    if ast.get_docstring(node) is not None:
        body = body[1:]
    return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1
