"""Stages 1 to 3 as far as they need no gateway."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256

import pytest

from gates import artifact_validation, generated, integration_flow, interface_map
from gates.artifact_validation import coverage_of, fixtures_of, recordings_of
from kernel.code_version import PACKAGES


@pytest.fixture
def project(tmp_path):
    """A small checkout with one file in each package."""
    root = tmp_path / "checkout"
    for package in PACKAGES:
        (root / package).mkdir(parents=True)
        (root / package / "__init__.py").write_text("", "utf-8")
        (root / package / "code.py").write_text("def used():\n    return 1\n", "utf-8")
    calls = "\n".join(f"from {package} import code\ncode.used()" for package in PACKAGES)
    (root / "all.py").write_text(calls + "\n", "utf-8")
    return root


def measured(project):
    """A real report of coverage.py."""
    environment = {**os.environ, "PYTHONPATH": str(project)}
    for words in (["run", f"--source={','.join(PACKAGES)}", "all.py"], ["json", "-q", "-o", "coverage.json"]):
        subprocess.run([sys.executable, "-m", "coverage", *words], cwd=project, env=environment, check=True, timeout=60)
    return project / "coverage.json"


def test_a_real_coverage_report_is_read(project):
    percent, files, judged = coverage_of(measured(project), project)
    assert percent == 100.0
    assert files >= len(PACKAGES)
    assert judged.passed


def test_a_report_of_older_code_or_of_a_part_of_it_does_not_count(project):
    report = measured(project)
    newer = report.stat().st_mtime + 60
    os.utime(project / "kernel" / "code.py", (newer, newer))
    assert "a file changed since" in coverage_of(report, project)[2].found
    content = json.loads(report.read_text("utf-8"))
    del content["files"]["order_plane/code.py"]
    report.write_text(json.dumps(content), "utf-8")
    assert "order_plane/code.py is not measured" in coverage_of(report, project)[2].found


def test_the_share_that_is_covered_is_counted_file_by_file_whatever_the_report_says_in_total(project):
    report = measured(project)
    content = json.loads(report.read_text("utf-8"))
    content["totals"]["percent_covered"] = 99.0
    each = content["files"]["kernel/code.py"]["summary"]
    each["covered_lines"] -= 1
    report.write_text(json.dumps(content), "utf-8")
    lines = 2 * len(PACKAGES)
    assert coverage_of(report, project)[0] == pytest.approx(100.0 * (lines - 1) / lines)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"totals": {"percent_covered": "much"}}'])
def test_what_is_no_coverage_report_fails(tmp_path, text):
    path = tmp_path / "coverage.json"
    path.write_text(text, "utf-8")
    percent, _, judged = coverage_of(path, tmp_path)
    assert (percent, judged.passed) == (0.0, False)


def test_too_little_coverage_fails_the_stage(context, project):
    report = measured(project)
    content = json.loads(report.read_text("utf-8"))
    for each in content["files"].values():
        each["summary"]["covered_lines"] = 0
    report.write_text(json.dumps(content), "utf-8")
    made = artifact_validation.run(context, report)
    failed = {each.name for each in made.checks if not each.passed}
    assert {"coverage", "governance"} <= failed
    assert "fixtures match their manifest" not in failed
    assert "recordings are readable" not in failed
    assert "schemas" not in failed


def test_a_fixture_that_was_changed_is_found(tmp_path):
    (tmp_path / "bars").mkdir()
    (tmp_path / "bars" / "a.bin").write_bytes(b"a")
    (tmp_path / "bars" / "SHA256SUMS").write_text(f"{sha256(b'a').hexdigest()}  a.bin\n", "ascii")
    assert fixtures_of(tmp_path) == ([], 1)
    (tmp_path / "bars" / "a.bin").write_bytes(b"b")
    assert fixtures_of(tmp_path) == (["a.bin is not as SHA256SUMS says"], 1)


def test_a_line_of_a_recording_that_follows_no_contract_is_found(tmp_path):
    (tmp_path / "r.jsonl").write_bytes(b'<{"event_type":"bar_event"}\nsettle\nend\n')
    assert recordings_of(tmp_path) == (["r.jsonl line 1"], {"r.jsonl": 1})


def test_the_breakdown_leaves_nothing_out(context):
    made = integration_flow.run(context)
    assert made.passed
    names = [module.name for part in made.findings.parts.values() for module in part]
    assert len(names) == len(set(names))
    assert {"ibkr_client.error_policy", "order_plane.brokers.ibkr", "data_plane.connectors.ibkr_live"} <= set(names)
    page = (context.shelf.directory / "IBKR_INTEGRATION_FLOW.md").read_text("utf-8")
    assert all(f"| {name} |" in page for name in names)
    assert "| evidence | simulated (this stage meets no gateway) |" in page


def test_a_module_without_a_place_fails_the_breakdown(context, project):
    (project / "strategy_plane" / "ibkr_trick.py").write_text('"""A module of nobody."""\n', "utf-8")
    made = integration_flow.run(replace(context, root=project))
    assert "strategy_plane.ibkr_trick" in next(each.found for each in made.checks if not each.passed)


def test_the_interface_map_has_what_is_asked_of_this_venue_and_not_of_every_one():
    rows = interface_map.tables()["Operations of the broker's port"]
    assert {"submit", "dispatch", "prepare", "execution", "ready"} <= {row[0] for row in rows if row[2] != "missing"}


def test_the_interface_map_is_complete_and_committed_as_it_is():
    assert [each.found for each in interface_map.checks() if not each.passed] == []
    assert generated.drift() == []


def test_a_code_that_is_added_to_the_policy_changes_the_map(monkeypatch):
    from ibkr_client import error_policy

    more = {**error_policy.ORDER_POLICY, 19_999: error_policy.OnOrder.REFUSED}
    monkeypatch.setattr(error_policy, "ORDER_POLICY", more)
    assert any("IBKR_INTERFACE_MAP.md" in each for each in generated.drift())


def test_drift_of_map_and_schemas_is_told(tmp_path):
    from gates import schema_export

    assert generated.drift(tmp_path) == ["docs/IBKR_INTERFACE_MAP.md: not as the code says; run algotrade gates export"]
    schema_export.export(tmp_path)
    assert schema_export.check(tmp_path) == []
    (tmp_path / "account_config.schema.json").write_text("{}", "utf-8")
    (tmp_path / "old.schema.json").write_text("{}", "utf-8")
    assert len(schema_export.check(tmp_path)) == 2
