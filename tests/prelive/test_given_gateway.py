"""The stages as tests on a gateway that settings name: what they leave is where `algotrade gates` looks for it.

A simulator in a process of its own stands in for the gateway, and is told to nobody: its evidence stays simulated.
"""

import json
import os
import subprocess
import sys

import pytest
import yaml
from typer.testing import CliRunner

from kernel.code_version import ROOT
from launcher.cli import app

pytestmark = [
    pytest.mark.stage8,
    pytest.mark.slow,
    pytest.mark.timeout(1_200),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
    pytest.mark.skipif("ALGOTRADE_PRELIVE_CONFIG" in os.environ, reason="this run has a gateway"),
]
PEOPLE = {"risk-officer": "Rita", "cto": "Carl", "lead-trader": "Lena"}
ROLES = {"Risk Officer": "risk-officer", "CTO": "cto", "Lead Trader": "lead-trader"}
WORKER = "PYTEST_XDIST_WORKER"
REPORTS = ("ALGOTRADE_COVERAGE_JSON", "ALGOTRADE_JUNIT_XML")


class Desk:
    """What somebody has who goes through the stages: settings, keys, a state directory, and a gateway."""

    def __init__(self, place, simulate, monkeypatch):
        self.place, self.evidence = place, place / "home" / "gates"
        monkeypatch.setenv("ALGOTRADE_HOME", str(place / "home"))
        monkeypatch.setenv("COLUMNS", "200")
        settings = yaml.safe_load((ROOT / "config" / "prelive.yaml").read_text("utf-8"))
        named = [word for symbol in settings["data"]["symbols"] for word in ("--symbol", symbol)]
        port = simulate("--speed", "20", "--account", settings["order"]["account"], *named).port
        settings["order"]["ibkr"] = {"port": port, "client_id": 1, "paper_ports": [port]}
        settings["order"]["go_live"] = {"signers": {role: self._key(name) for role, name in ROLES.items()}}
        (place / "settings.yaml").write_text(yaml.safe_dump(settings), "utf-8")
        (place / "policy.txt").write_text("Nobody goes live on simulated evidence.", "utf-8")

    def _key(self, role):
        return CliRunner().invoke(app, ["gates", "keygen", str(self.place / f"{role}.key")]).output.strip()

    def gates(self, *words):
        """A command on the ladder, with its default evidence directory."""
        return CliRunner().invoke(app, ["gates", *words, "--config", str(self.place / "settings.yaml")])

    def govern(self):
        """Write the governance, which all three sign."""
        names = [word for role, name in PEOPLE.items() for word in (f"--{role}", name)]
        assert self.gates("govern", *names, "--policy", str(self.place / "policy.txt")).exit_code == 0
        for role in PEOPLE:
            self.sign("governance", role)

    def sign(self, document, role):
        """One of them signs."""
        who = ("--role", role, "--name", PEOPLE[role], "--key", str(self.place / f"{role}.key"))
        assert self.gates("sign", document, *who).exit_code == 0

    def pytest(self, marker, **reports):
        """The tests of a stage, as somebody with these settings runs them."""
        kept = {name: value for name, value in os.environ.items() if name not in {*REPORTS, WORKER}}
        environment = {**kept, "ALGOTRADE_PRELIVE_CONFIG": str(self.place / "settings.yaml"), **reports}
        command = [sys.executable, "-m", "pytest", "-vv", "-p", "no:cacheprovider", "-m", marker, "tests/prelive"]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    def stage_of(self, name):
        """An artifact in the evidence directory."""
        return json.loads((self.evidence / name).read_text("utf-8"))

    def files(self):
        """All of the evidence, as it is."""
        return {path: path.read_bytes() for path in self.evidence.rglob("*") if path.is_file()}


@pytest.fixture
def desk(library, tmp_path, simulate, monkeypatch):
    return Desk(tmp_path, simulate, monkeypatch)


def test_a_stage_leaves_its_artifact_where_the_ladder_looks(desk):
    done = desk.pytest("stage6")
    assert done.returncode == 0, done.stdout
    assert desk.stage_of("ACCOUNT_CONFIG.json")["evidence"] == "simulated"
    (rung,) = [line for line in desk.gates("status").output.splitlines() if "Account probe" in line]
    assert "passed" in rung


def test_several_workers_do_not_share_a_gateway(desk):
    done = desk.pytest("stage6", **{WORKER: "gw1"})
    assert done.returncode == 1
    assert "run them without -n" in done.stdout
    assert not desk.evidence.exists()


def test_a_decision_is_not_taken_on_stand_ins_for_the_reports(desk, coverage_report):
    desk.govern()
    neither = desk.pytest("stage8")
    assert neither.returncode == 1
    assert "ALGOTRADE_COVERAGE_JSON names no report" in neither.stdout
    one = desk.pytest("stage8", ALGOTRADE_COVERAGE_JSON=str(coverage_report))
    assert one.returncode == 1
    assert "ALGOTRADE_JUNIT_XML names no report" in one.stdout
    assert not (desk.evidence / "PRELIVE_VERIFICATION_LOG.json").exists()


def test_nobody_signs_for_the_three(desk, coverage_report, junit_reports):
    named = {"ALGOTRADE_COVERAGE_JSON": str(coverage_report), "ALGOTRADE_JUNIT_XML": junit_reports}
    done = desk.pytest("stage8", **named)
    assert done.returncode == 1
    assert "GOVERNANCE.json" in done.stdout
    assert not (desk.evidence / "GOVERNANCE.json").exists()


def test_the_ladder_is_climbed_to_its_end_with_the_session_that_was_traded_before(desk, coverage_report, junit_reports):
    desk.govern()
    assert desk.gates("run", "7", "--sim").exit_code == 0
    session = desk.stage_of("PAPER_TRADING_LOG.json")
    named = {"ALGOTRADE_COVERAGE_JSON": str(coverage_report), "ALGOTRADE_JUNIT_XML": junit_reports}
    done = desk.pytest("stage8", **named)
    assert done.returncode == 0, done.stdout
    assert desk.stage_of("PAPER_TRADING_LOG.json") == session
    assert desk.stage_of("IBKR_ARTIFACT_VALIDATION_REPORT.json")["findings"]["coverage_percent"] == 80.0
    decision = desk.stage_of("PRELIVE_VERIFICATION_LOG.json")
    assert decision["passed"]
    assert set(decision["findings"]["standings"].values()) == {"passed"}
    told = desk.gates("status").output
    assert "next: algotrade gates run" not in told
    assert "its evidence is simulated, which never allows live trading" in told
    desk.sign("record", "cto")
    evidence = desk.files()
    again = desk.pytest("stage8", **named)
    assert again.returncode == 1
    assert "GO_LIVE_RECORD.json has signatures" in again.stdout
    assert desk.files() == evidence
