"""Carry one W3C trace from cause to consequence without a clock and without chance."""

import hashlib
import re
from collections.abc import Mapping

from contracts.base import Message

TRACEPARENT = "traceparent"
_WELL_FORMED = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_REMEMBERED = 10_000


class Traces:
    """Names the trace of each message: its cause's, else that of the intent it speaks of, else its own.

    Trace and span ids are digests of the message's bytes, so a repeated message has the same ids
    (https://www.w3.org/TR/trace-context/, version 00).
    """

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._of_intent: dict[int, bytes] = {}
        self._limit = remembered

    def heard(self, message: Message, headers: Mapping[str, bytes]) -> None:
        """Remember the trace of an intent that was read."""
        if not _intent(message):
            return  # most messages speak of none, and headers are slow to read
        traceparent = headers.get(TRACEPARENT)
        if traceparent is not None:
            self._remember(message, traceparent)

    def next(self, message: Message, raw: bytes, cause: Mapping[str, bytes] | None) -> bytes:
        """The ``traceparent`` of ``message``, whose bytes are ``raw``, caused by a message with headers ``cause``."""
        parent = None if cause is None else cause.get(TRACEPARENT)
        parent = parent or self._of_intent.get(_intent(message), b"")
        digest = hashlib.blake2b(raw, digest_size=24).hexdigest().encode()
        trace = parent[3:35] if _WELL_FORMED.fullmatch(parent) else digest[:32]
        traceparent = b"00-%b-%b-01" % (trace, digest[32:])
        self._remember(message, traceparent)
        return traceparent

    def _remember(self, message: Message, traceparent: bytes) -> None:
        intent = _intent(message)
        if not intent or intent in self._of_intent:
            return
        if len(self._of_intent) >= self._limit:
            del self._of_intent[next(iter(self._of_intent))]
        self._of_intent[intent] = traceparent


def _intent(message: Message) -> int:
    """The number of the intent that ``message`` speaks of, which is quicker to hash than its id; 0 for none."""
    intent = message.__dict__.get("intent_id")  # getattr is slow on a model that lacks the field
    return 0 if intent is None else int(intent.int)
