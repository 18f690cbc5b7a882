"""The limits in force, as the journal keeps them over a restart: what a person made tighter, a crash does not undo."""

import json
from collections.abc import Mapping

from pydantic import ValidationError

from order_plane.journals.port import JournalError
from order_plane.limit_settings import LimitSettings, loosened, plain

_NAME = "limits in force"
FORGOTTEN = {_NAME: ""}
"""The note after which the next start goes by its configuration."""


def note_of(configured: LimitSettings, judged_by: LimitSettings) -> dict[str, str]:
    """What the journal keeps of the limits ``configured`` and those ``judged_by``, which may be tighter."""
    return {_NAME: json.dumps([plain(configured), plain(judged_by)])}


def in_force(notes: Mapping[str, str], configured: LimitSettings) -> tuple[LimitSettings, str | None]:
    """The limits to start with, and what a person should know of them.

    What a person made tighter holds as long as the configuration is the one that it was made tighter than. Another
    configuration, of this host or another one, is what somebody wants now; what is looser by it is said.

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
    if kept == plain(configured):
        return configured, None
    if before == plain(configured):
        return tighter, "limits that were made tighter hold on; algotrade limits forget ends that at the next start"
    looser = ", ".join(loosened(tighter, configured))
    return configured, f"limits are as configured anew; looser than what was in force: {looser}" if looser else None
