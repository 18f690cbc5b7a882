import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from domain.go_live import CodeVersion, Evidence, GoLiveRecord, Step
from gates.context import configuration_of
from gates.shelf import Shelf
from kernel.code_version import ROOT, source_digest
from launcher.cli import app
from launcher.live import require_permission
from launcher.settings import load_settings
from order_plane.gates import LiveTradingRefused
from order_plane.go_live_terms import limits_hash, order_configuration

PEOPLE = {"risk-officer": "Rita", "cto": "Carl", "lead-trader": "Lena"}
ROLES = {"risk-officer": "Risk Officer", "cto": "CTO", "lead-trader": "Lead Trader"}
run = CliRunner().invoke


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A configuration with three keys, made by the commands themselves."""
    monkeypatch.setenv("COLUMNS", "200")
    config = yaml.safe_load((ROOT / "config" / "prelive.yaml").read_text("utf-8"))
    signers = {}
    for role in PEOPLE:
        made = run(app, ["gates", "keygen", str(tmp_path / f"{role}.key")])
        assert made.exit_code == 0, made.output
        signers[ROLES[role]] = made.output.strip()
    config["order"]["go_live"] = {"signers": signers}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")
    (tmp_path / "policy.txt").write_text("no live trading on simulated evidence", "utf-8")
    return tmp_path


def gates(place, *words):
    options = ["--config", str(place / "config.yaml"), "--evidence", str(place / "gates")]
    return run(app, ["gates", words[0], *options, *words[1:]])


def signed(place, document, role, key=None):
    words = ("sign", document, "--role", role, "--name", PEOPLE[role], "--key", str(place / f"{key or role}.key"))
    return gates(place, *words)


def files(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def governed(place):
    names = [word for role, name in PEOPLE.items() for word in (f"--{role}", name)]
    return gates(place, "govern", *names, "--policy", str(place / "policy.txt"))


def test_the_ladder_shows_every_stage_and_everything_that_is_missing(place):
    shown = gates(place, "status")
    assert shown.exit_code == 1
    for name in ("Artifact validation", "Paper session", "Go-live decision"):
        assert name in shown.output
    for gate in ("LIVE_API=1", "CONFIRM_LIVE=YES", "ENABLE_LIVE_TRADING=true", "GO_LIVE_RECORD.json"):
        assert gate in shown.output
    assert (
        "next: algotrade gates run 1, with the same options; what each stage needs is in docs/gates.md" in shown.output
    )


def test_a_stage_writes_its_artifact_and_says_what_it_found(place):
    done = gates(place, "run", "2")
    assert done.exit_code == 0, done.output
    assert "evidence: simulated" in done.output
    assert "PASS every module has its place" in done.output
    written = json.loads((place / "gates" / "IBKR_INTEGRATION_FLOW.json").read_text("utf-8"))
    assert written["passed"] is True
    assert "passed" in gates(place, "status").output


def test_a_stage_that_fails_ends_with_1(place):
    done = gates(place, "run", "1", "--coverage", str(place / "none.json"))
    assert done.exit_code == 1
    assert "FAIL coverage" in done.output


def test_the_governance_is_signed_by_the_right_keys_only(place):
    assert governed(place).exit_code == 0
    wrong = signed(place, "governance", "cto", key="lead-trader")
    assert wrong.exit_code == 2
    assert "does not name this key" in wrong.output
    for role in PEOPLE:
        assert signed(place, "governance", role).exit_code == 0
    assert "PASS governance: signed" in gates(place, "run", "1", "--coverage", "none.json").output
    again = governed(place)
    assert again.exit_code == 2
    assert "GOVERNANCE.json is signed by Rita as Risk Officer, Carl as CTO, Lena as Lead Trader" in again.output


def test_signing_needs_a_key_that_is_there_and_a_document(place):
    missing = signed(place, "record", "cto")
    assert missing.exit_code == 2
    assert "there is no file" in missing.output
    (place / "cto.key").unlink()
    assert "there is no key" in signed(place, "record", "cto").output


def test_a_key_is_never_overwritten(place):
    before = (place / "cto.key").read_bytes()
    assert run(app, ["gates", "keygen", str(place / "cto.key")]).exit_code == 2
    assert (place / "cto.key").read_bytes() == before
    assert (place / "cto.key").stat().st_mode & 0o077 == 0


def test_without_a_record_nothing_can_be_verified_or_reviewed(place):
    assert gates(place, "verify").exit_code == 1
    assert gates(place, "review", "--findings", "fine").exit_code == 2


def test_a_gateway_that_is_not_there_is_said(place, monkeypatch):
    monkeypatch.setenv("ALGOTRADE_ORDER__IBKR__PORT", "1")
    done = gates(place, "run", "6")
    assert done.exit_code == 2
    assert "Traceback" not in done.output


def test_what_is_generated_is_as_the_code_says():
    assert run(app, ["gates", "export", "--check"]).exit_code == 0


def test_a_run_in_mode_live_is_refused_before_anything_starts(place):
    environment = {"ALGOTRADE_ORDER__MODE": "live", "ALGOTRADE_ORDER__ACCOUNT": "U1"}
    settings = load_settings(place / "config.yaml", environment)
    with pytest.raises(LiveTradingRefused, match="LIVE_API=1; CONFIRM_LIVE=YES; ENABLE_LIVE_TRADING=true; a signed"):
        require_permission(settings, {})
    require_permission(load_settings(place / "config.yaml", {}), {})


def a_live_record(place, settings, days=5):
    """A record that lets the settings of ``place`` go live, as far as signatures and hashes are concerned."""
    at = datetime.now(UTC)
    record = GoLiveRecord(
        account="U1",
        configuration=configuration_of(settings.data, settings.strategy, settings.order),
        order_configuration=order_configuration(settings.order),
        limits=limits_hash(settings.order),
        code=CodeVersion(version="1", commit="c" * 40, dirty=False, digest=source_digest()),
        evidence=Evidence.PAPER,
        evidence_account="DU1",
        artifacts={str(stage): "ab" * 32 for stage in range(1, 9)},
        passed=True,
        decided_at=at - timedelta(days=2),
        expires_at=at + timedelta(days=10),
        capital=1_000.0,
        scale_up=(
            Step(capital_fraction=0.1, position_cap=10.0, review_by=at + timedelta(days=days)),
            Step(capital_fraction=0.3, position_cap=30.0, review_by=at + timedelta(days=10)),
        ),
    )
    Shelf(place / "gates").draft(record)
    assert governed(place).exit_code == 0
    for role in PEOPLE:
        done = signed(place, "record", role)
        assert done.exit_code == 0
        assert "account U1, evidence IBKR paper, capital 1,000 (10%" in done.output
        assert f"code cccccccccccc, record {record.fingerprint[:16]}" in done.output


@pytest.mark.parametrize("stage", range(1, 9))
def test_no_stage_runs_again_under_a_signed_record_and_says_what_to_do(place, stage):
    a_live_record(place, load_settings(place / "config.yaml", {}))
    before = files(place / "gates")
    done = gates(place, "run", str(stage), "--sim", "--junit", str(place / "none.xml"))
    assert done.exit_code == 2
    assert "GO_LIVE_RECORD.json has signatures" in done.output
    assert "order.go_live.record_path" in done.output
    assert files(place / "gates") == before


def test_a_new_decision_is_made_in_a_copy_as_the_refusal_says(place):
    assert gates(place, "run", "2").exit_code == 0
    a_live_record(place, load_settings(place / "config.yaml", {}))
    before, problems = files(place / "gates"), gates(place, "verify").output
    copy = re.search(r"--evidence (\S+),", gates(place, "run", "2").output)[1]
    shutil.copytree(place / "gates", copy)
    (Path(copy) / "GO_LIVE_RECORD.json").unlink()
    assert "passed" in gates(place, "status", "--evidence", copy).output
    assert gates(place, "run", "2", "--evidence", copy).exit_code == 0
    assert (files(place / "gates"), gates(place, "verify").output) == (before, problems)


def test_under_a_signed_record_no_stage_is_named_as_the_next(place):
    a_live_record(place, load_settings(place / "config.yaml", {}))
    assert "next: algotrade gates run" not in gates(place, "status").output


def test_with_every_gate_open_a_run_may_start_and_a_changed_strategy_may_not(place):
    environment = {
        "ALGOTRADE_ORDER__MODE": "live",
        "ALGOTRADE_ORDER__ACCOUNT": "U1",
        "ALGOTRADE_ORDER__GO_LIVE__RECORD_PATH": str(place / "gates" / "GO_LIVE_RECORD.json"),
    }
    switches = {"LIVE_API": "1", "CONFIRM_LIVE": "YES", "ENABLE_LIVE_TRADING": "true"}
    settings = load_settings(place / "config.yaml", environment)
    a_live_record(place, settings)
    require_permission(settings, switches)
    other = load_settings(place / "config.yaml", {**environment, "ALGOTRADE_STRATEGY__LOT": "5.0"})
    with pytest.raises(LiveTradingRefused, match="configuration of data or strategy has changed"):
        require_permission(other, switches)


@pytest.mark.parametrize("document", ["record", "review"])
def test_only_whom_the_governance_names_signs_record_and_review(place, document):
    a_live_record(place, load_settings(place / "config.yaml", {}))
    assert gates(place, "review", "--findings", "two calm weeks").exit_code == 0
    words = ("sign", document, "--role", "cto", "--key", str(place / "cto.key"))
    refused = gates(place, *words, "--name", "Mallory")
    assert (refused.exit_code, "does not name Mallory as CTO" in refused.output) == (2, True)
    assert gates(place, *words, "--name", "Carl").exit_code == 0


def test_where_bars_come_from_may_differ_between_paper_and_live_and_which_may_not(place):
    config = yaml.safe_load((place / "config.yaml").read_text("utf-8"))
    del config["data"]["sources"]
    config["data"]["ibkr"] = {"port": 4002}
    (place / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")

    def hashed(environment):
        settings = load_settings(place / "config.yaml", environment)
        return configuration_of(settings.data, settings.strategy, settings.order)

    paper = hashed({})
    places = {"PORT": "4001", "HOST": "gateway", "CLIENT_ID": "9", "CACHE": "elsewhere"}
    assert hashed({f"ALGOTRADE_DATA__IBKR__{name}": value for name, value in places.items()}) == paper
    assert hashed({"ALGOTRADE_DATA__IBKR__DELAYED": "true"}) != paper
    assert hashed({"ALGOTRADE_DATA__IBKR__DECIDE_WITHIN_SECONDS": "30"}) != paper


@pytest.mark.parametrize(
    ("told", "other"),
    [('"IBKR paper"', '"IBKR live"'), ('"capital": 1000.0', '"capital": 9000.0'), ('"DU1"', '"DU2"')],
)
def test_a_record_that_was_edited_is_not_signed_nor_does_it_hold(place, told, other):
    a_live_record(place, load_settings(place / "config.yaml", {}))
    path = place / "gates" / "GO_LIVE_RECORD.json"
    before = path.read_text("utf-8")
    assert told in before
    path.write_text(before.replace(told, other), "utf-8")
    refused = signed(place, "record", "cto")
    assert refused.exit_code == 2
    assert "not as stage 8 wrote it" in refused.output
    assert "not as stage 8 wrote it" in gates(place, "verify").output
    assert "not as stage 8 wrote it" in gates(place, "review", "--findings", "fine").output


def test_a_review_is_proposed_signed_by_all_and_counts_only_then(place):
    a_live_record(place, load_settings(place / "config.yaml", {}))
    proposed = gates(place, "review", "--findings", "two calm weeks")
    assert "30% of capital" in proposed.output
    for role in PEOPLE:
        assert "review 1:" in gates(place, "verify").output
        assert "not all have signed" in gates(place, "review", "--findings", "too soon").output
        assert signed(place, "review", role).exit_code == 0
    assert "review 1:" not in gates(place, "verify").output
    assert "there is nothing to open" in gates(place, "review", "--findings", "more").output


def test_a_record_does_not_hold_while_not_all_have_signed_who_holds_which_role(place):
    a_live_record(place, load_settings(place / "config.yaml", {}))
    assert "the governance: the Risk Officer has not signed" in gates(place, "verify").output
    for role in PEOPLE:
        assert signed(place, "governance", role).exit_code == 0
    assert "the governance:" not in gates(place, "verify").output


def test_a_review_after_its_date_is_not_proposed_since_it_could_not_count(place):
    a_live_record(place, load_settings(place / "config.yaml", {}), days=-1)
    refused = gates(place, "review", "--findings", "better late")
    assert refused.exit_code == 2
    assert "a review made now does not count; for a new decision run stage 8 in a copy of the directory" in " ".join(
        refused.output.split()
    )
    assert json.loads((place / "gates" / "GO_LIVE_RECORD.json").read_text("utf-8"))["reviews"] == []
