"""How far a back-fill is, for whoever looks from outside: a file while it goes on, and a log line now and then."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from data_plane.connectors.ibkr_history import Step
from kernel.clock import monotonic

_NAME = "backfill.json"
_LOG = structlog.get_logger()
_NOTE_SECONDS, _TELL_SECONDS = 0.25, 5.0
Told = Callable[[Step], None]


class BackfillNote:
    """Takes each step and keeps the newest in ``directory`` until the back-fill is complete; ``tell`` hears them all.

    By default ``tell`` writes a log line every five seconds and at the end.
    """

    def __init__(self, directory: Path, tell: Told | None = None) -> None:
        self._path = directory / _NAME
        self._tell = tell or _Lines()
        self._due = float("-inf")

    def __call__(self, step: Step) -> None:
        """Take a step."""
        self._tell(step)
        if step.done == step.of:
            self._path.unlink(missing_ok=True)
        elif monotonic() >= self._due:
            self._due = monotonic() + _NOTE_SECONDS
            unfinished = self._path.with_suffix(".partial")
            unfinished.write_text(json.dumps(step), "utf-8")
            unfinished.rename(self._path)


def read_note(directory: Path) -> Step | None:
    """How far the back-fill of the plane with this directory is; None when there is none under way."""
    with suppress(OSError, ValueError, TypeError):
        return Step(*json.loads((directory / _NAME).read_text("utf-8")))
    return None


class _Lines:
    def __init__(self) -> None:
        self._due = monotonic() + _TELL_SECONDS
        self._last = 0

    def __call__(self, step: Step) -> None:
        complete = step.done == step.of > self._last
        if complete or (step.of and monotonic() >= self._due):
            self._due, self._last = monotonic() + _TELL_SECONDS, step.done
            _LOG.info(
                "back-fill",
                windows=step.done,
                of=step.of,
                symbol=step.symbol,
                symbols=f"{step.symbols} of {step.of_symbols}",
                bars=step.bars,
                held_back_seconds=round(step.held_back, 1),
            )
