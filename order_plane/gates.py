"""The gates that stand before live trading: three switches, and a decision that three people signed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from domain.go_live import (
    Allowance,
    GoLiveRecord,
    Review,
    Role,
    Running,
    Sheet,
    Signature,
    SignedRecord,
    allowance,
    refusals,
    unsigned,
)
from kernel.clock import SystemClock
from kernel.code_version import source_digest

_SWITCHES = {"LIVE_API": "1", "CONFIRM_LIVE": "YES", "ENABLE_LIVE_TRADING": "true"}
GO_LIVE_RECORD = "a signed, unexpired go-live record for this configuration and account"


class LiveTradingRefused(RuntimeError):
    """Live trading was asked for and a gate is shut; the message names each one."""


@dataclass(frozen=True, slots=True)
class GoLiveTerms:
    """Where the signed decision is, whose keys count, and what is about to trade."""

    record_path: Path
    signers: Mapping[Role, str]
    account: str
    order_configuration: str
    limits: str


@dataclass(frozen=True, slots=True)
class Permission:
    """A decision that holds: what it allows at a moment."""

    record: GoLiveRecord
    reviews: Sequence[Review]

    def allowed(self, at: datetime) -> Allowance | None:
        """What may be used at ``at``; None when a review of the scale-up is overdue."""
        return allowance(self.record, self.reviews, at)


def shut_gates(environment: Mapping[str, str], terms: GoLiveTerms | None) -> tuple[str, ...]:
    """Name every gate that is shut, the signed decision with each reason why it does not hold."""
    switches = [f"{name}={value}" for name, value in _SWITCHES.items() if environment.get(name) != value]
    _, why = permission(terms)
    return (*switches, *([f"{GO_LIVE_RECORD} ({'; '.join(why)})"] if why else []))


def require_open_gates(environment: Mapping[str, str], terms: GoLiveTerms | None) -> Permission:
    """The decision that lets ``terms`` trade live; returns only when every gate is open.

    Raises:
        LiveTradingRefused: naming the gates that are shut.
    """
    shut = shut_gates(environment, terms)
    found, _ = permission(terms)
    if shut or found is None:
        raise LiveTradingRefused(f"mode live is refused; missing: {'; '.join(shut)}. Use mode paper")
    return found


def permission(terms: GoLiveTerms | None) -> tuple[Permission | None, list[str]]:
    """The decision when it holds for ``terms`` now, and otherwise why it does not."""
    if terms is None:
        return None, ["none is named"]
    try:
        signed = read_record(terms.record_path)
    except LiveTradingRefused as error:
        return None, [str(error)]
    at = SystemClock().now()
    running = Running(terms.account, terms.order_configuration, terms.limits, source_digest(), at)
    why = [*refusals(signed.record, running), *objections(signed.record, signed.signatures, terms.signers)]
    found = Permission(signed.record, valid_reviews(signed, terms.signers))
    if not why and found.allowed(at) is None:
        why.append("the review of its scale-up is overdue")
    return (None, why) if why else (found, [])


def read_record(path: Path) -> SignedRecord:
    """The decision in the file at ``path``; raises LiveTradingRefused when there is none that can be read."""
    try:
        return SignedRecord.model_validate_json(path.read_bytes())
    except OSError:
        raise LiveTradingRefused(f"there is no file {path}") from None
    except ValidationError as error:
        where = ", ".join(sorted({".".join(map(str, each["loc"])) or "the file" for each in error.errors()}))
        raise LiveTradingRefused(f"{path} is no go-live record: {where}") from None


def valid_reviews(signed: SignedRecord, signers: Mapping[Role, str]) -> list[Review]:
    """The reviews in front of the first that is not signed by all."""
    found = []
    for each in signed.reviews:
        if objections(each.review, each.signatures, signers):
            break
        found.append(each.review)
    return found


def objections(document: Sheet, signatures: Sequence[Signature], signers: Mapping[Role, str]) -> list[str]:
    """Why ``document`` does not count as signed by the holders of all three roles."""
    from kernel.signing import is_signed  # noqa: PLC0415 - loads the library of signatures

    found = unsigned(signatures, signers)
    wrong = [each for each in signatures if not is_signed(each.text(document), each.signature, each.public_key)]
    return [*found, *(f"the signature of the {each.role.value} does not fit what it signs" for each in wrong)]
