"""Where each stage stands, and why it does not count when it does not."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from domain.go_live import Evidence
from gates.artifact import AnyArtifact, Subject
from gates.stages import STAGES, Stage

_RANK = (Evidence.SIMULATED, Evidence.PAPER, Evidence.LIVE)


class Standing(StrEnum):
    """What an artifact is worth now."""

    PASSED = "passed"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    FAILED = "failed"
    INVALIDATED = "invalidated"
    STALE = "stale"


class Found(NamedTuple):
    """What lies on the disk: the artifact unless it is missing or broken, and what is wrong with its files."""

    artifact: AnyArtifact | None
    problems: tuple[str, ...] = ()


class Rung(NamedTuple):
    """A stage, where it stands, and why."""

    stage: Stage
    standing: Standing
    why: tuple[str, ...]
    artifact: AnyArtifact | None

    @property
    def evidence(self) -> str:
        """Where its evidence comes from; a dash when there is none."""
        return "-" if self.artifact is None else self.artifact.evidence.value


def ladder(found: Mapping[int, Found], subject: Subject, now: datetime) -> list[Rung]:
    """All stages, the first first."""
    return [_rung(stage, found.get(stage.number, Found(None)), subject, now) for stage in STAGES]


def changes(before: Subject, now: Subject) -> list[str]:
    """What has changed of what an artifact is about."""
    named = {
        "the account": (before.account, now.account),
        "the configuration": (before.configuration, now.configuration),
        "the order plane's configuration": (before.order_configuration, now.order_configuration),
        "the limits": (before.limits, now.limits),
        "the code": (before.code.digest, now.code.digest),
    }
    return [
        f"{name} has changed" if name != "the limits" else "the limits have changed"
        for name, (old, new) in named.items()
        if old != new
    ]


def weakest(rungs: Sequence[Rung]) -> Evidence:
    """The weakest evidence of the stages that need a gateway; simulated when one is missing."""
    needed = [rung.artifact for rung in rungs if rung.stage.needs_gateway]
    ranks = [0 if each is None else _RANK.index(each.evidence) for each in needed]
    return _RANK[min(ranks, default=0)]


def _rung(stage: Stage, found: Found, subject: Subject, now: datetime) -> Rung:
    artifact = found.artifact
    if found.problems:
        return Rung(stage, Standing.UNREADABLE, found.problems, artifact)
    if artifact is None:
        wanted = f"algotrade gates run {stage.number} makes it; it needs {', '.join(stage.inputs)}"
        return Rung(stage, Standing.MISSING, (wanted,), None)
    changed = changes(artifact.subject, subject)
    if changed:
        return Rung(stage, Standing.INVALIDATED, tuple(changed), artifact)
    if not artifact.passed:
        failed = tuple(
            f"{each.name}: {each.found}, required {each.required}" for each in artifact.checks if not each.passed
        )
        return Rung(stage, Standing.FAILED, failed, artifact)
    age = now - artifact.created_at
    if not -stage.fresh_for < age <= stage.fresh_for:
        why = f"it is {age.days} days old and counts for {stage.fresh_for.days}"
        return Rung(stage, Standing.STALE, (why,), artifact)
    return Rung(stage, Standing.PASSED, (), artifact)
