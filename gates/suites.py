"""Stages 4 and 5: the suites pass on this code, and the stage tests can be run."""

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from gates.artifact import AnyArtifact, Collected, Suites
from gates.context import Context, check
from kernel.code_version import source_digest

SUITES = ("tests.unit", "tests.ports")
MARKERS = ("stage6", "stage7", "stage8")
CODE = "code_digest"
"""Name of the property in a JUnit report that says which code was tested; tests/conftest.py writes it."""
_SUITE_SECONDS = 3_600
_COLLECT_SECONDS = 300


class NoReport(ValueError):
    """There is no JUnit report that can be read; the text says where it was looked for."""


def run_suites(context: Context, junit: Path | None = None) -> AnyArtifact:
    """Judge a JUnit report, or run unit and port suites to get one; raises NoReport when it cannot be read."""
    if junit is None:
        junit = context.shelf.directory / "junit.xml"
        context.shelf.directory.mkdir(parents=True, exist_ok=True)
        _pytest(context.root, [*(name.replace(".", "/") for name in SUITES), f"--junitxml={junit}"], _SUITE_SECONDS)
    tests, failed, skipped, code = read_junit(junit)
    absent = _not_run(context.root, junit)
    checks = [
        *(check(f"{name.partition('.')[2]} suite", tests[name] > 0, "tests were run", tests[name]) for name in SUITES),
        check("every file of tests was run", not absent, "all of both suites", ", ".join(absent) or "all"),
        check("nothing failed", failed == 0, "no failure and no error", failed),
        check("the report is of this code", code == source_digest(), "the digest of the sources", code or "not said"),
    ]
    found = Suites(tests=dict(tests), failed=failed, skipped=skipped, report=junit.name)
    return context.finish(4, checks, found)


def read_junit(path: Path) -> tuple[Counter[str], int, int, str]:
    """Tests that ran by suite, failures, skips, and the code that was tested; raises NoReport."""
    try:
        root = ElementTree.parse(path).getroot()  # noqa: S314 - a file that the user's own pytest wrote
    except (OSError, ElementTree.ParseError):
        raise NoReport(f"{path} is no JUnit report; write one with pytest --junitxml") from None
    tests: Counter[str] = Counter()
    failed = skipped = 0
    for case in root.iter("testcase"):
        if case.find("skipped") is not None:
            skipped += 1
            continue
        failed += case.find("failure") is not None or case.find("error") is not None
        tests[".".join(case.get("classname", "").split(".")[:2])] += 1
    codes = {each.get("value", "") for each in root.iter("property") if each.get("name") == CODE}
    return tests, failed, skipped, codes.pop() if len(codes) == 1 else ""


def _not_run(root: Path, junit: Path) -> list[str]:
    """Files of tests in the suites that a report does not speak of, as modules; a skipped test counts as run."""
    cases = ElementTree.parse(junit).getroot().iter("testcase")  # noqa: S314 - as above
    told = [f"{each.get('classname') or each.get('name', '')}." for each in cases]
    paths = (path for name in SUITES for path in (root / name.replace(".", "/")).rglob("test_*.py"))
    modules = sorted(".".join(path.relative_to(root).with_suffix("").parts) for path in paths)
    return [name for name in modules if not any(each.startswith(f"{name}.") for each in told)]


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
