"""Put the bars of one moment together, whatever order partitions deliver them in."""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime

from contracts.base import Message
from contracts.control import AlertSeverity, RiskAlert
from contracts.market import BarEvent, SliceEvent
from domain.bar_run import BarRun

Act = Callable[[SliceEvent, Sequence[BarEvent]], Sequence[Message]]
"""What is done with a complete slice and its bars, and what is said then."""
STALLED_SLICES = 100
"""Slices that may wait for a bar before a person is told."""


class SliceAssembler:
    """Holds bars back until the slice that lists them is complete.

    Slices come out in time order, each with exactly the bars it lists (of the universe), in its order. So
    what a reader has seen at a slice does not depend on how bars of different symbols, or of later moments,
    were interleaved. Bars that no slice lists, repeats, and anything at or before the newest complete slice
    are dropped and counted in ``ignored``.
    """

    __slots__ = ("_bar_size", "_filed", "_inbox", "_newest", "_stalled_at", "_universe", "_waiting", "ignored")

    def __init__(self, bar_size: str, universe: Sequence[str] = ()) -> None:
        self._bar_size = bar_size
        self._universe = frozenset(universe)
        self._inbox: list[BarEvent] = []
        self._filed: dict[datetime, dict[str, BarEvent]] = {}
        self._waiting: deque[SliceEvent] = deque()
        self._newest: datetime | None = None
        self._stalled_at: datetime | None = None
        self.ignored = 0

    def on_bar(self, act: Act, bar: BarEvent) -> Sequence[Message]:
        """Keep ``bar``, and ``act`` on the slices that it completes."""
        return self.sweep(act, (bar,), 0, 1)[1]

    def on_slice(self, act: Act, moment: SliceEvent) -> Sequence[Message]:
        """``act`` on ``moment`` when its bars are here; otherwise it waits for them.

        Usually exactly its bars have come since the slice before, and nothing is sorted or looked up.
        """
        fields = moment.__dict__
        symbols, timestamp, newest = fields["symbols"], fields["timestamp"], self._newest
        if fields["bar_size"] != self._bar_size:
            return ()
        if newest is not None and timestamp <= newest:
            self.ignored += 1
            return ()
        self._newest = timestamp
        inbox = self._inbox
        if len(inbox) == len(symbols) and not self._filed and not self._waiting:
            place = 0
            for bar in inbox:
                fields = bar.__dict__
                if fields["symbol"] != symbols[place] or fields["timestamp"] != timestamp:
                    break
                place += 1  # noqa: SIM113 - enumerate costs twice as much as the rest of this loop
            else:
                self._inbox = []
                return act(moment, inbox)
        self._waiting.append(moment)
        return [*self._release(act), *self._stall_alert(moment)]

    def sweep(self, act: Act, messages: Sequence[Message], begin: int, end: int) -> tuple[int, Sequence[Message]]:
        """`on_bar` and `on_slice` for messages from ``begin`` to before ``end``, or to the first that says something.

        Returns the place after the last message taken, and what was said.
        """
        bar_size, universe = self._bar_size, self._universe
        for place in range(begin, end):
            message = messages[place]
            said: Sequence[Message] = ()
            if type(message) is BarEvent:
                fields = message.__dict__  # several fields of a model are cheaper to read from its dictionary
                if fields["bar_size"] == bar_size and (not universe or fields["symbol"] in universe):
                    self._inbox.append(message)
                    said = self._release(act) if self._waiting else ()
            elif type(message) is SliceEvent:
                said = self.on_slice(act, message)
            if said:
                return place + 1, said
        return end, ()

    def takes(self, run: BarRun, number: int) -> bool:
        """Whether the bar of ``run`` at ``number`` and its slice are the next ones, with nothing waiting before."""
        return (
            not (self._inbox or self._filed or self._waiting)
            and run.bar_size == self._bar_size
            and (not self._universe or run.symbol in self._universe)
            and (self._newest is None or self._newest < run.at(number))
        )

    def pass_over(self, newest: datetime) -> None:
        """Bars and slices up to ``newest`` were taken by somebody else."""
        self._newest = newest

    def _release(self, act: Act) -> list[Message]:
        self._file()
        said: list[Message] = []
        while self._waiting:
            moment = self._waiting[0]
            arrived = self._filed.get(moment.timestamp, {})
            listed = self._listed(moment)
            if any(symbol not in arrived for symbol in listed):
                break
            self._waiting.popleft()
            self._discard_until(moment.timestamp, len(listed))
            said += act(moment, [arrived[symbol] for symbol in listed])
        return said

    def _listed(self, moment: SliceEvent) -> list[str]:
        universe = self._universe
        return [symbol for symbol in dict.fromkeys(moment.symbols) if not universe or symbol in universe]

    def _file(self) -> None:
        for bar in self._inbox:
            if self._filed.setdefault(bar.timestamp, {}).setdefault(bar.symbol, bar) is not bar:
                self.ignored += 1
        self._inbox.clear()

    def _discard_until(self, moment: datetime, used: int) -> None:
        for past in [filed for filed in self._filed if filed <= moment]:
            self.ignored += len(self._filed.pop(past))
        self.ignored -= used

    def _stall_alert(self, newest: SliceEvent) -> list[Message]:
        if len(self._waiting) < STALLED_SLICES or self._waiting[0].timestamp == self._stalled_at:
            return []
        stuck = self._waiting[0]
        self._stalled_at = stuck.timestamp
        arrived = self._filed.get(stuck.timestamp, {})
        missing = [symbol for symbol in self._listed(stuck) if symbol not in arrived]
        few = ", ".join(missing[:5])
        detail = f"slice {stuck.timestamp.isoformat()} still lacks {len(missing)} bars, among them {few}"
        return [
            RiskAlert(
                timestamp=newest.timestamp, severity=AlertSeverity.CRITICAL, code="SLICE_INCOMPLETE", detail=detail
            )
        ]
