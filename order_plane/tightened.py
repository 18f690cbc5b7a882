"""Limits that were made tighter while the order plane ran, as its journal keeps them over a restart."""

import json
from collections.abc import Mapping

from pydantic import ValidationError

from order_plane.journals.port import JournalError
from order_plane.limit_settings import LimitSettings, loosened, plain

_NAME = "limits in force"
FORGOTTEN = {_NAME: ""}
"""The note after which the next start goes by its configuration."""


def note_of(configured: LimitSettings, tighter: LimitSettings) -> dict[str, str]:
    """What the journal keeps of limits that are ``tighter`` than those ``configured``."""
    return {_NAME: json.dumps([plain(configured), plain(tighter)])}


def in_force(notes: Mapping[str, str], configured: LimitSettings) -> tuple[LimitSettings, str | None]:
    """The limits to start with, and what a person should know of them.

    A crash must not undo what a person made tighter: that holds as long as the configuration is the one that it was
    made tighter than. Another configuration is what somebody wants now.

    Raises:
        JournalError: when what was kept cannot be read.
    """
    text = notes.get(_NAME)
    if not text:
        return configured, None
    try:
        before, kept = json.loads(text)
        tighter = LimitSettings.model_validate_json(json.dumps(kept))
    except (TypeError, ValueError, ValidationError):
        raise JournalError("the limits that were made tighter cannot be read from the journal") from None
    if before == plain(configured):
        return tighter, "limits that were made tighter hold on; algotrade limits forget ends that at the next start"
    looser = ", ".join(loosened(tighter, configured))
    return configured, f"limits are as configured anew; looser than what was in force: {looser}" if looser else None
