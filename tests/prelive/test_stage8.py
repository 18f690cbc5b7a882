"""Stage 8: the decision; with simulated evidence everything may pass, and nothing goes live."""

import json
import shutil
from dataclasses import replace

import pytest
from jsonschema import validate

from domain.go_live import Evidence, SignedRecord
from gates import governance
from gates.go_live import live_problems, record_problems, standing, write_decision
from gates.ladder import Standing
from gates.schema_export import SCHEMAS
from gates.shelf import Shelf
from gates.stages import STAGES
from order_plane.composition import build_stage
from order_plane.gates import LiveTradingRefused
from order_plane.settings import Mode

pytestmark = [
    pytest.mark.stage8,
    pytest.mark.slow,
    pytest.mark.timeout(9 * 3_600),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]
OPEN = {"LIVE_API": "1", "CONFIRM_LIVE": "YES", "ENABLE_LIVE_TRADING": "true"}


@pytest.fixture(scope="module")
def decided(ladder):
    ladder.context.shelf.require_unsigned()  # before the stages that it is decided on are run again
    for number in range(1, 9):
        made = ladder.counting(number) if number < 8 else ladder.stage(number)
        assert [(each.name, each.found) for each in made.checks if not each.passed] == [], number
    if ladder.choices.sim:
        ladder.sign("record")
    write_decision(ladder.context)
    return ladder


def test_every_stage_has_passed_and_left_its_artifact(decided):
    assert [rung.standing for rung in standing(decided.context)] == [Standing.PASSED] * 8
    for stage in STAGES:
        written = json.loads((decided.directory / stage.artifact).read_text("utf-8"))
        schema = SCHEMAS / f"{stage.artifact.removesuffix('.json').lower()}.schema.json"
        validate(written, json.loads(schema.read_text("utf-8")))
        for name in stage.documents:
            assert (decided.directory / name).stat().st_size > 100


def test_kill_switch_and_rollback_were_done_for_real(decided):
    kill, rollback = decided.stage(8).findings.rehearsals
    assert kill.before.startswith("1 working orders, positions {")
    assert kill.after.startswith("0 working orders, positions {")
    assert "a further order was refused" in kill.after
    assert rollback.after.startswith("0 working orders, positions none; the order plane ended")
    assert [kill.exit_codes, rollback.exit_codes] == [(0,), (0,)]


def test_simulated_evidence_is_never_a_go_although_all_have_signed(decided):
    if not decided.choices.sim:
        pytest.skip("this run has a gateway")
    signed = decided.context.shelf.read("GO_LIVE_RECORD.json", SignedRecord)
    assert signed.record.passed
    assert signed.record.evidence is Evidence.SIMULATED
    assert len(signed.signatures) == 3
    simulated = [each for each in record_problems(decided.context) if "simulated" in each]
    assert simulated == ["its evidence is simulated, which never allows live trading"]
    page = (decided.directory / "GO_LIVE_DECISION_GATE.md").read_text("utf-8")
    assert "**NO-GO**" in page
    assert simulated[0] in page


def test_live_trading_refuses_to_start_on_it_with_every_switch_open(decided):
    if not decided.choices.sim:
        pytest.skip("this run has a gateway")
    chosen = decided.context.order.go_live.model_copy(update={"record_path": decided.directory / "GO_LIVE_RECORD.json"})
    live = decided.context.order.model_copy(update={"mode": Mode.LIVE, "go_live": chosen})
    with pytest.raises(LiveTradingRefused) as refusal:
        build_stage(live, environment=OPEN)
    assert "simulated" in str(refusal.value)
    assert "LIVE_API" not in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"account": "DU7777777"}, "the account has changed"),
        ({"volume_cap": 0.05}, "the limits have changed"),
        ({"learn_costs": False}, "the configuration has changed"),
    ],
)
def test_what_changed_invalidates_every_stage(decided, change, why):
    other = replace(decided.context, order=decided.context.order.model_copy(update=change))
    rungs = standing(other)
    assert {rung.standing for rung in rungs} == {Standing.INVALIDATED}
    assert all(why in rung.why for rung in rungs)
    assert live_problems(other, OPEN)


def test_a_changed_strategy_invalidates_what_the_order_plane_cannot_see(decided):
    strategy = decided.context.strategy.model_copy(update={"lot": 5.0})
    other = replace(decided.context, strategy=strategy)
    assert {rung.standing for rung in standing(other)} == {Standing.INVALIDATED}
    assert "the configuration has changed" in record_problems(other)


def test_a_changed_document_or_artifact_no_longer_counts(decided, tmp_path):
    shutil.copytree(decided.directory, tmp_path / "copy")
    copy = replace(decided.context, shelf=Shelf(tmp_path / "copy"))
    metrics, log = (copy.shelf.directory / name for name in ("PAPER_TRADING_METRICS.csv", "PAPER_TRADING_LOG.json"))
    kept = metrics.read_bytes()
    metrics.write_bytes(kept + b"\n")
    assert standing(copy)[6].why == ("PAPER_TRADING_METRICS.csv was changed",)
    metrics.write_bytes(kept)
    told = f'"evidence": "{decided.counting(7).evidence.value}"'
    assert told in log.read_text("utf-8")
    log.write_text(log.read_text("utf-8").replace(told, '"evidence": "IBKR live"', 1), "utf-8")
    assert "the artifact of stage 7 is not the one that was decided on" in record_problems(copy)


def test_a_key_signs_in_one_role_only(decided):
    if not decided.choices.sim:
        pytest.skip("this run has a gateway")
    from domain.go_live import Role

    with pytest.raises(governance.SigningRefused, match="does not name this key"):
        governance.sign_record(decided.context, Role.CTO, "Lena Lead", decided.keys[Role.LEAD_TRADER])
