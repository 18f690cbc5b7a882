"""The pages of stage 8: the decision with its reasons, and the rollback as it was rehearsed."""

from collections.abc import Sequence

from domain.go_live import GoLiveRecord, SignedRecord
from gates.artifact import Rehearsal
from gates.ladder import Rung
from gates.render import document, table

STEPS = (
    ("cancel-all", "no new orders; every open order is cancelled"),
    ("flatten", "every position is closed at the market"),
    ("verify", "nothing open, nothing held, nothing in doubt, and the switch latched"),
    ("report", "what the order plane knows, as JSON"),
    ("disconnect", "the planes end, and with them the connection to the broker"),
)


def decision_page(rungs: Sequence[Rung], signed: SignedRecord | None, problems: Sequence[str]) -> str:
    """GO only when nothing stands against it; otherwise every reason."""
    verdict = "GO" if signed is not None and not problems else "NO-GO"
    rows = [
        (each.stage.number, each.stage.name, each.standing.value, each.evidence, "; ".join(each.why)) for each in rungs
    ]
    parts = [
        [f"**{verdict}**"],
        ["## Stages", "", *table(("stage", "name", "standing", "evidence", "why"), rows)],
        ["## What stands against it", "", *(f"* {each}" for each in problems or ["nothing"])],
    ]
    if signed is not None:
        parts += [_record(signed.record), _signatures(signed), _growth(signed.record)]
    return document("Go-live decision", *parts)


def rollback_page(rehearsals: Sequence[Rehearsal]) -> str:
    """What to do, and what happened when it was done."""
    parts = [
        ["Everything in order: `algotrade rollback run --operator NAME --reason TEXT`. Each step alone:"],
        table(("step", "what it does"), [(f"`algotrade rollback {name}`", does) for name, does in STEPS]),
        ["At once and alone: `algotrade kill on --operator NAME --reason TEXT`; `--flatten` closes positions too."],
        ["When no order plane answers, the orders must be looked after in TWS or with the broker's desk by telephone."],
    ]
    for done in rehearsals:
        rows = [
            ("command", "; ".join(f"`{each}`" for each in done.commands)),
            ("exit code", ", ".join(map(str, done.exit_codes))),
            ("seen before, from outside", done.before),
            ("seen after, from outside", done.after),
            ("seconds", done.seconds),
            ("verdict", "passed" if done.passed else "**FAILED**"),
        ]
        parts.append([f"## Rehearsal: {done.name}", "", *table(("", ""), rows)])
    return document("Rollback", *parts)


def _record(record: GoLiveRecord) -> list[str]:
    named = {
        "live account": record.account,
        "evidence": f"{record.evidence.value}, of account {record.evidence_account}",
        "stages passed": "yes" if record.passed else "no",
        "decided at": record.decided_at.isoformat(),
        "expires at": record.expires_at.isoformat(),
        "code": f"{record.code.commit or 'no commit'}, sources {record.code.digest}",
        "configuration": record.configuration,
        "limits": record.limits,
        "fingerprint": record.fingerprint,
    }
    return ["## Record", "", *table(("", ""), list(named.items()))]


def _signatures(signed: SignedRecord) -> list[str]:
    rows = [(each.role.value, each.name, each.public_key) for each in signed.signatures]
    return ["## Signatures", "", *table(("role", "name", "key"), rows)]


def _growth(record: GoLiveRecord) -> list[str]:
    rows = [
        (
            f"{each.capital_fraction:.0%}",
            f"{each.capital_fraction * record.capital:,.0f}",
            f"{each.position_cap:,.0f}",
            each.review_by.date(),
        )
        for each in record.scale_up
    ]
    return ["## Scale-up", "", *table(("capital", "largest exposure", "largest position", "review by"), rows)]
