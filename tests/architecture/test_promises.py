"""What is promised names the tests that prove it, and they exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

NAMED = re.compile(r"(tests/[\w/]+\.py)(?:::(\w+))?")
PROMISES, FAULTS = [f"P{number}" for number in range(1, 11)], [f"F{number}" for number in range(1, 37)]
CONTROLS = [f"C{number}" for number in range(1, 19)]


@cache
def names_in(file: Path) -> frozenset[str]:
    """The names of the tests of a file."""
    tree = ast.parse(file.read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def rows(text: str, letter: str) -> dict[str, str]:
    """The lines of a table by the name in their first cell."""
    return {found[1]: found[0] for found in re.finditer(rf"^\| ({letter}\d+) \|.*$", text, re.MULTILINE)}


def missing(root: Path, row: str) -> list[str]:
    """The tests that a row names and that are not there; a row without any lacks all."""
    named = NAMED.findall(row)
    if not named:
        return [row]
    return [
        f"{file}::{test}"
        for file, test in named
        if not (root / file).is_file() or (test and test not in names_in(root / file))
    ]


@pytest.mark.parametrize(
    ("document", "letter", "names"),
    [("README.md", "P", PROMISES), ("docs/faults.md", "F", FAULTS), ("docs/controls.md", "C", CONTROLS)],
)
def test_every_promise_names_tests_that_exist(root: Path, document: str, letter: str, names: list[str]) -> None:
    table = rows((root / document).read_text("utf-8"), letter)
    assert list(table) == names
    assert {name: missing(root, row) for name, row in table.items() if missing(root, row)} == {}


def test_every_test_of_a_fault_is_of_one_in_the_table(root: Path) -> None:
    marked = {
        name
        for file in (root / "tests").rglob("test_*.py")
        for words in re.findall(r"mark\.fault\(\s*\"([^\":]+):", file.read_text("utf-8"))
        for name in words.split()
    }
    assert {"F19", "P1"} <= marked <= {*FAULTS, *PROMISES}


def test_a_name_without_a_test_is_noticed(root: Path) -> None:
    assert missing(root, "| F1 | `tests/chaos/test_bad_lines.py::test_nothing_of_the_kind` |") != []
    assert missing(root, "| F1 | `tests/chaos/test_no_file.py` |") != []
    assert missing(root, "| F1 | nothing |") != []
