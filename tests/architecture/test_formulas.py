"""docs/formulas.md names every formula, the source in its docstring, and tests that hold it against other programs."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[([^]]+)\]\(\.\./([\w/]+\.py)(?:#(\w+))?\)")
YEAR = re.compile(r"\b(?:19|20)\d\d\b")
SURNAME = re.compile(r"\b[A-ZÄÖÜ][A-Za-zäöüé]{3,}")
ARRAYS = re.compile(r"\b(?:Vector|Matrix|ArrayLike|Floats|NDArray)\b")
SHAPE = re.compile(r"\bshape\b|\((?:n|m|k|T|K|moments|periods|paths)(?:,| \+ 1,)")
ALL_FORMULAS = (
    *("domain/costs.py", "domain/performance.py", "domain/probabilistic_sharpe.py", "order_plane/execution_costs.py"),
    *("strategy_plane/sizing.py", "strategy_plane/strategies/dual_momentum.py"),
    *("strategy_plane/ensemble/*.py", "strategy_plane/optimizers/*.py", "strategy_plane/regime/*.py"),
    *("strategy_plane/signals/*.py", "strategy_plane/validation/*.py"),
)
"""Where every public function is a formula, but for those below."""
SEARCHED = (*ALL_FORMULAS, "domain/*.py", "strategy_plane/**/*.py", "data_plane/order_flow.py")
"""Where a docstring that gives a year of publication makes a formula."""
NO_FORMULAS = {
    *("market_by_size", "build_optimizer", "build_risk_model", "build_costs", "factor_count", "slack_of"),
    *("objective", "constraints", "CrossChecked", "fault_of_input", "conflict", "relaxations"),  # the same problem
    *(
        "whole_market",
        "score_panel",
        "features_of",
        "gated",
        "require_bootstrap",
        "PredictiveAbility",
        "at_volatility_of",
    ),
    *(
        "EarningsSurprise",
        "Positioning",
        "Sentiment",
        "Technical",
        "VolatilityPremium",
        "judge",
    ),  # put together of them
    *("DualMomentum", "Separation", "Summary", "BarRun", "period_of"),
}
RANKING = "strategy_plane/strategies/momentum.py"
"""Its class has the name of the signal that it ranks by."""


class Row(NamedTuple):
    """One line of a table: a formula, its file, and the other three cells."""

    formula: str
    file: str
    source: str
    programs: str
    published: str


def rows(text: str) -> Iterator[Row]:
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4:
            for name, file, _ in LINK.findall(cells[0]):
                yield Row(name.strip("`"), file, *cells[1:])


TABLE = list(rows((ROOT / "docs/formulas.md").read_text("utf-8")))


@cache
def definitions(file: str) -> dict[str, str]:
    """Public functions and classes of a file, and the docstring of each."""
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    found = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))
    return {node.name: " ".join((ast.get_docstring(node) or "").split()) for node in found if node.name[0] != "_"}


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def takes_arrays(row: Row) -> bool:
    """Whether a formula is a function whose arguments or answer are arrays; of a class the fields are documented."""
    for node in ast.parse((ROOT / row.file).read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == row.formula:
            said = [*(each.annotation for each in node.args.args), node.returns]
            return any(ARRAYS.search(ast.unparse(each)) for each in said if each)
    return False


def files(patterns: tuple[str, ...]) -> list[str]:
    return sorted({str(each.relative_to(ROOT)) for pattern in patterns for each in ROOT.glob(pattern)})


def missing_words(source: str, docstring: str) -> list[str]:
    """Names and years of ``source`` that the docstring does not give."""
    words = SURNAME.findall(source) + YEAR.findall(source)
    return [word for word in words if word not in docstring]


def plain(words: str) -> str:
    return words.lower().replace("-", "_")


def faults(cell: str, formula: str) -> list[str]:
    """What is wrong with the tests that a cell names."""
    wrong = []
    for label, file, test in LINK.findall(cell):
        text = (ROOT / file).read_text("utf-8") if (ROOT / file).is_file() else ""
        if test not in functions(file) if text else True:
            wrong.append(f"{file} has no {test}")
        elif not re.search(rf"\b{formula}\b", text):
            wrong.append(f"{file} does not use {formula}")
        elif plain(label) not in plain(text):
            wrong.append(f"{file} does not name {label}")
    return wrong


def test_every_formula_is_in_the_table_and_nothing_else() -> None:
    named = {(row.file, row.formula) for row in TABLE}
    known = {(file, name) for file in files(ALL_FORMULAS) for name in definitions(file) if name in functions(file)}
    known |= {(file, n) for file in files(SEARCHED) for n, said in definitions(file).items() if YEAR.search(said)}
    expected = {(file, name) for file, name in known if name not in NO_FORMULAS and file != RANKING}
    assert expected - named == set()
    assert {(file, name) for file, name in named if name not in definitions(file)} == set()
    assert len(named) == len(TABLE)


def test_what_is_said_to_be_no_formula_exists() -> None:
    assert {name for file in files(SEARCHED) for name in definitions(file)} >= NO_FORMULAS


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.formula)
def test_the_docstring_gives_the_source(row: Row) -> None:
    assert row.source
    assert missing_words(row.source, definitions(row.file)[row.formula]) == []


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.formula)
def test_a_function_of_arrays_gives_their_shapes(row: Row) -> None:
    assert not takes_arrays(row) or SHAPE.search(definitions(row.file)[row.formula])


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.formula)
def test_the_tests_exist_and_are_of_the_formula(row: Row) -> None:
    assert faults(row.programs, row.formula) == []
    if row.published:
        assert LINK.findall(row.published)
        assert [each for each in faults(row.published, row.formula) if "does not name" not in each] == []


def test_what_has_no_published_example_is_listed_with_what_holds_it_instead() -> None:
    text = (ROOT / "docs/formulas.md").read_text("utf-8")
    section = text.partition("## Without a published example")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    listed = {name: line for line in lines for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert listed.keys() == {row.formula for row in TABLE if not row.published}
    for name, line in listed.items():
        tests = LINK.findall(line)
        assert tests, name
        assert [each for each in faults(line, name) if "does not name" not in each] == []


def test_what_no_program_computes_is_named_in_the_decision() -> None:
    decision = (ROOT / "docs/decisions/0020-what-each-formula-is-held-against.md").read_text("utf-8")
    alone = {row.formula for row in TABLE if not LINK.findall(row.programs)}
    assert {name for name in alone if f"`{name}`" not in decision} == set()


def test_a_fault_is_noticed() -> None:
    good = "[scipy](../tests/unit/strategy_plane/test_ensemble.py#test_ranks_are_those_of_scipy)"
    assert faults(good, "ranks") == []
    assert faults(good.replace("those", "none"), "ranks") != []
    assert faults(good, "yang_zhang") != []
    assert faults(good.replace("[scipy]", "[talib]"), "ranks") != []
    assert missing_words("Spearman (1904)", definitions("strategy_plane/ensemble/information.py")["long_short"]) != []
