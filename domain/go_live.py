"""What a decision to trade live says, who signed it, and how much capital it lets be used when."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from itertools import pairwise
from typing import Annotated, NamedTuple, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256, or a public key, as 64 hexadecimal digits."""
Person = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f]*$")]
Money = Annotated[float, Field(gt=0, le=1e15)]
STAGES = tuple(range(1, 9))


class Evidence(StrEnum):
    """Where what is known of a gateway comes from."""

    SIMULATED = "simulated"
    PAPER = "IBKR paper"
    LIVE = "IBKR live"


class Role(StrEnum):
    """Who must sign."""

    RISK_OFFICER = "Risk Officer"
    CTO = "CTO"
    LEAD_TRADER = "Lead Trader"


class Sheet(BaseModel):
    """A document that is hashed and signed: frozen, closed, and without coercion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the canonical JSON."""
        return sha256(canonical(self.model_dump(mode="json"))).hexdigest()


class CodeVersion(Sheet):
    """Which code ran: ``commit`` is of git or empty, ``digest`` covers every source file as it was on the disk."""

    version: Person
    commit: str = Field(pattern=r"^([0-9a-f]{40})?$")
    dirty: bool
    digest: Digest


class Step(Sheet):
    """Until a review, no more than ``capital_fraction`` of capital is used and ``position_cap`` held in one symbol.

    ``position_cap`` is in currency units. After ``review_by`` nothing is bought or sold but to reduce positions.
    """

    capital_fraction: float = Field(gt=0, le=1)
    position_cap: Money
    review_by: AwareDatetime


class GoLiveRecord(Sheet):
    """The decision of stage 8; every field is covered by every signature.

    ``configuration`` covers data, strategy and orders, ``order_configuration`` what the order plane can see of it, and
    ``limits`` its limits alone. ``artifacts`` are digests by stage. ``evidence`` is the weakest of the stages that need
    a gateway. ``capital`` (currency units) is what the fractions of ``scale_up`` are taken of.
    """

    account: Person
    configuration: Digest
    order_configuration: Digest
    limits: Digest
    code: CodeVersion
    evidence: Evidence
    evidence_account: Person
    artifacts: dict[str, Digest]
    passed: bool
    decided_at: AwareDatetime
    expires_at: AwareDatetime
    capital: Money
    scale_up: tuple[Step, ...] = Field(min_length=1, max_length=12)

    @model_validator(mode="after")
    def _grows_in_order(self) -> Self:
        fractions = [step.capital_fraction for step in self.scale_up]
        dates = [self.decided_at, *(step.review_by for step in self.scale_up)]
        if fractions != sorted(set(fractions)):
            raise ValueError("scale_up: each step must use more capital than the one before")
        if any(later <= earlier for earlier, later in pairwise(dates)):
            raise ValueError("scale_up: each review must be later than the one before, the first after the decision")
        if dates[-1] > self.expires_at:
            raise ValueError("expires_at must not be before the last review")
        return self

    @model_validator(mode="after")
    def _names_each_stage(self) -> Self:
        if sorted(self.artifacts) != sorted(map(str, STAGES)):
            raise ValueError("artifacts must have one digest for each of the stages 1 to 8")
        return self


class Review(Sheet):
    """Lets the step of ``record`` begin that has the number ``step``, counted from 1."""

    record: Digest
    step: int = Field(ge=2, le=12)
    reviewed_at: AwareDatetime
    findings: str = Field(min_length=1, max_length=4096)


class Governance(Sheet):
    """Who holds which role, and what they promise; stage 1 wants it signed by all of them."""

    holders: dict[Role, Person]
    policy: str = Field(min_length=1, max_length=16_384)
    agreed_at: AwareDatetime


class Signature(Sheet):
    """One person's signature (Ed25519, 128 hexadecimal digits) of one document in one role."""

    role: Role
    name: Person
    public_key: Digest
    signature: str = Field(pattern=r"^[0-9a-f]{128}$")

    def text(self, document: Sheet) -> bytes:
        """What is signed: the document with its kind, and who signs as what with which key."""
        return statement(document, self.role, self.name, self.public_key)


class SignedReview(Sheet):
    """A review and its signatures."""

    review: Review
    signatures: tuple[Signature, ...] = ()


class SignedRecord(Sheet):
    """A go-live record, its signatures, and the reviews since."""

    record: GoLiveRecord
    signatures: tuple[Signature, ...] = ()
    reviews: tuple[SignedReview, ...] = ()


class SignedGovernance(Sheet):
    """The governance and its signatures."""

    governance: Governance
    signatures: tuple[Signature, ...] = ()


class Allowance(NamedTuple):
    """How much may be used for the time being: largest gross exposure and largest in one symbol, in currency units."""

    exposure_cap: float
    position_cap: float


class Running(NamedTuple):
    """What runs, or is about to: hashes as in `GoLiveRecord`."""

    account: str
    order_configuration: str
    limits: str
    code: str
    at: datetime


def canonical(value: object) -> bytes:
    """The one spelling of JSON data that is hashed and signed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def statement(document: Sheet, role: Role, name: str, public_key: str) -> bytes:
    """The bytes that a person signs; a signature of one kind of document, or in one role, is none of another."""
    body = {"kind": type(document).__name__, "role": role.value, "name": name, "public_key": public_key}
    return canonical({**body, "document": document.model_dump(mode="json")})


def refusals(record: GoLiveRecord, running: Running) -> list[str]:
    """Why ``record`` does not let ``running`` trade live, whoever signed it."""
    found = {
        f"its evidence is {record.evidence.value}, which never allows live trading": (
            record.evidence is Evidence.SIMULATED
        ),
        "its stages have not all passed": not record.passed,
        "the code had uncommitted changes": record.code.dirty or not record.code.commit,
        "it is for another account": record.account != running.account,
        "the configuration has changed": record.order_configuration != running.order_configuration,
        "the limits have changed": record.limits != running.limits,
        "the code has changed": record.code.digest != running.code,
        "it is not valid yet": running.at < record.decided_at,
        "it has expired": running.at >= record.expires_at,
    }
    return [why for why, holds in found.items() if holds]


def unsigned(signatures: Sequence[Signature], signers: Mapping[Role, str]) -> list[str]:
    """What is wrong with who signed, before any signature is verified: three roles, three keys that are pinned."""
    found = []
    for role in Role:
        given = [each for each in signatures if each.role is role]
        if role not in signers:
            found.append(f"no key of the {role.value} is configured (order.go_live.signers)")
        elif len(given) != 1:
            found.append(f"the {role.value} has {'not signed' if not given else 'signed more than once'}")
        elif given[0].public_key != signers[role]:
            found.append(f"the signature of the {role.value} is of another key than the one configured")
    if len(set(signers.values())) != len(signers):
        found.append("one key is configured for several roles; three different ones are needed")
    return found


def allowance(record: GoLiveRecord, reviews: Sequence[Review], at: datetime) -> Allowance | None:
    """What the step allows that holds at ``at``; None once its review is overdue, or before the decision.

    A review counts when it is of this record, opens the next step, and was made before the date of the step it ends.
    """
    number, begun = 0, record.decided_at
    for review in reviews:
        step = record.scale_up[number]
        fits = review.record == record.fingerprint and review.step == number + 2 <= len(record.scale_up)
        if not fits or not begun < review.reviewed_at <= step.review_by or review.reviewed_at > at:
            break
        number, begun = number + 1, review.reviewed_at
    current = record.scale_up[number]
    if not record.decided_at <= at < min(current.review_by, record.expires_at):
        return None
    return Allowance(current.capital_fraction * record.capital, current.position_cap)
