"""Stage 8: whether to go live: the other stages, rehearsals, and a record for three people to sign."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from domain.go_live import Evidence, GoLiveRecord, SignedRecord, Step
from gates.account_probe import Seen
from gates.artifact import AnyArtifact, Check, Prelive, Rehearsal
from gates.context import Context, Source, check
from gates.decision_page import decision_page, rollback_page
from gates.governance import governance_problem
from gates.ladder import Rung, Standing, ladder, weakest
from gates.paper_session import on_paper
from gates.rehearsal import rehearse
from gates.shelf import UnreadableDocument
from gates.stages import DECISION, RECORD, STAGES
from ibkr_client.witness import source_of
from kernel.clock import SystemClock
from order_plane.gates import objections, permission, shut_gates
from order_plane.go_live_terms import go_live_terms
from order_plane.settings import GoLiveSettings

GROWTH = ((0.1, 14), (0.3, 28), (1.0, None))
"""Fractions of capital, and the days after the decision by which each must be reviewed; the last holds to the end."""
_BEFORE = [each.number for each in STAGES if each.number < 8]


def run(context: Context, account: str, days: int) -> AnyArtifact:
    """Judge stages 1 to 7, rehearse kill switch and rollback, and draft the record for ``account``.

    Raises:
        NoPaperSession: when the settings are not those of a paper session.
        RehearsalFailed: when there was nothing to rehearse with.
    """
    on_paper(context.order)
    folder = context.shelf.directory / f"rehearsal-{SystemClock().now():%Y%m%d-%H%M%S-%f}"
    rehearsals, seen = rehearse(context, folder)
    rungs, problem = standing(context)[:7], governance_problem(context)
    source = weakest_source(seen)
    checks = [
        _stages(rungs),
        *map(_rehearsed, rehearsals),
        check("governance", not problem, "signed by all", problem or "signed"),
    ]
    artifacts = {str(rung.stage.number): rung.artifact.fingerprint for rung in rungs if rung.artifact is not None}
    found = Prelive(
        standings={str(rung.stage.number): rung.standing.value for rung in rungs},
        artifacts=artifacts,
        rehearsals=tuple(rehearsals),
        governance=problem or "signed",
        weakest_evidence=_weaker(weakest(rungs), source[0]),
    )
    made = context.finish(8, checks, found, {"ROLLBACK_PROCEDURE.md": rollback_page(rehearsals)}, source)
    context.shelf.draft(drafted(context, made, found, account, days))
    write_decision(context)
    return made


def drafted(context: Context, made: AnyArtifact, found: Prelive, account: str, days: int) -> GoLiveRecord | None:
    """The record to be signed; None while an artifact is missing."""
    if len(found.artifacts) != len(_BEFORE):
        return None
    subject, order = made.subject, context.order
    cap = order.limits.max_symbol_notional
    last = made.created_at + timedelta(days=days)
    return GoLiveRecord(
        account=account,
        configuration=subject.configuration,
        order_configuration=subject.order_configuration,
        limits=subject.limits,
        code=subject.code,
        evidence=found.weakest_evidence,
        evidence_account=subject.account,
        artifacts={**found.artifacts, "8": made.fingerprint},
        passed=made.passed,
        decided_at=made.created_at,
        expires_at=last,
        capital=order.capital,
        scale_up=tuple(
            Step(capital_fraction=fraction, position_cap=fraction * cap, review_by=review_by)
            for fraction, review_by in growth(made.created_at, last)
        ),
    )


def growth(decided_at: datetime, last: datetime) -> list[tuple[float, datetime]]:
    """Fractions of capital with the dates of their reviews; none begins at ``last`` or later, when it ends."""
    begins = [decided_at, *(decided_at + timedelta(days=days) for _, days in GROWTH if days is not None)]
    ends = [*begins[1:], last]
    steps = zip(GROWTH, begins, ends, strict=True)
    return [(fraction, min(end, last)) for (fraction, _), begin, end in steps if begin < last]


def standing(context: Context, at: datetime | None = None) -> list[Rung]:
    """Every stage as it stands now, or ``at`` a moment by its age.

    Under the live account of a record its artifacts are of the paper account.
    """
    subject = context.subject()
    try:
        record = context.shelf.read(RECORD, SignedRecord).record
    except UnreadableDocument:
        record = None
    if record is not None and record.account == subject.account:
        subject = subject._replace(account=record.evidence_account)
    return ladder(context.shelf.all(), subject, at or SystemClock().now())


def record_problems(context: Context) -> list[str]:
    """Why the go-live record does not hold: its artifacts, its signatures, the governance, and what changed since.

    Artifacts must have been fresh when they were decided on; how long that holds, the record says itself. Whether the
    configured account is the live one is not asked here: what runs may be its paper twin.
    """
    try:
        signed, edited = context.shelf.record()
    except UnreadableDocument as error:
        return [str(error)]
    record, subject = signed.record, context.subject()
    rungs = standing(context, record.decided_at)
    found = [
        f"stage {each.stage.number} is {each.standing.value}" for each in rungs if each.standing is not Standing.PASSED
    ]
    decided = {int(number): digest for number, digest in record.artifacts.items()}
    other = [each for each in rungs if each.artifact and each.artifact.fingerprint != decided[each.stage.number]]
    found += [f"the artifact of stage {each.stage.number} is not the one that was decided on" for each in other]
    if record.configuration != subject.configuration:
        found.append("the configuration has changed")
    terms = go_live_terms(context.order.model_copy(update={"account": record.account, "go_live": _here(context)}))
    _, why = permission(terms)
    reviews = [objections(each.review, each.signatures, terms.signers) for each in signed.reviews]
    found += [f"review {number}: {'; '.join(each)}" for number, each in enumerate(reviews, 1) if each]
    governed = governance_problem(context)
    found += [f"the governance: {governed}"] if governed else []
    return list(dict.fromkeys([*([edited] if edited else []), *found, *why]))


def live_problems(context: Context, environment: Mapping[str, str]) -> list[str]:
    """Everything that stands between now and live trading, switches included."""
    switches = [each for each in shut_gates(environment, None) if "=" in each]
    return [*switches, *record_problems(context)]


def write_decision(context: Context) -> None:
    """Write the page of the decision, which changes with each signature."""
    problems = record_problems(context)
    try:
        signed = context.shelf.read(RECORD, SignedRecord)
    except UnreadableDocument:
        signed = None
    context.shelf.write_text(DECISION, decision_page(standing(context), signed, problems))


def weakest_source(seen: Sequence[Seen]) -> Source:
    """The weakest evidence of several looks at the gateway."""
    sources = [source_of(each.witness) for each in seen]
    simulated = [each for each in sources if each[0] is Evidence.SIMULATED]
    return (simulated or sources)[0]


def _weaker(first: Evidence, second: Evidence) -> Evidence:
    ranked = (Evidence.SIMULATED, Evidence.PAPER, Evidence.LIVE)
    return min(first, second, key=ranked.index)


def _stages(rungs: Sequence[Rung]) -> Check:
    wrong = [
        f"stage {each.stage.number} is {each.standing.value}" for each in rungs if each.standing is not Standing.PASSED
    ]
    return check("stages 1 to 7", not wrong, "passed and fresh", "; ".join(wrong) or "passed and fresh")


def _rehearsed(done: Rehearsal) -> Check:
    return check(done.name, done.passed, "done for real, as promised", f"{done.before} -> {done.after}")


def _here(context: Context) -> GoLiveSettings:
    return context.order.go_live.model_copy(update={"record_path": context.shelf.directory / RECORD})
