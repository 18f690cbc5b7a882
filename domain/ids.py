"""Identifiers derived from their cause, so that the same decision always has the same name."""

from datetime import UTC, datetime
from functools import cache
from uuid import NAMESPACE_URL, UUID, uuid5

_PLATFORM = uuid5(NAMESPACE_URL, "urn:algo-trade")


@cache
def _namespace(kind: str) -> UUID:
    return uuid5(_PLATFORM, kind)


def intent_id(strategy_id: str, symbol: str, decided_at: datetime, ordinal: int = 0) -> UUID:
    """Name of the ``ordinal``-th wish of a strategy for a symbol at a moment, in any zone (RFC 9562, version 5)."""
    # Neither names nor symbols hold a blank, so no two causes share a text.
    return uuid5(_namespace("intent"), f"{strategy_id} {symbol} {decided_at.astimezone(UTC).isoformat()} {ordinal}")


def report_id(intent: UUID, sequence: int) -> UUID:
    """Name of the ``sequence``-th report on an intent (RFC 9562, version 5)."""
    return uuid5(_namespace("report"), f"{intent}|{sequence}")
