import json
from datetime import timedelta
from pathlib import Path

import pytest

from domain.go_live import (
    Evidence,
    GoLiveRecord,
    Review,
    Role,
    Signature,
    SignedGovernance,
    SignedRecord,
    SignedReview,
    Step,
)
from gates.artifact import Breakdown, Collected
from gates.context import check
from gates.shelf import RecordSigned, Shelf, UnreadableDocument
from gates.stages import LOG, RECORD, STAGES, stage
from kernel.audit_log import AuditBroken
from kernel.code_version import Code


@pytest.fixture
def made(context):
    found = Collected(tests={"stage6": 1})
    return context.finish(5, [check("it", True, "so", "so")], found, {"note.md": "# note\n"})


def test_what_was_written_is_read_back(context, made):
    found = context.shelf.found(5)
    assert found.problems == ()
    assert found.artifact.fingerprint == made.fingerprint
    assert found.artifact.subject == context.subject()
    assert found.artifact.evidence == "simulated"


def test_a_document_that_was_changed_or_is_gone_is_told(context, made):
    path = context.shelf.directory / "note.md"
    path.write_text("# other\n", "utf-8")
    assert context.shelf.found(5).problems == ("note.md was changed",)
    path.unlink()
    assert context.shelf.found(5).problems == ("note.md is gone",)


def test_an_artifact_of_another_stage_or_without_its_documents_is_told(context, made):
    path = context.shelf.directory / stage(5).artifact
    written = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**written, "stage": 4}), "utf-8")
    assert "it is the artifact of stage 4" in context.shelf.found(5).problems


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("title", "x"),
        ("created_at", "2030-01-01T00:00:00Z"),
        ("evidence", "IBKR paper"),
        ("evidence_why", []),
        ("account", "DU2"),
        ("configuration", "ab" * 32),
        ("order_configuration", "ab" * 32),
        ("limits", "ab" * 32),
        ("code", {"version": "2", "commit": "", "dirty": False, "digest": "ab" * 32}),
        ("checks", [{"name": "it", "passed": True, "required": "so", "found": "better"}]),
        ("findings", {"tests": {"stage6": 2}}),
        ("files", {}),
    ],
)
def test_an_artifact_that_was_edited_no_longer_counts(context, made, name, other):
    path = context.shelf.directory / stage(5).artifact
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), name: other}), "utf-8")
    assert "it is not as the stage wrote it" in context.shelf.found(5).problems


def test_the_newest_artifact_of_a_stage_counts_and_an_older_one_put_back_does_not(context, made):
    path = context.shelf.directory / stage(5).artifact
    older = path.read_text("utf-8")
    context.finish(5, [check("it", False, "so", "not so")], Collected(tests={}))
    assert context.shelf.found(5).problems == ()
    path.write_text(older, "utf-8")
    assert "it is not as the stage wrote it" in context.shelf.found(5).problems


def test_a_log_that_was_changed_is_told(context, made):
    path = context.shelf.directory / LOG
    path.write_text(path.read_text("utf-8").replace('"stage": "5"', '"stage": "6"'), "utf-8")
    with pytest.raises(AuditBroken):
        context.shelf.found(5)


@pytest.mark.parametrize("change", [{"more": 1}, {"passed": False}, {"evidence": "real"}, {"limits": "short"}])
def test_what_does_not_follow_the_schema_is_unreadable(context, made, change):
    path = context.shelf.directory / stage(5).artifact
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **change}), "utf-8")
    found = context.shelf.found(5)
    assert found.artifact is None
    assert "does not follow its schema" in found.problems[0]


def test_a_stage_that_did_not_leave_its_document_is_told(context):
    context.finish(2, [check("it", True, "so", "so")], Breakdown(parts={}))
    assert context.shelf.found(2).problems == ("IBKR_INTEGRATION_FLOW.md is missing from files",)


def test_a_missing_document_is_unreadable(context):
    with pytest.raises(UnreadableDocument, match="there is no file"):
        context.shelf.read("GOVERNANCE.json", SignedGovernance)


def test_an_artifact_names_the_code_as_it_was_when_its_stage_began(context, monkeypatch):
    began = context.subject().code
    monkeypatch.setattr("gates.context.code_version", lambda: Code("9.9", "", True, "cd" * 32))
    made = context.finish(5, [check("it", True, "so", "so")], Collected(tests={}))
    assert made.code == began


@pytest.fixture
def record(context, now):
    subject = context.subject()
    return GoLiveRecord(
        account="U1",
        configuration=subject.configuration,
        order_configuration=subject.order_configuration,
        limits=subject.limits,
        code=subject.code,
        evidence=Evidence.PAPER,
        evidence_account=subject.account,
        artifacts={str(each.number): "ab" * 32 for each in STAGES},
        passed=True,
        decided_at=now,
        expires_at=now + timedelta(days=9),
        capital=1.0,
        scale_up=(Step(capital_fraction=0.1, position_cap=1.0, review_by=now + timedelta(days=9)),),
    )


def with_a_signature(record):
    given = Signature(role=Role.CTO, name="Carl", public_key="ab" * 32, signature="ab" * 64)
    return SignedRecord(record=record, signatures=(given,)).model_dump_json()


def with_a_review(record):
    review = Review(record=record.fingerprint, step=2, reviewed_at=record.decided_at, findings="fine")
    return SignedRecord(record=record, reviews=(SignedReview(review=review),)).model_dump_json()


def of_another_schema(record):
    return '{"more": 1}'


@pytest.mark.parametrize("kind", [with_a_signature, with_a_review, of_another_schema])
@pytest.mark.parametrize("drafted", [True, False])
def test_a_draft_never_takes_the_place_of_what_people_may_have_signed(context, record, kind, drafted):
    context.shelf.draft(record)
    path = context.shelf.directory / RECORD
    path.write_text(kind(record), "utf-8")
    before = path.read_bytes()
    with pytest.raises(RecordSigned, match="stands on"):
        context.shelf.draft(record if drafted else None)
    assert path.read_bytes() == before


def test_a_stage_that_ends_after_people_have_signed_does_not_replace_what_they_signed(context, made, record):
    context.shelf.draft(record)
    (context.shelf.directory / RECORD).write_text(with_a_signature(record), "utf-8")
    before = {path: path.read_bytes() for path in context.shelf.directory.iterdir()}
    with pytest.raises(RecordSigned):
        context.finish(5, [check("it", True, "so", "so")], Collected(tests={}), {"note.md": "# other\n"})
    assert {path: path.read_bytes() for path in context.shelf.directory.iterdir()} == before
    assert context.shelf.found(5).artifact.fingerprint == made.fingerprint


def test_the_copy_of_a_directory_is_named_beside_it_wherever_one_stands(tmp_path, monkeypatch, record):
    (tmp_path / "gates").mkdir()
    monkeypatch.chdir(tmp_path / "gates")
    Path(RECORD).write_text(with_a_signature(record), "utf-8")
    assert f"--evidence {tmp_path / 'gates'}-" in Shelf(Path()).in_the_way()


def test_an_unsigned_draft_gives_way_to_the_next_or_to_none(context, record):
    context.shelf.draft(record)
    other = record.model_copy(update={"capital": 2.0})
    context.shelf.draft(other)
    assert context.shelf.record()[0].record == other
    context.shelf.draft(None)
    assert not (context.shelf.directory / RECORD).exists()
    context.shelf.draft(None)
