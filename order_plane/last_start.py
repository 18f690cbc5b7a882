"""What the last start on a journal ran with, held against this one."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from contracts.control import RiskAlert
from order_plane.alerts import warning
from order_plane.journals.port import Journal, JournalError

_NAME = "last start"
_SHOWN = 12


class Running(NamedTuple):
    """What a process trades with: where, and SHA-256 sums (hex) of the code, the configuration and the limits in it."""

    host: str
    version: str
    code: str
    configuration: str
    limits: str


def compared(journal: Journal, running: Running, at: datetime) -> Sequence[RiskAlert]:
    """What has changed since the last start on ``journal``, to be said at ``at``; what runs now is noted there.

    Several hosts can take turns on a shared journal. One that does not run what the last one ran was left behind, or
    is ahead: it may not trade. What changes is begun with where the last start was.

    Raises:
        JournalError: on such a host, or when what was noted cannot be read.
    """
    last = _read(journal.notes().get(_NAME))
    changed = [] if last is None else [name for name in Running._fields[1:] if _of(last, name) != _of(running, name)]
    refused = bool(changed) and last is not None and journal.shared and last.host != running.host
    journal.witness({"event": "STARTED", **running._asdict(), "changed": [*changed], "done": not refused})
    if refused and last is not None:
        raise JournalError(
            f"another {', '.join(changed)} traded on this journal last, on {last.host}: every host must run the same."
            f" Bring this one ({running.host}) to that, or begin with what is new on {last.host}; where"
            " host names come and go, as in containers, give the plane one that stays (order.host)"
        )
    journal.note({_NAME: json.dumps(running)})
    if last is None or not changed:
        return ()
    told = ", ".join(f"{name} {_of(last, name)[:_SHOWN]} -> {_of(running, name)[:_SHOWN]}" for name in changed)
    return (warning("STARTED_OTHERWISE", f"changed since the last start, on {last.host}: {told}", at),)


def _of(running: Running, name: str) -> str:
    return str(getattr(running, name))


def _read(text: str | None) -> Running | None:
    if text is None:
        return None
    try:
        return Running(*map(str, json.loads(text)))
    except (TypeError, ValueError):
        raise JournalError("what the last start ran with cannot be read from the journal") from None
