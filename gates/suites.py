"""Stages 4 and 5: the suites pass on this code, and the stage tests can be run."""

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from gates.artifact import AnyArtifact, Collected, Suites
from gates.context import Context, check
from ibkr_client.library import LIBRARIES, find_library
from kernel.code_version import source_digest

SUITES = ("tests.unit", "tests.ports")
ADAPTER = "tests.ports.test_any_broker"
"""What every broker promises; the cases of Interactive Brokers bear the name of the client library."""
MARKERS = ("stage6", "stage7", "stage8")
CODE = "code_digest"
"""Name of the property in a JUnit report that says which code was tested; tests/conftest.py writes it."""
_SUITE_SECONDS = 3_600
_COLLECT_SECONDS = 300


class NoReport(ValueError):
    """There is no JUnit report that can be read; the text says where it was looked for."""


class Report(NamedTuple):
    """What JUnit reports tell: tests as ``module.of.it::name``, and the code that was tested, empty if not said.

    A test that was skipped did not run.
    """

    ran: frozenset[str]
    failed: frozenset[str]
    skipped: frozenset[str]
    code: str


def run_suites(context: Context, junit: Sequence[Path] = ()) -> AnyArtifact:
    """Judge JUnit reports together, or run unit and port suites here to get one.

    A test ran if it did in one of them and failed if it did in any: client libraries exclude each other, so that each
    needs an environment, and a report, of its own. Over the adapter must be tested with the one that trades here.

    Raises:
        LibraryMissing: when it is not known which one that is.
        NoReport: for an unreadable one.
    """
    trades = find_library()
    if not junit:
        junit = (context.shelf.directory / "junit.xml",)
        context.shelf.directory.mkdir(parents=True, exist_ok=True)
        _pytest(context.root, [*(name.replace(".", "/") for name in SUITES), f"--junitxml={junit[0]}"], _SUITE_SECONDS)
    reports, digest = [read_junit(path) for path in junit], source_digest()
    ran = {name for each in reports for name in each.ran}
    failed = {name for each in reports for name in each.failed}
    skipped = {name for each in reports for name in each.skipped} - ran
    tests, over = Counter(".".join(name.split(".")[:2]) for name in ran), _over_the_adapter(ran)
    absent = _not_run(context.root, ran)
    others = [each.code or "not said" for each in reports if each.code != digest]
    checks = [
        *(check(f"{name.partition('.')[2]} suite", tests[name] > 0, "tests were run", tests[name]) for name in SUITES),
        check("every file of tests was run", not absent, "all of both suites", ", ".join(absent) or "all"),
        check(
            "the port suite ran over Interactive Brokers",
            over[trades] > 0,
            f"tests of {ADAPTER} with {trades}, which trades here",
            ", ".join(f"{library}: {count}" for library, count in over.items()),
        ),
        check("nothing failed", not failed, "no failure and no error", len(failed)),
        check("the reports are of this code", not others, "the digest of the sources", ", ".join(others) or digest),
    ]
    names = ", ".join(path.name for path in junit)
    found = Suites(tests={name: tests[name] for name in SUITES}, failed=len(failed), skipped=len(skipped), report=names)
    return context.finish(4, checks, found)


def read_junit(path: Path) -> Report:
    """What a report tells; raises NoReport."""
    try:
        root = ElementTree.parse(path).getroot()  # noqa: S314 - a file that the user's own pytest wrote
    except (OSError, ElementTree.ParseError):
        raise NoReport(f"{path} is no JUnit report; write one with pytest --junitxml") from None
    ran, failed, skipped = set[str](), set[str](), set[str]()
    for case in root.iter("testcase"):
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        (ran if case.find("skipped") is None else skipped).add(name)
        if case.find("failure") is not None or case.find("error") is not None:
            failed.add(name)
    codes = {each.get("value", "") for each in root.iter("property") if each.get("name") == CODE}
    return Report(frozenset(ran), frozenset(failed), frozenset(skipped), codes.pop() if len(codes) == 1 else "")


def _over_the_adapter(ran: Set[str]) -> dict[str, int]:
    """How many tests of any broker ran over Interactive Brokers, by client library."""
    cases = [name.partition("[")[2].rstrip("]").split("-") for name in ran if name.startswith(f"{ADAPTER}::")]
    return {library: sum(library in each for each in cases) for library in LIBRARIES}


def _not_run(root: Path, ran: Set[str]) -> list[str]:
    """Files of tests in the suites of which nothing ran, as modules."""
    paths = (path for name in SUITES for path in (root / name.replace(".", "/")).rglob("test_*.py"))
    modules = sorted(".".join(path.relative_to(root).with_suffix("").parts) for path in paths)
    return [name for name in modules if not any(each.startswith((f"{name}::", f"{name}.")) for each in ran)]


def run_collection(context: Context) -> AnyArtifact:
    """Count the stage tests that pytest finds."""
    with ThreadPoolExecutor(len(MARKERS)) as pool:  # each start of pytest takes seconds
        counted = dict(zip(MARKERS, pool.map(partial(_collected, context.root), MARKERS), strict=True))
    checks = [check(f"{name} is collected", count > 0, "at least one test", count) for name, count in counted.items()]
    return context.finish(5, checks, Collected(tests=counted))


def _collected(root: Path, marker: str) -> int:
    said = _pytest(root, ["tests/prelive", "--collect-only", "-m", marker], _COLLECT_SECONDS)
    return sum("::" in line for line in said.splitlines())


def _pytest(root: Path, arguments: list[str], seconds: int) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=seconds, check=False).stdout
