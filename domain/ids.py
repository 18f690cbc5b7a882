"""Identifiers derived from their cause, so that the same decision always has the same name."""

from datetime import UTC, datetime
from hashlib import sha1
from uuid import NAMESPACE_URL, UUID, uuid5

_PLATFORM = uuid5(NAMESPACE_URL, "urn:algo-trade")
_INTENTS = sha1(uuid5(_PLATFORM, "intent").bytes, usedforsecurity=False)
_REPORTS = sha1(uuid5(_PLATFORM, "report").bytes, usedforsecurity=False)
_KEEP = ~(0xF000 << 64 | 0xC000 << 48)
_VERSION_AND_VARIANT = 5 << 76 | 0x8000 << 48


def intent_id(strategy_id: str, symbol: str, decided_at: datetime, ordinal: int = 0) -> UUID:
    """Name of the ``ordinal``-th wish of a strategy for a symbol at a moment, in any zone (RFC 9562, version 5)."""
    # Neither names nor symbols hold a blank, so no two causes share a text.
    moment = decided_at if decided_at.tzinfo is UTC else decided_at.astimezone(UTC)
    digest = _INTENTS.copy()
    digest.update(f"{strategy_id} {symbol} {moment.isoformat()} {ordinal}".encode())
    return _uuid5(digest.digest())


def report_id(intent: UUID, sequence: int) -> UUID:
    """Name of the ``sequence``-th report on an intent (RFC 9562, version 5)."""
    digest = _REPORTS.copy()
    digest.update(b"%b|%d" % (str(intent).encode(), sequence))
    return _uuid5(digest.digest())


def _uuid5(digest: bytes) -> UUID:
    # uuid.uuid5 hashes the namespace and checks its arguments anew for each of a backtest's many names.
    return UUID(int=int.from_bytes(digest[:16]) & _KEEP | _VERSION_AND_VARIANT)
