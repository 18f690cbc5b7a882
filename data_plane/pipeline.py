"""The data plane's stage: rows of a source in, market events out."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from contracts.base import Message
from data_plane.bar_intake import BarIntake
from data_plane.bar_runs import BarRuns
from data_plane.completeness import CompletenessGate
from data_plane.connectors.port import BadRow, Block, Chunk, RawBar, RawFact, RawQuote, RawTick, Row
from data_plane.fact_intake import FactIntake
from data_plane.flow_intake import FlowIntake
from data_plane.freshness import Overdue, overdue
from data_plane.quality import Finding, Horizon, Reason
from data_plane.session_grid import SessionGrid

FindingSink = Callable[[Finding], None]


class Findings:
    """Counts what the gates found and hands it on: ``refused`` and ``noticed`` by reason."""

    def __init__(self, sink: FindingSink) -> None:
        self._sink = sink
        self.refused: Counter[Reason] = Counter()
        self.noticed: Counter[Reason] = Counter()

    def __call__(self, finding: Finding) -> None:
        """Take one finding."""
        (self.refused if finding.refused else self.noticed)[finding.reason] += 1
        self._sink(finding)


class DataStage:
    """Turns each row into the messages to publish, in order.

    The same rows always give the same messages. No row raises: what cannot be published is a `Finding`. ``grace`` is
    how long after a moment the clock waits for its missing bars; without `on_time` event time alone decides.
    """

    def __init__(
        self,
        bars: BarIntake,
        flow: FlowIntake,
        facts: FactIntake,
        slices: CompletenessGate,
        grid: SessionGrid,
        findings: Findings,
        grace: timedelta,
        horizon: Horizon,
    ) -> None:
        self._bars = bars
        self._runs = BarRuns(bars, slices)
        self._flow = flow
        self._facts = facts
        self._slices = slices
        self._grid = grid
        self._findings = findings
        self._grace = grace
        self._horizon = horizon
        self._quoted = False
        self._routes: dict[type[Row], Callable[[Any], Sequence[Message]]] = {
            RawBar: bars.handle,
            RawTick: flow.handle_tick,
            RawQuote: self._first_quote,
            RawFact: facts.handle,
            BadRow: self._bad_row,
        }

    def handle(self, row: Row) -> Sequence[Message]:
        """The messages that ``row`` gives rise to, in the order to publish them."""
        return self._routes[type(row)](row)

    def play(self, blocks: Iterable[Block]) -> Iterator[Sequence[Message]]:
        """The messages of a whole source, in the order to publish them, many at a time."""
        for block in blocks:
            if not isinstance(block, Chunk):
                yield from map(self.handle, block)
            elif block.row_type is RawBar and not self._quoted:
                yield from self._runs.handle(block)
            else:
                yield from map(self.handle, block.rows())
        yield self.finish()

    def finish(self) -> Sequence[Message]:
        """What is left to publish when the source has ended."""
        return (*self._flow.finish(), *self._slices.expire())

    def on_time(self, now: datetime) -> Sequence[Message]:
        """What ``now`` ends when no row does: bars and order flow built here, and a slice that waited too long."""
        self.follow(now)
        ended = self._flow.expire(now - self._grace)
        late = self._slices.expire() if self._slices.moment <= now - self._grace else ()
        return (*ended, *late)

    def cut(self) -> None:
        """Quotes from now on do not follow those before: some may be missing."""
        self._flow.cut()

    def follow(self, now: datetime) -> None:
        """Take note of the clock of a live source: rows of more than a day after it are refused."""
        self._horizon.follow(now)

    def overdue(self, now: datetime) -> tuple[Overdue, ...]:
        """Symbols whose bar is later than the grace allows."""
        return overdue(self._bars.histories.values(), self._grid, now, self._grace)

    @property
    def quarantined(self) -> Counter[Reason]:
        """How many rows were refused, by reason."""
        return self._findings.refused

    @property
    def noticed(self) -> Counter[Reason]:
        """How many published rows had something worth a note, by reason."""
        return self._findings.noticed

    @property
    def ignored(self) -> int:
        """How many rows were of symbols that nobody asked for."""
        return self._bars.ignored + self._flow.ignored + self._facts.ignored

    def _first_quote(self, row: RawQuote) -> Sequence[Message]:
        """From the first quote on, and not before for the sake of speed, order flow goes ahead of bars."""
        self._quoted = True
        self._routes[RawQuote] = self._flow.handle_quote
        self._routes[RawBar] = self._bar_after_flow
        return self._flow.handle_quote(row)

    def _bar_after_flow(self, row: RawBar) -> Sequence[Message]:
        """A bar may end its moment, so what flowed until then is published first."""
        at = row.timestamp
        ended = self._flow.ended(at) if isinstance(at, datetime) and self._horizon.holds(at) else ()
        return (*ended, *self._bars.handle(row))

    def _bad_row(self, row: BadRow) -> tuple[()]:
        self._findings(Finding(row.source, row.line, "", Reason.SCHEMA, row.reason))
        return ()
