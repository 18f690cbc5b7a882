"""What is written beside a message that could not be used: why, where from, how often; bytes unchanged."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from contracts.codec import ErrorCode, FieldError

Header = tuple[str, bytes | None]
"""One record header as the wire has it; a value may be null and a name may stand more than once."""

DEAD_LETTER_VERSION = 1
MESSAGE_MAX_BYTES = 512


class Stage(StrEnum):
    """The step that refused a message."""

    DECODE = "DECODE"
    SCHEMA = "SCHEMA"
    SEMANTIC = "SEMANTIC"
    RISK = "RISK"
    HANDLER = "HANDLER"


class FailureClass(StrEnum):
    """Whether handing the message in again can help."""

    POISON = "POISON"
    """Never works with the same program."""
    TRANSIENT = "TRANSIENT"
    """May work later, unchanged."""
    POLICY = "POLICY"
    """Refused by a rule that an operator may waive."""


_STAGE_OF = {
    ErrorCode.NOT_UTF8: Stage.DECODE,
    ErrorCode.NOT_JSON: Stage.DECODE,
    ErrorCode.DUPLICATE_KEY: Stage.DECODE,
    ErrorCode.TOO_LARGE: Stage.DECODE,
    ErrorCode.STALE: Stage.SEMANTIC,
    ErrorCode.SEQ_GAP: Stage.SEMANTIC,
    ErrorCode.UNKNOWN_ORDER: Stage.SEMANTIC,
    ErrorCode.HANDLER_BUG: Stage.HANDLER,
    ErrorCode.DEPENDENCY_DOWN: Stage.HANDLER,
}
_CLASS_OF = {
    ErrorCode.STALE: FailureClass.POLICY,
    ErrorCode.SEQ_GAP: FailureClass.TRANSIENT,
    ErrorCode.UNKNOWN_ORDER: FailureClass.TRANSIENT,
    ErrorCode.DEPENDENCY_DOWN: FailureClass.TRANSIENT,
}


def stage_of(code: ErrorCode) -> Stage:
    """The step that refuses with ``code``."""
    return _STAGE_OF.get(code, Stage.SCHEMA)


def class_of(code: ErrorCode) -> FailureClass:
    """Whether a message refused with ``code`` can ever work."""
    return _CLASS_OF.get(code, FailureClass.POISON)


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A record as it was read: ``topic`` is its name on the broker, a null value stays None."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    timestamp_ms: int = 0
    timestamp_type: str = "create"


@dataclass(frozen=True, slots=True)
class Refuser:
    """Who refused: consumer group, process, program version, and the schemas it would have accepted."""

    group: str
    instance: str
    app_version: str
    expected: tuple[str, ...] = ()


_TOPIC = "__connect.errors.topic"
_PARTITION = "__connect.errors.partition"
_OFFSET = "__connect.errors.offset"
_STAGE = "__connect.errors.stage"
_CLASS_NAME = "__connect.errors.exception.class.name"
_MESSAGE = "__connect.errors.exception.message"
_TEXT_FIELDS = {
    "dlq_id": "dlq.id",
    "code": "dlq.error.code",
    "path": "dlq.error.path",
    "failure_class": "dlq.class",
    "source_topic": _TOPIC,
    "stage": _STAGE,
    "class_name": _CLASS_NAME,
    "reason": _MESSAGE,
    "timestamp_type": "dlq.source.timestamp_type",
    "schema_claimed": "dlq.schema.claimed",
    "schema_expected": "dlq.schema.expected",
    "producer_id": "dlq.producer.id",
    "consumer_group": "dlq.consumer.group",
    "instance": "dlq.instance",
    "app_version": "dlq.app.version",
    "value_sha256": "dlq.value.sha256",
    "failed_at": "dlq.failed_at",
    "first_failed_at": "dlq.first_failed_at",
    "origin_topic": "dlq.origin.topic",
    "intent_id": "dlq.intent_id",
    "correlation_id": "dlq.correlation_id",
}
_NUMBER_FIELDS = {
    "source_partition": _PARTITION,
    "source_offset": _OFFSET,
    "source_timestamp_ms": "dlq.source.timestamp",
    "value_size": "dlq.value.size",
    "redrive_count": "dlq.redrive.count",
    "origin_partition": "dlq.origin.partition",
    "origin_offset": "dlq.origin.offset",
}
_VERSION = "dlq.v"
ADDED_HEADERS = frozenset({*_TEXT_FIELDS.values(), *_NUMBER_FIELDS.values(), _VERSION})
"""Every header this contract adds; all others belong to the original message."""

_INTENT_ID = re.compile(rb'"intent_id"\s*:\s*"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"')
_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_SAFE_NAME = re.compile(r"[A-Za-z0-9._/:-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One record of a dead-letter topic: the original message and why it is there.

    ``origin_*`` and ``first_failed_at`` tell of the first failure and survive redrives, ``source_*`` and
    ``failed_at`` of the latest. ``headers`` are those of the original.
    """

    dlq_id: str
    code: str
    path: str
    failure_class: str
    source_topic: str
    source_partition: int
    source_offset: int
    stage: str
    class_name: str
    reason: str
    source_timestamp_ms: int
    timestamp_type: str
    schema_claimed: str
    schema_expected: str
    producer_id: str
    consumer_group: str
    instance: str
    app_version: str
    value_size: int
    value_sha256: str
    failed_at: str
    first_failed_at: str
    redrive_count: int
    origin_topic: str
    origin_partition: int
    origin_offset: int
    intent_id: str
    correlation_id: str
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]

    @property
    def intact(self) -> bool:
        """Whether the value is still the one that was refused."""
        return hashlib.sha256(self.value or b"").hexdigest() == self.value_sha256


class NotADeadLetter(ValueError):
    """A record of a dead-letter topic lacks the headers of this contract."""


def dead_letter_id(topic: str, partition: int, offset: int, group: str) -> str:
    """SHA-256 of where a message was refused and by whom: the same failure has the same name each time."""
    return hashlib.sha256(f"{topic}/{partition}/{offset}/{group}".encode()).hexdigest()


def dead_letter_headers(source: SourceRecord, error: FieldError, refuser: Refuser, failed_at: datetime) -> list[Header]:
    """Headers of the dead letter of ``source``: the original ones, then ours, all ours UTF-8 text."""
    ours = _ours(source.headers)
    when = failed_at.isoformat(timespec="milliseconds")
    stage = stage_of(error.code)
    value = source.value or b""
    added = {
        _TOPIC: source.topic,
        _PARTITION: source.partition,
        _OFFSET: source.offset,
        _STAGE: stage,
        _CLASS_NAME: "ContractViolation" if stage in (Stage.DECODE, Stage.SCHEMA) else "Unprocessable",
        _MESSAGE: _clip(error.rule),
        _VERSION: DEAD_LETTER_VERSION,
        "dlq.id": dead_letter_id(source.topic, source.partition, source.offset, refuser.group),
        "dlq.error.code": error.code,
        "dlq.error.path": _clip(error.path),
        "dlq.class": class_of(error.code),
        "dlq.source.timestamp": source.timestamp_ms,
        "dlq.source.timestamp_type": source.timestamp_type,
        "dlq.schema.claimed": _claimed(source.headers, "schema"),
        "dlq.schema.expected": ",".join(refuser.expected),
        "dlq.producer.id": _claimed(source.headers, "producer"),
        "dlq.consumer.group": refuser.group,
        "dlq.instance": refuser.instance,
        "dlq.app.version": refuser.app_version,
        "dlq.value.size": len(value),
        "dlq.value.sha256": hashlib.sha256(value).hexdigest(),
        "dlq.failed_at": when,
        "dlq.first_failed_at": ours.get("dlq.first_failed_at", when),
        "dlq.redrive.count": _number(ours, "dlq.redrive.count", 0),
        "dlq.origin.topic": ours.get("dlq.origin.topic", source.topic),
        "dlq.origin.partition": _number(ours, "dlq.origin.partition", source.partition),
        "dlq.origin.offset": _number(ours, "dlq.origin.offset", source.offset),
        "dlq.intent_id": _found(_INTENT_ID, value),
        "dlq.correlation_id": _found(_TRACEPARENT, _first(source.headers, "traceparent")),
    }
    return [
        *original_headers(source.headers),
        *((name, str(text).encode()) for name, text in added.items() if text != ""),
    ]


def redriven_headers(letter: DeadLetter) -> list[Header]:
    """Headers of ``letter`` handed in again: the original ones, and what must survive another failure."""
    kept = {
        "dlq.redrive.count": letter.redrive_count + 1,
        "dlq.first_failed_at": letter.first_failed_at,
        "dlq.origin.topic": letter.origin_topic,
        "dlq.origin.partition": letter.origin_partition,
        "dlq.origin.offset": letter.origin_offset,
    }
    return [*letter.headers, *((name, str(text).encode()) for name, text in kept.items())]


def parse_dead_letter(headers: Sequence[Header], key: bytes | None, value: bytes | None) -> DeadLetter:
    """Read a record of a dead-letter topic back.

    Raises:
        NotADeadLetter: when it carries no ``dlq.v`` or ``dlq.id``, so something else wrote it.
    """
    ours = _ours(headers)
    if ours.get(_VERSION) != str(DEAD_LETTER_VERSION) or "dlq.id" not in ours:
        raise NotADeadLetter("the record has no dlq.v=1 and dlq.id headers; it was not written by this platform")
    return DeadLetter(
        key=key,
        value=value,
        headers=tuple(original_headers(headers)),
        **{field: ours.get(name, "") for field, name in _TEXT_FIELDS.items()},  # type: ignore[arg-type]
        **{field: _number(ours, name, 0) for field, name in _NUMBER_FIELDS.items()},  # type: ignore[arg-type]
    )


def original_headers(headers: Iterable[Header]) -> list[Header]:
    """Those headers that the first producer set."""
    return [header for header in headers if header[0] not in ADDED_HEADERS]


def _ours(headers: Iterable[Header]) -> dict[str, str]:
    return {name: (value or b"").decode("utf-8", "replace") for name, value in headers if name in ADDED_HEADERS}


def _number(texts: dict[str, str], name: str, default: int) -> int:
    text = texts.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else default


def _first(headers: Iterable[Header], name: str) -> bytes:
    return next((value or b"" for found, value in headers if found == name), b"")


def _claimed(headers: Iterable[Header], name: str) -> str:
    text = _first(headers, name).decode("ascii", "replace")
    return text if _SAFE_NAME.fullmatch(text) else ""


def _found(pattern: re.Pattern[bytes], raw: bytes) -> str:
    match = pattern.search(raw)
    return match.group(1).decode() if match else ""


def _clip(text: str) -> str:
    return text.encode("utf-8", "replace")[:MESSAGE_MAX_BYTES].decode("utf-8", "ignore")
