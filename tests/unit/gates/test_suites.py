"""Stage 4: what reports of real runs of pytest say of the suites."""

import subprocess
import sys
from dataclasses import replace

import pytest

from gates import suites
from gates.suites import NoReport, read_junit
from ibkr_client.library import CHOICE, LibraryMissing
from kernel.code_version import ROOT, source_digest

CODE = """
import pytest

@pytest.fixture(scope="session", autouse=True)
def code(record_testsuite_property):
    record_testsuite_property("code_digest", "{}")
"""
OF_THIS_CODE = CODE.format(source_digest())
TESTS = """
import pytest

def test_good():
    pass

@pytest.mark.skip
def test_later():
    pass
"""
BROKERS = """
import os
import pytest

@pytest.fixture(params=["memory", "ib_insync", "ib_async"])
def broker(request):
    if request.param.startswith("ib_") and request.param != os.environ.get("INSTALLED"):
        pytest.skip(f"{request.param} is not installed here")

def test_an_order(broker):
    assert os.environ.get("BROKEN") is None or os.environ["BROKEN"] != os.environ.get("INSTALLED")
"""
ADAPTER = "the port suite ran over Interactive Brokers"


@pytest.fixture
def checkout(context, tmp_path, monkeypatch):
    """A small project with both suites, in which a client library may be installed."""
    monkeypatch.setenv(CHOICE, "ib_async")
    root = tmp_path / "checkout"
    for name, text in (("unit/test_unit.py", TESTS), ("ports/test_any_broker.py", BROKERS), ("conftest.py", "")):
        (root / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "tests" / name).write_text(text, "utf-8")
    (root / "tests" / "conftest.py").write_text(OF_THIS_CODE, "utf-8")
    return replace(context, root=root)


def report(checkout, monkeypatch, name="main", installed="", paths=("tests",)):
    """A real report of pytest, of an environment with a client library or without."""
    monkeypatch.setenv("INSTALLED", installed)
    path = checkout.root / f"junit-{name}.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths, f"--junitxml={path}"]
    subprocess.run(command, cwd=checkout.root, check=False, capture_output=True, timeout=60)
    return path


def failing(checkout, *reports):
    made = suites.run_suites(checkout, reports)
    return {each.name: each.found for each in made.checks if not each.passed}


def test_a_real_report_of_this_code_passes(checkout, monkeypatch):
    path = report(checkout, monkeypatch, installed="ib_async")
    told = read_junit(path)
    assert (len(told.ran), len(told.failed), len(told.skipped), told.code) == (3, 0, 2, source_digest())
    made = suites.run_suites(checkout, [path])
    assert made.passed
    assert made.findings.tests == {"tests.unit": 1, "tests.ports": 2}
    assert (made.findings.failed, made.findings.skipped, made.findings.report) == (0, 2, "junit-main.xml")


def test_without_a_client_library_the_adapter_is_not_tested_whatever_else_passes(checkout, monkeypatch):
    assert failing(checkout, report(checkout, monkeypatch)) == {ADAPTER: "ib_insync: 0, ib_async: 0"}


@pytest.mark.parametrize("library", ["ib_insync", "ib_async"])
def test_what_one_environment_skips_another_may_run(checkout, monkeypatch, library):
    main = report(checkout, monkeypatch)
    monkeypatch.setenv(CHOICE, library)
    apart = report(checkout, monkeypatch, library, library, ["tests/ports/test_any_broker.py"])
    assert failing(checkout, main, apart) == {}
    assert "every file of tests was run" in failing(checkout, apart)


def test_the_library_that_trades_here_is_the_one_that_must_have_been_tested(checkout, monkeypatch):
    path = report(checkout, monkeypatch, installed="ib_insync")
    assert failing(checkout, path) == {ADAPTER: "ib_insync: 1, ib_async: 0"}
    monkeypatch.setenv(CHOICE, "ib_insync")
    assert failing(checkout, path) == {}
    monkeypatch.setenv(CHOICE, "another")
    with pytest.raises(LibraryMissing, match=CHOICE):
        suites.run_suites(checkout, [path])


def test_a_failure_in_any_environment_counts_also_where_another_skips_or_passes_it(checkout, monkeypatch):
    main = report(checkout, monkeypatch, installed="ib_insync")
    monkeypatch.setenv("BROKEN", "ib_async")
    apart = report(checkout, monkeypatch, "apart", "ib_async", ["tests/ports"])
    assert failing(checkout, main, apart)["nothing failed"] == "2"


def test_every_report_must_be_of_this_code(checkout, monkeypatch):
    main = report(checkout, monkeypatch)
    (checkout.root / "tests" / "conftest.py").write_text(CODE.format("0" * 64), "utf-8")
    apart = report(checkout, monkeypatch, "apart", "ib_async", ["tests/ports"])
    assert failing(checkout, main, apart) == {"the reports are of this code": "0" * 64}


def test_a_file_whose_every_test_is_skipped_was_not_run(checkout, monkeypatch):
    text = "import pytest\n\n@pytest.mark.skip\ndef test_it():\n    pass\n"
    (checkout.root / "tests" / "ports" / "test_more.py").write_text(text, "utf-8")
    text = "import pytest\npytest.skip('no', allow_module_level=True)\n"
    (checkout.root / "tests" / "unit" / "test_none.py").write_text(text, "utf-8")
    path = report(checkout, monkeypatch, installed="ib_async")
    absent = "tests.ports.test_more, tests.unit.test_none"
    assert failing(checkout, path) == {"every file of tests was run": absent}


def test_a_report_in_which_a_file_of_tests_is_missing_does_not_pass(checkout, monkeypatch):
    path = report(checkout, monkeypatch, installed="ib_async")
    (checkout.root / "tests" / "ports" / "test_more.py").write_text("def test_it():\n    pass\n", "utf-8")
    assert failing(checkout, path) == {"every file of tests was run": "tests.ports.test_more"}


@pytest.mark.parametrize(
    ("conftest", "named"),
    [
        (CODE.format("0" * 64), "the reports are of this code"),
        ("", "the reports are of this code"),
        (OF_THIS_CODE + "\n    assert False\n", "nothing failed"),
    ],
)
def test_a_report_of_other_code_or_with_failures_does_not_pass(checkout, monkeypatch, conftest, named):
    (checkout.root / "tests" / "conftest.py").write_text(conftest, "utf-8")
    assert named in failing(checkout, report(checkout, monkeypatch, installed="ib_async"))


def test_what_is_no_junit_report_is_said(tmp_path):
    with pytest.raises(NoReport, match="junitxml"):
        read_junit(tmp_path / "none.xml")


def test_without_reports_the_stage_runs_the_suites_itself(checkout, monkeypatch):
    monkeypatch.setenv("INSTALLED", "ib_async")
    made = suites.run_suites(checkout)
    assert made.passed
    assert made.findings.report == "junit.xml"


def test_this_run_says_which_code_it_tests(request):
    assert source_digest() == source_digest(ROOT)
