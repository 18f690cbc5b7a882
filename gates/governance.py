"""Signatures of the three roles, over the governance, the decision, and each review of the scale-up."""

from datetime import datetime

from domain.go_live import (
    GoLiveRecord,
    Governance,
    Review,
    Role,
    Sheet,
    Signature,
    SignedGovernance,
    SignedRecord,
    SignedReview,
)
from gates.context import Context
from gates.shelf import UnreadableDocument, aside
from gates.stages import GOVERNANCE, RECORD
from kernel.signing import Signer
from order_plane.gates import objections

Signed = SignedGovernance | SignedRecord
_TOO_LATE = "a review made now does not count; for a new decision run stage 8 in a copy of the directory"


class SigningRefused(ValueError):
    """This signature would not count; the text says why."""


class GovernanceSigned(ValueError):
    """A governance that somebody has signed, or that cannot be read, is not replaced; the text says what to do."""


def governance_problem(context: Context) -> str:
    """Why the governance does not count as signed; empty when it does."""
    try:
        signed = context.shelf.read(GOVERNANCE, SignedGovernance)
    except UnreadableDocument as error:
        return str(error)
    return "; ".join(objections(signed.governance, signed.signatures, context.order.go_live.signers))


def govern(context: Context, holders: dict[Role, str], policy: str, at: datetime) -> SignedGovernance:
    """Write down who holds which role, unsigned; raises GovernanceSigned when the one before is more than a draft."""
    path = context.shelf.directory / GOVERNANCE
    if path.exists() and (why := _kept(context)):
        raise GovernanceSigned(
            f"{path} {why}, and is not replaced: move it to {aside(path)}, and run this again. Until all three have "
            "signed the new one, no go-live record here holds"
        )
    made = SignedGovernance(governance=Governance(holders=holders, policy=policy, agreed_at=at))
    context.shelf.write(GOVERNANCE, made)
    return made


def propose_review(context: Context, findings: str, at: datetime) -> SignedRecord:
    """Add a review, unsigned, that opens the next step of the scale-up.

    Raises:
        SigningRefused: when there is no further step, not all have signed the review before, it is overdue, or the
            record was edited.
    """
    signed = _drafted(context)
    before = signed.reviews[-1:]
    if any(objections(each.review, each.signatures, context.order.go_live.signers) for each in before):
        raise SigningRefused("not all have signed the review before this one")
    step = len(signed.reviews) + 2
    if step > len(signed.record.scale_up):
        raise SigningRefused("the last step of the scale-up has begun; there is nothing to open")
    due = signed.record.scale_up[step - 2].review_by
    if at > due:
        raise SigningRefused(f"the review was due by {due:%Y-%m-%d %H:%M %Z}; {_TOO_LATE}")
    review = Review(record=signed.record.fingerprint, step=step, reviewed_at=at, findings=findings)
    changed = signed.model_copy(update={"reviews": (*signed.reviews, SignedReview(review=review))})
    context.shelf.write(RECORD, changed)
    return changed


def sign_governance(context: Context, role: Role, name: str, signer: Signer) -> SignedGovernance:
    """Add a signature to the governance; raises SigningRefused when it would not count."""
    signed = context.shelf.read(GOVERNANCE, SignedGovernance)
    given = _added(context, signed.governance, signed.signatures, role, name, signer)
    changed = signed.model_copy(update={"signatures": given})
    context.shelf.write(GOVERNANCE, changed)
    return changed


def sign_record(context: Context, role: Role, name: str, signer: Signer) -> SignedRecord:
    """Add a signature to the go-live record; raises SigningRefused when it would not count."""
    signed = _drafted(context)
    given = _added(context, signed.record, signed.signatures, role, name, signer)
    changed = signed.model_copy(update={"signatures": given})
    context.shelf.write(RECORD, changed)
    return changed


def sign_review(context: Context, role: Role, name: str, signer: Signer) -> SignedRecord:
    """Add a signature to the newest review; raises SigningRefused when it would not count."""
    signed = _drafted(context)
    if not signed.reviews:
        raise SigningRefused("there is no review; write one with algotrade gates review")
    newest = signed.reviews[-1]
    given = _added(context, newest.review, newest.signatures, role, name, signer)
    reviewed = newest.model_copy(update={"signatures": given})
    changed = signed.model_copy(update={"reviews": (*signed.reviews[:-1], reviewed)})
    context.shelf.write(RECORD, changed)
    return changed


def in_words(record: GoLiveRecord) -> str:
    """What a record says, for who signs it."""
    steps = ", ".join(f"{step.capital_fraction:.0%} until {step.review_by:%Y-%m-%d}" for step in record.scale_up)
    return (
        f"account {record.account}, evidence {record.evidence.value}, capital {record.capital:,.0f} ({steps}), "
        f"until {record.expires_at:%Y-%m-%d}, code {record.code.commit[:12] or 'of no commit'}, record "
        f"{record.fingerprint[:16]}{'' if record.passed else '; a stage has NOT passed'}"
    )


def _kept(context: Context) -> str:
    """Why the governance must be kept; empty when nobody has signed it."""
    try:
        given = context.shelf.read(GOVERNANCE, SignedGovernance).signatures
    except UnreadableDocument:
        return "cannot be read"
    return f"is signed by {', '.join(f'{each.name} as {each.role.value}' for each in given)}" if given else ""


def _drafted(context: Context) -> SignedRecord:
    signed, edited = context.shelf.record()
    if edited:
        raise SigningRefused(edited)
    return signed


def _added(
    context: Context, document: Sheet, given: tuple[Signature, ...], role: Role, name: str, signer: Signer
) -> tuple[Signature, ...]:
    if context.order.go_live.signers.get(role) != signer.public:
        raise SigningRefused(f"order.go_live.signers does not name this key as that of the {role.value}")
    if context.shelf.read(GOVERNANCE, SignedGovernance).governance.holders.get(role) != name:
        raise SigningRefused(f"the governance does not name {name} as {role.value}")
    if any(each.public_key == signer.public and each.role is not role for each in given):
        raise SigningRefused("this key has signed in another role; three different keys are needed")
    blank = Signature(role=role, name=name, public_key=signer.public, signature="0" * 128)
    mine = blank.model_copy(update={"signature": signer.sign(blank.text(document))})
    return (*(each for each in given if each.role is not role), mine)
