from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.go_live import CodeVersion, Evidence
from gates.artifact import Artifact, Check, Collected, Subject
from gates.context import check, configuration_of
from gates.ladder import Found, Standing, ladder, weakest
from gates.stages import STAGES, stage

OTHER = "cd" * 32
SUBJECT = Subject(
    "DU1", "ab" * 32, "ab" * 32, "ab" * 32, CodeVersion(version="1", commit="", dirty=False, digest="ab" * 32)
)


def an_artifact(number, now, passed=True, subject=SUBJECT, evidence=Evidence.SIMULATED, **changes):
    fields = {
        "stage": number,
        "title": "x",
        "created_at": now,
        "evidence": evidence,
        "evidence_why": (),
        "passed": passed,
        "checks": (check("it", passed, "so", "so"),),
        "findings": Collected(tests={}),
        "files": {},
        **subject._asdict(),
    }
    return Artifact[Collected](**{**fields, **changes})


def standings(found, now, subject=SUBJECT):
    return [rung.standing for rung in ladder(found, subject, now)]


def test_stages_are_numbered_and_leave_different_files():
    assert [each.number for each in STAGES] == list(range(1, 9))
    files = [name for each in STAGES for name in (each.artifact, *each.documents)]
    assert len(files) == len(set(files))
    assert {each.number for each in STAGES if each.needs_gateway} == {6, 7, 8}
    with pytest.raises(ValueError, match="1 to 8"):
        stage(9)


def test_a_ladder_without_artifacts_lacks_every_stage(now):
    assert standings({}, now) == [Standing.MISSING] * 8


def test_a_stage_that_is_missing_says_what_to_run_and_what_that_needs(now):
    for rung in ladder({}, SUBJECT, now):
        (why,) = rung.why
        assert why.startswith(f"algotrade gates run {rung.stage.number} makes it; it needs ")
        assert ("--sim" in why) is rung.stage.needs_gateway


def test_each_way_in_which_an_artifact_does_not_count(now):
    found = {
        1: Found(an_artifact(1, now)),
        2: Found(an_artifact(2, now, passed=False)),
        3: Found(an_artifact(3, now - stage(3).fresh_for - timedelta(seconds=1))),
        4: Found(None, ("broken",)),
        5: Found(an_artifact(5, now), ("a file was changed",)),
        6: Found(an_artifact(6, now, subject=SUBJECT._replace(account="DU2"))),
        7: Found(an_artifact(7, now + timedelta(days=365))),
    }
    wanted = ["passed", "failed", "stale", "unreadable", "unreadable", "invalidated", "stale", "missing"]
    assert standings(found, now) == wanted


@pytest.mark.parametrize("name", Subject._fields)
def test_any_change_of_what_it_is_about_invalidates_an_artifact(now, name):
    other = SUBJECT.code.model_copy(update={"digest": OTHER}) if name == "code" else OTHER
    (rung, *_) = ladder({1: Found(an_artifact(1, now))}, SUBJECT._replace(**{name: other}), now)
    assert rung.standing is Standing.INVALIDATED
    assert len(rung.why) == 1
    assert rung.why[0].endswith(("has changed", "have changed"))


@given(st.lists(st.booleans(), min_size=1, max_size=5))
def test_an_artifact_passes_exactly_when_all_its_checks_do(results):
    from datetime import UTC, datetime

    at = datetime(2026, 1, 5, tzinfo=UTC)
    checks = tuple(Check(name="c", passed=each, required="", found="") for each in results)
    assert an_artifact(1, at, all(results), checks=checks).passed is all(results)
    with pytest.raises(ValidationError):
        an_artifact(1, at, not all(results), checks=checks)


def test_the_weakest_evidence_of_the_stages_with_a_gateway_counts(now):
    paper = {number: Found(an_artifact(number, now, evidence=Evidence.PAPER)) for number in (6, 7, 8)}
    assert weakest(ladder(paper, SUBJECT, now)) is Evidence.PAPER
    assert weakest(ladder({**paper, 7: Found(an_artifact(7, now))}, SUBJECT, now)) is Evidence.SIMULATED
    assert weakest(ladder({6: paper[6], 7: paper[7]}, SUBJECT, now)) is Evidence.SIMULATED
    live = {**paper, 6: Found(an_artifact(6, now, evidence=Evidence.LIVE))}
    assert weakest(ladder(live, SUBJECT, now)) is Evidence.PAPER


def test_the_configuration_covers_data_strategy_and_orders(context):
    def named(**changes):
        other = replace(context, **changes)
        return configuration_of(other.data, other.strategy, other.order)

    before = named()
    assert named(data=context.data.model_copy(update={"patience": 9})) != before
    assert named(strategy=context.strategy.model_copy(update={"lot": 9.0})) != before
    assert named(order=context.order.model_copy(update={"learn_costs": False})) != before
    assert named(order=context.order.model_copy(update={"account": "U1"})) == before
