"""Plays a gateway into the stage: the past first, then what happens, for as long as the process is wanted."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog

from contracts.base import Message
from contracts.market import SliceEvent
from data_plane.connectors.ibkr import LiveSource
from data_plane.connectors.ibkr_history import Step
from data_plane.connectors.port import RawBar
from data_plane.freshness import Overdue
from data_plane.pipeline import DataStage
from kernel.flow import Stopped

_LOG = structlog.get_logger()
_WAIT_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Outside:
    """What playing needs of its process: where messages go, what must happen in between, and when to end.

    ``stale`` is told the symbols of which a bar is overdue whenever they are others than before, ``fetching`` several
    times a second how far the back-fill is.
    """

    send: Callable[[Message], None]
    listen: Callable[[float], None]
    stopped: Callable[[], bool]
    stale: Callable[[tuple[Overdue, ...]], None]
    fetching: Callable[[Step], None] = lambda step: None

    def pause(self, timeout_seconds: float = 0.0) -> None:
        """Let the process live; raises Stopped when it is to end."""
        self.listen(timeout_seconds)
        if self.stopped():
            raise Stopped


def play(
    source: LiveSource, stage: DataStage, first: date, grace: timedelta, patience: timedelta, outside: Outside
) -> None:
    """Fetch the past from ``first``, publish it, and then publish what comes until told to stop.

    A bar that is ``patience`` overdue makes its symbol stale. Of moments that come at once all but the newest are late.

    Raises:
        Stopped: when told to stop; a live source has no other end.
    """
    _fetch(source, first, outside)
    stage.follow(source.now())
    newest = _tell_past(source, stage, first, outside)
    if newest:
        _send(stage.on_time(max(newest.values()) + grace), outside)
    source.begin(newest)
    _LOG.info("live market data begins", known_until=str(max(newest.values(), default="nothing")))
    late: list[str] = []
    while True:
        stage.follow(source.now())
        _send(heard(source, stage, grace), outside)
        outside.pause()
        overdue = stage.overdue(source.now() - patience)
        if late != (late := [each.symbol for each in overdue]):
            outside.stale(overdue)


def heard(
    source: LiveSource, stage: DataStage, grace: timedelta, wait_seconds: float = _WAIT_SECONDS
) -> Iterator[Message]:
    """What follows from everything that came since it was last asked; each slice that a newer one overtook is late."""
    events: list[Message] = []
    for batch in source.batches(wait_seconds):
        if batch.cut:
            stage.cut()
        for row in batch.rows:
            events += stage.handle(row)
        events += stage.on_time(batch.through + grace)
    return _only_newest(events)


def _only_newest(events: Sequence[Message]) -> Iterator[Message]:
    """The same events, with each slice marked as late that a newer one has overtaken already."""
    newest = max((each.timestamp for each in events if isinstance(each, SliceEvent)), default=None)
    for each in events:
        overtaken = newest is not None and isinstance(each, SliceEvent) and each.timestamp < newest
        yield each.model_copy(update={"late": True}) if overtaken else each


def _tell_past(source: LiveSource, stage: DataStage, first: date, outside: Outside) -> dict[str, datetime]:
    """Publish what was fetched; returns the newest close of each symbol."""
    newest: dict[str, datetime] = {}
    for row in source.past(first).rows():
        _send(stage.handle(row), outside)
        if isinstance(row, RawBar) and isinstance(row.timestamp, datetime):
            newest[row.symbol] = row.timestamp
        if outside.stopped():
            raise Stopped
    return newest


def _fetch(source: LiveSource, first: date, outside: Outside) -> None:
    known = Step(0, 0, "")
    for step in source.backfill(first):
        outside.pause()
        known = step if step.done else known._replace(held_back=step.held_back)
        outside.fetching(known)


def _send(events: Iterable[Message], outside: Outside) -> None:
    for event in events:
        outside.send(event)
