"""A decision that holds for weeks, and artifacts that count for a day."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.go_live import Evidence, GoLiveRecord, SignedRecord, Step
from gates.artifact import Artifact, Collected
from gates.context import check
from gates.go_live import growth, record_problems, standing
from gates.ladder import Found, Standing
from gates.shelf import UnreadableDocument
from gates.stages import STAGES

NOW = datetime.now(UTC)


class Decided:
    """Artifacts that were made when they were decided on, and the record."""

    def __init__(self, subject, decided_at, made_at):
        fields = {"title": "x", "evidence": Evidence.PAPER, "evidence_why": (), "passed": True, "files": {}}
        said = {"checks": (check("it", True, "so", "so"),), "findings": Collected(tests={}), **subject._asdict()}
        self.artifacts = {
            each.number: Artifact[Collected](stage=each.number, created_at=made_at, **fields, **said) for each in STAGES
        }
        last = decided_at + timedelta(days=90)
        self.signed = SignedRecord(
            record=GoLiveRecord(
                account="U1",
                configuration=subject.configuration,
                order_configuration=subject.order_configuration,
                limits=subject.limits,
                code=subject.code,
                evidence=Evidence.PAPER,
                evidence_account=subject.account,
                artifacts={str(number): each.fingerprint for number, each in self.artifacts.items()},
                passed=True,
                decided_at=decided_at,
                expires_at=last,
                capital=1.0,
                scale_up=tuple(
                    Step(capital_fraction=fraction, position_cap=1.0, review_by=end)
                    for fraction, end in growth(decided_at, last)
                ),
            ),
        )
        self.directory = Path("nowhere")

    def all(self):
        return {number: Found(each) for number, each in self.artifacts.items()}

    def record(self):
        return self.signed, ""

    def read(self, name, model):
        if model is not SignedRecord:
            raise UnreadableDocument(f"there is no file {name}")
        return self.signed


@pytest.mark.parametrize(("age", "stale"), [(timedelta(hours=1), False), (timedelta(days=2), True)])
def test_artifacts_must_have_been_fresh_when_it_was_decided_and_not_ever_after(context, age, stale):
    decided_at = NOW - timedelta(days=3)
    decided = replace(context, shelf=Decided(context.subject(), decided_at, decided_at - age))
    assert Standing.STALE in {rung.standing for rung in standing(decided)}
    assert any("is stale" in each for each in record_problems(decided)) is stale
