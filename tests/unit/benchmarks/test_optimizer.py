"""The benchmark of optimisation passes nothing that it has not measured."""

import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
FAST = {"ours": 1.0, "direct": 1.0, "rebuilt": 20.0}


@pytest.fixture(scope="module")
def benchmark(load_benchmark) -> ModuleType:
    return load_benchmark("optimizer")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (FAST, "not compared: cvxportfolio"),
        (FAST | {"cvxportfolio": 1.1}, "PASS"),
        (FAST | {"cvxportfolio": 0.9}, "FAIL: cvxportfolio"),
        (FAST | {"rebuilt": 2.0}, "FAIL: 3 times rebuilt"),
    ],
)
def test_what_was_not_compared_is_no_pass(benchmark: ModuleType, found: dict[str, float], said: str):
    assert benchmark.verdict(20, found, ("cvxportfolio",)) == said


def test_every_peer_has_one_version():
    peers = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]["peers"]
    assert [each for each in peers if not re.fullmatch(r"[\w-]+==[\w.]+", each)] == []
    assert "cvxportfolio" in {each.partition("==")[0] for each in peers}
