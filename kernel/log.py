"""Structured log lines on one stream, for this code and every library, free of secrets and control characters."""

import logging
import math
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Literal, TextIO

import structlog
from pydantic import SecretBytes, SecretStr
from structlog.typing import EventDict, Processor, WrappedLogger

from kernel.pump import HANDLING
from kernel.settings import MASK

Level = Literal["debug", "info", "warning", "error"]
_SHORTEST_SECRET = 4
_NAMES_A_SECRET = re.compile(
    r"passw|passphrase|secret|token|api.?key|private.?key|credential|authorization", re.IGNORECASE
)
_CONTROL = {
    code: f"\\u{code:04x}"
    for code in (*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A))
} | {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
"""C0, DEL, C1, line and paragraph separators, and the marks that reverse the reading direction."""


def configure(
    plane: str,
    run_id: str,
    *,
    format: Literal["text", "json"] = "text",
    level: Level = "info",
    stream: TextIO | None = None,
    secrets: Iterable[str] = (),
) -> None:
    """Send every log line of this process, the standard library's too, to ``stream`` (standard error by default).

    Each line names ``plane`` and ``run_id`` and, while a message is handled, its symbol and where it was
    read. ``secrets`` are masked wherever their text turns up.
    """
    target = stream or sys.stderr
    shared = (
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _identity(plane, run_id),
        _cause,
        structlog.processors.format_exc_info,
        _Redaction(secrets),
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(format, target)],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _rendering(format: Literal["text", "json"], target: TextIO) -> tuple[Processor, ...]:
    if format == "json":
        return (structlog.processors.JSONRenderer(sort_keys=False),)
    console = structlog.dev.ConsoleRenderer(
        colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )
    return (_one_line_each, console)


def _identity(plane: str, run_id: str) -> Processor:
    def add(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event["plane"] = plane
        event["run_id"] = run_id
        return event

    return add


def _cause(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Name the message in hand; it is looked at only when something is logged, so handling pays nothing."""
    received = HANDLING.get()
    if received is not None:
        event.setdefault("symbol", getattr(received.message, "symbol", None))
        event["cause"] = f"{received.topic}/{received.partition}/{received.offset}"
        intent = getattr(received.message, "intent_id", None)
        if intent is not None:
            event.setdefault("intent_id", str(intent))
    return event


class _Redaction:
    """Masks values under names of secrets, secret types, and the text of known secrets anywhere."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._known = sorted({text for text in secrets if len(text) >= _SHORTEST_SECRET}, key=len, reverse=True)

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        return {name: value if name.startswith("_") else self._named(name, value) for name, value in event.items()}

    def _named(self, name: str, value: object) -> object:
        return MASK if _NAMES_A_SECRET.search(name) else self._clean(value)

    def _clean(self, value: object) -> object:
        if isinstance(value, SecretStr | SecretBytes):
            return MASK
        if isinstance(value, Mapping):
            return {str(name): self._named(str(name), inner) for name, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(item) for item in value]
        if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
            return value
        return self._without_secrets(str(value))

    def _without_secrets(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, MASK)
        return text


def _one_line_each(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Escape what could forge a line or steer a terminal; only a traceback keeps its line ends, indented."""
    escaped = {name: value.translate(_CONTROL) if isinstance(value, str) else value for name, value in event.items()}
    traceback = event.get("exception")
    if isinstance(traceback, str):
        lines = (line.translate(_CONTROL) for line in traceback.split("\n"))
        escaped["exception"] = "\n".join(f"    {line}" for line in lines)
    return escaped
