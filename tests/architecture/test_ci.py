"""What CI runs: every real component is asked for, and the stages judge the reports of the very runs before them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

LIBRARIES = ("ib_insync", "ib_async")
GATEWAY = "ALGOTRADE_PRELIVE_CONFIG"
TOLD = (GATEWAY, "ALGOTRADE_COVERAGE_JSON", "ALGOTRADE_JUNIT_XML", "ALGOTRADE_REQUIRE_IBKR")
RECORD = f"""#!/bin/sh
echo "$(basename "$0") $*{"".join(f" {name}=${name}" for name in TOLD)}" >> "$CALLS"
"""
VENV = """#!/bin/sh
mkdir -p "$3/bin"
cp "$RECORDER" "$3/bin/pip"
cp "$RECORDER" "$3/bin/pytest"
"""


class Checkout:
    """A copy of what CI runs, in which every program only says how it was called."""

    def __init__(self, root: Path, place: Path) -> None:
        self.place, self.programs, self.calls = place, place / "programs", place / "calls"
        shutil.copytree(root / ".ci", place / ".ci")
        self.programs.mkdir()
        for name in ("make", "java", "mvn", "pg_ctlcluster"):
            self._program(name, RECORD)
        self._program("python3", VENV)

    def _program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(text, "utf-8")
        (self.programs / name).chmod(0o755)

    def run(self, *command: str, **environment: str) -> list[str]:
        """Run a command, and return the calls that it made."""
        self.calls.write_text("", "utf-8")
        kept = {name: value for name, value in os.environ.items() if name not in TOLD}
        path = f"{self.programs}:{os.environ['PATH']}"
        own = {"PATH": path, "CALLS": str(self.calls), "RECORDER": str(self.programs / "make")}
        done = subprocess.run(
            command, cwd=self.place, env={**kept, **own, **environment}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return self.calls.read_text("utf-8").splitlines()


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Checkout:
    return Checkout(root, tmp_path)


def by_script(checkout: Checkout, root: Path) -> list[str]:
    return checkout.run(".ci/run")


def by_workflow(checkout: Checkout, root: Path) -> list[str]:
    workflow = yaml.safe_load((root / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    calls = []
    for step in workflow["jobs"]["test"]["steps"]:
        named = {
            name: str(value).replace("${{ github.workspace }}", str(checkout.place))
            for name, value in {**workflow["jobs"]["test"].get("env", {}), **step.get("env", {})}.items()
        }
        calls += checkout.run("bash", "-ec", step["run"], **named) if "run" in step else []
    return calls


@pytest.mark.parametrize("ci", [by_script, by_workflow])
def test_the_stages_judge_the_reports_of_the_whole_run(checkout, root, ci):
    calls = ci(checkout, root)
    (tested,) = [call for call in calls if call.startswith("make test")]
    assert "COVER=1" in tested
    junit = checkout.place / re.search(r"--junitxml=(\S+?)[\" ]", tested)[1]
    coverage = checkout.place / "coverage.json"
    for library in LIBRARIES:
        (apart,) = [call for call in calls if call.startswith(f"make apart WITH={library}")]
        assert f"ALGOTRADE_COVERAGE_JSON={coverage} " in apart
        assert f"ALGOTRADE_JUNIT_XML={junit} " in apart


def test_a_run_with_coverage_leaves_the_report_that_stage_1_reads(root):
    said = subprocess.run(["make", "-n", "test", "COVER=1"], cwd=root, capture_output=True, text=True, check=True)
    assert "coverage json -q -o coverage.json" in said.stdout


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_stages_judge_the_run_over_the_adapter_too(checkout, library):
    calls = checkout.run(".ci/apart", library, ALGOTRADE_JUNIT_XML="/main/junit.xml")
    suites, stages = [call for call in calls if call.startswith("pytest")]
    own = f"junit-{library}.xml"
    assert "tests/ports/test_any_broker.py" in suites
    assert f"--junitxml={own}" in suites
    assert "tests/prelive" in stages
    assert f"ALGOTRADE_JUNIT_XML=/main/junit.xml:{checkout.place / own} " in stages
    assert all(f"ALGOTRADE_REQUIRE_IBKR={library}" in call for call in (suites, stages))


def test_without_the_report_of_a_whole_run_none_is_named(checkout):
    *_, stages = checkout.run(".ci/apart", "ib_async")
    assert "ALGOTRADE_JUNIT_XML= " in stages


def test_the_stages_of_several_workers_never_meet_a_gateway_that_was_named(checkout):
    *_, stages = checkout.run(".ci/apart", "ib_async", **{GATEWAY: "/home/live.yaml"})
    assert "tests/prelive" in stages
    assert f" {GATEWAY}= " in stages


def test_the_official_client_is_installed_somewhere_and_asked_for_there(checkout):
    calls = checkout.run(".ci/apart", "ib_async")
    assert any(call.startswith("pip install") and "ibapi==" in call for call in calls)
    (required,) = {call.rpartition("=")[2] for call in calls if call.startswith("pytest")}
    assert "ibapi" in required.split(",")
