"""When the bars of one moment are complete."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from contracts.base import Message
from contracts.market import BarEvent, SliceEvent

_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
_AFTER_ALL = datetime.max.replace(tzinfo=UTC)
_slice_event = SliceEvent.trusted


class Listing(NamedTuple):
    """From when until when a symbol trades, both ends included."""

    first: datetime = _BEFORE_ALL
    last: datetime = _AFTER_ALL

    def holds(self, at: datetime) -> bool:
        """Whether the symbol may trade at ``at``."""
        return self.first <= at <= self.last


ALWAYS = Listing()


class CompletenessGate:
    """Follows the bars of each moment with one `SliceEvent`.

    At once, when every symbol of the universe that is listed at the moment has its bar; otherwise when a bar of a
    later moment, the clock or the end of the source shows that no more will come. A listed symbol without a bar is
    named as missing once it has traded, and no longer after ``patience`` moments without one, until it returns. With
    an empty universe any symbol may still come, so a slice waits for the next moment.
    """

    def __init__(self, bar_size: str, universe: Mapping[str, Listing], patience: int = 5) -> None:
        self.moment = _BEFORE_ALL
        self._bar_size = bar_size
        self._universe = universe
        self._patience = patience
        self._edges = sorted({edge for listing in universe.values() for edge in listing})
        self._awaited = 0
        self._awaited_until = _BEFORE_ALL
        self._absences: dict[str, int] = {}
        self._all_here = False
        self._present: list[str] = []
        self._alone: dict[str, Any] = {}  # the fields of the newest slice when only one symbol is awaited

    def add(self, symbol: str, at: datetime, bar: BarEvent) -> Sequence[Message] | None:
        """``bar`` and the slices that it completes, in the order to publish; None when its slice is already out."""
        if self._alone and self.moment < at < self._awaited_until:
            self.moment = at
            fields = self._alone.copy()
            fields["timestamp"] = at
            return (bar, _slice_event(fields))
        present = self._present
        if at > self.moment:
            before = self.expire() if present else ()
            self.moment = at
            if at >= self._awaited_until:
                self._look_up_awaited(at)
        elif at < self.moment or not present:
            return None
        else:
            before = ()
        present.append(symbol)
        if len(present) == self._awaited:
            return (*before, bar, self._close()) if before else (bar, self._close())
        return (*before, bar)

    @property
    def alone_until(self) -> datetime:
        """Up to when, not included, the bars of one symbol complete their slices by themselves."""
        return self._awaited_until if self._alone else _BEFORE_ALL

    def take_alone(self, last: datetime) -> Mapping[str, Any]:
        """Bars up to ``last``, before `alone_until`, have completed their slices; what these have in common."""
        self.moment = last
        return self._alone

    def is_out(self, at: datetime) -> bool:
        """Whether the slice of ``at``, or of a later moment, has been published or is in hand."""
        return at < self.moment or (at == self.moment and not self._present)

    def expire(self) -> Sequence[Message]:
        """The slice of the moment in hand, without waiting for what is missing; nothing when it is out already."""
        return (self._close(),) if self._present else ()

    def _close(self) -> SliceEvent:
        present = self._present
        complete = len(present) == self._awaited
        if complete and self._all_here:
            missing: tuple[str, ...] = ()
        else:
            missing = self._count_absences(frozenset(present))
            self._all_here = complete
        if len(present) > 1:
            present.sort()
        symbols = tuple(present)
        present.clear()
        fields = {
            "event_type": "slice_event",
            "timestamp": self.moment,
            "bar_size": self._bar_size,
            "symbols": symbols,
            "missing": missing,
            "late": False,
        }
        self._alone = fields if complete and len(symbols) == 1 and not missing else {}
        return _slice_event(fields)

    def _count_absences(self, present: frozenset[str]) -> tuple[str, ...]:
        absences, moment = self._absences, self.moment
        absences.update(dict.fromkeys(present, 0))
        absent = [s for s in sorted(absences) if s not in present and self._universe.get(s, ALWAYS).holds(moment)]
        missing = tuple(symbol for symbol in absent if absences[symbol] < self._patience)
        for symbol in absent:
            absences[symbol] += 1
        return missing

    def _look_up_awaited(self, at: datetime) -> None:
        """Count the listed symbols; the number holds until a listing begins or one has ended."""
        self._awaited = sum(listing.holds(at) for listing in self._universe.values())
        self._all_here = False
        self._alone = {}
        index = bisect_right(self._edges, at)
        following = self._edges[index] if index < len(self._edges) else _AFTER_ALL
        self._awaited_until = at if index and self._edges[index - 1] == at else following
