import json

import pytest

from domain.go_live import SignedGovernance
from gates.artifact import Breakdown, Collected
from gates.context import check
from gates.shelf import UnreadableDocument
from gates.stages import stage


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
    assert context.shelf.found(5).problems == ("it is the artifact of stage 4",)


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
