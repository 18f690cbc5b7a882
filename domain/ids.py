"""Identifiers derived from their cause, so that the same decision always has the same name."""

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha1
from uuid import NAMESPACE_URL, UUID, SafeUUID, uuid5

from domain.moments import text_of as moment_text

_PLATFORM = uuid5(NAMESPACE_URL, "urn:algo-trade")
_INTENTS = sha1(uuid5(_PLATFORM, "intent").bytes, usedforsecurity=False)
_HALTS = sha1(uuid5(_PLATFORM, "halt").bytes, usedforsecurity=False)
_PLANS = sha1(uuid5(_PLATFORM, "plan").bytes, usedforsecurity=False)
_KEEP = ~(0xF000 << 64 | 0xC000 << 48)
_VERSION_AND_VARIANT = 5 << 76 | 0x8000 << 48
_new = UUID.__new__
_set_number, _set_safety, _UNKNOWN = UUID.__dict__["int"].__set__, UUID.__dict__["is_safe"].__set__, SafeUUID.unknown


def intent_id(strategy_id: str, symbol: str, decided_at: datetime, ordinal: int = 0) -> UUID:
    """Name of the ``ordinal``-th wish of a strategy for a symbol at a moment, in any zone (RFC 9562, version 5)."""
    # Neither names nor symbols hold a blank, so no two causes share a text.
    moment = decided_at if decided_at.tzinfo is UTC else decided_at.astimezone(UTC)
    digest = _INTENTS.copy()
    digest.update(f"{strategy_id} {symbol} {moment_text(moment)} {ordinal}".encode())
    return _uuid5(digest.digest())


def report_id(intent: UUID, sequence: int) -> UUID:
    """Name of the ``sequence``-th report on an intent: its number as a name in the intent's own namespace."""
    return _uuid5(sha1(b"%b%d" % (intent.int.to_bytes(16), sequence), usedforsecurity=False).digest())


def halt_id(symbol: str, evidence: str) -> UUID:
    """Name of the halt of a symbol for what was seen: the same evidence never halts twice (RFC 9562, version 5)."""
    digest = _HALTS.copy()
    digest.update(f"{symbol} {evidence}".encode())
    return _uuid5(digest.digest())


def replacement_id(intent: UUID, purpose: str) -> UUID:
    """Name of the order that takes the place of ``intent``'s, for one purpose (RFC 9562, version 5)."""
    return _uuid5(sha1(b"%b%b" % (intent.int.to_bytes(16), purpose.encode()), usedforsecurity=False).digest())


def foreign_order_id(venue: str, order_id: str) -> UUID:
    """Name that stands for the intent of an order which somebody else placed at ``venue`` (RFC 9562, version 5)."""
    return uuid5(_PLATFORM, f"foreign order {venue} {order_id}")


def plan_id(strategy_id: str, decided_at: datetime) -> UUID:
    """Name of the plan that a strategy makes at a moment, in any zone (RFC 9562, version 5)."""
    digest = _PLANS.copy()
    digest.update(f"{strategy_id} {decided_at.astimezone(UTC).isoformat()}".encode())
    return _uuid5(digest.digest())


def kill_id(cause: str, scope: str, target: str, at: datetime) -> UUID:
    """Name of the command that an automatic kill switch gives at a moment, in any zone (RFC 9562, version 5)."""
    return uuid5(_PLATFORM, f"kill {cause} {scope} {target} {at.astimezone(UTC).isoformat()}")


def text_of(name: UUID) -> str:
    """``str(name)``, remembered: one order writes its intent's name a dozen times."""
    return _spelled(name.int)


@lru_cache(maxsize=1024)
def _spelled(number: int) -> str:
    return str(UUID(int=number))


def _uuid5(digest: bytes) -> UUID:
    # uuid.uuid5 hashes the namespace, and UUID() checks its arguments, anew for each of a backtest's many names.
    name = _new(UUID)
    _set_number(name, int.from_bytes(digest[:16]) & _KEEP | _VERSION_AND_VARIANT)
    _set_safety(name, _UNKNOWN)
    return name
