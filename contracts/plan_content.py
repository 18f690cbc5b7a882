"""What a person approves when they approve a plan."""

from hashlib import sha256

from contracts.codec import encode
from contracts.control import RebalancePlan

_UNSIGNED = "0" * 64


def content_hash(plan: RebalancePlan) -> str:
    """SHA-256, as 64 hexadecimal digits, of the canonical text of ``plan`` with its own hash as zeros."""
    return sha256(encode(plan.model_copy(update={"content_hash": _UNSIGNED}))).hexdigest()


def signed(plan: RebalancePlan) -> RebalancePlan:
    """The same plan, carrying the hash of its content."""
    return plan.model_copy(update={"content_hash": content_hash(plan)})
