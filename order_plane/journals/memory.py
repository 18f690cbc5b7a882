"""A journal that lives and dies with its process, for backtests."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from operator import itemgetter
from uuid import UUID

from pydantic import JsonValue

from contracts.control import KillSwitchCommand
from contracts.trading import TERMINAL_STATUSES, ExecutionReport, OrderIntent
from order_plane.effects import SubmitOrder
from order_plane.facts import Fact, FactKind
from order_plane.journals.port import (
    NO_NOTES,
    REVISED,
    Answer,
    JournalError,
    Past,
    Recall,
    Refused,
    Resolution,
    RowState,
    Verdict,
)

_numbers = count(1)
_WANTED = itemgetter("symbol", "direction", "quantity", "limit_price", "stop_price")
# Looking a member up by name costs more than comparing it.
_NEW, _KNOWN, _CONFLICT = Recall.NEW, Recall.KNOWN, Recall.CONFLICT
_INTENDED, _SUBMITTING = RowState.INTENDED, RowState.SUBMITTING
_IN_DOUBT = RowState.IN_DOUBT


def _content(intent: OrderIntent) -> int:
    """A number that changes with what the intent wants traded; to hash all of it takes five times as long."""
    return hash(_WANTED(intent.__dict__))


class _Row:
    __slots__ = ("account", "attempt", "content", "facts", "intent", "order_id", "reports", "state")

    def __init__(self, intent: OrderIntent, account: str, attempt: int, state: RowState) -> None:
        self.intent = intent
        self.account = account
        self.attempt = attempt
        self.state = state
        self.order_id = ""
        self.content = _content(intent)  # now, while the intent is in the processor's cache
        self.facts: dict[tuple[FactKind, str, int], Fact] = {}
        self.reports: list[ExecutionReport] = []

    def past(self) -> Past:
        return Past(
            self.intent,
            self.account,
            self.attempt,
            self.state,
            self.order_id,
            tuple(self.facts.values()),
            len(self.reports),
        )


class MemoryJournal:
    """Keeps every open intent whole, the newest ``retain`` finished ones, and of older ones their content.

    What it published cannot be lost to a crash that it survives, so old reports need not be told again; that
    keeps its memory small however long a backtest is.
    """

    def __init__(self, retain: int = 100) -> None:
        self._retain = retain
        self._rows: dict[int, _Row | int] = {}  # by the number of the intent id, which hashes ten times faster
        self._finished: deque[int] = deque()
        self._outbox: list[ExecutionReport] = []
        self.appended = 0
        """How many reports were ever put into the outbox."""
        self._published = 0
        self.sequence = 0
        """How many transactions were ever written."""
        self._commands: dict[UUID, KillSwitchCommand] = {}
        self._resolutions: dict[tuple[UUID, int], Resolution] = {}
        self._notes: dict[str, str] = {}
        self.journal_id = f"memory-{next(_numbers)}"
        """The name of this journal within its process."""

    def recall(self, intent: OrderIntent) -> Recall:
        """What is remembered of an intent."""
        row = self._rows.get(intent.intent_id.int)
        if row is None:
            return _NEW
        if isinstance(row, int):
            return _KNOWN if row == _content(intent) else _CONFLICT
        if row.intent is not intent and row.intent.__dict__ != intent.__dict__:
            return _CONFLICT
        return _NEW if row.state is _INTENDED and row.attempt == 1 else _KNOWN

    @property
    def shared(self) -> bool:
        """Nobody else can reach it."""
        return False

    def affirm(self) -> None:
        """Nobody else can reach it."""

    def begin(self, admitted: Sequence[SubmitOrder], refused: Sequence[Refused], published: int) -> list[SubmitOrder]:
        """Write what was decided; returns the orders that may be sent."""
        won = []
        for order in admitted:
            intent, account, attempt = order
            row = self._rows.setdefault(intent.intent_id.int, _Row(intent, account, attempt, _INTENDED))
            if isinstance(row, _Row) and row.state is _INTENDED and row.attempt == attempt:
                row.state = _SUBMITTING
                won.append(order)
        for each in refused:
            self._rows.setdefault(each.intent.intent_id.int, _Row(each.intent, each.account, 1, RowState.REJECTED))
        if refused:
            self._append([each.report for each in refused])
        self._publish(published)
        return won

    def conclude(
        self,
        answers: Sequence[Answer],
        facts: Sequence[Fact],
        reports: Sequence[ExecutionReport],
        published: int,
        notes: Mapping[str, str] = NO_NOTES,
    ) -> None:
        """Write what the broker said and what is to be reported."""
        for intent_id, attempt, state, order_id in answers:
            row = self._row(intent_id)
            before = row.state
            movable = before is _SUBMITTING or before is _IN_DOUBT or (before, state) in REVISED
            if movable and row.attempt == attempt:
                row.state = state
                row.order_id = order_id or row.order_id
        for fact in facts:
            self._row(fact.intent_id).facts.setdefault((fact.kind, fact.fact_id, fact.revision), fact)
        self._append(reports)
        if notes:
            self._notes.update(notes)
        self._publish(published)

    def sign(self, resolution: Resolution) -> bool:
        """Write a person's decision; False unless that attempt is SUBMITTING or IN_DOUBT."""
        row = self._rows.get(resolution.intent_id.int)
        if not isinstance(row, _Row) or row.attempt != resolution.attempt:
            return False
        if row.state is not _SUBMITTING and row.state is not _IN_DOUBT:
            return False
        row.state = RowState.ACKED if resolution.verdict is Verdict.ADOPTED else RowState.NOT_SENT
        row.order_id = resolution.order_id
        if resolution.verdict is Verdict.SEND_AGAIN:
            row.attempt += 1
            row.state = _INTENDED
        self._resolutions[resolution.intent_id, resolution.attempt] = resolution
        self.sequence += 1
        return True

    def resolutions(self) -> Sequence[Resolution]:
        """The newest decision on each attempt."""
        return tuple(self._resolutions.values())

    def reports_of(self, intent_id: UUID) -> Sequence[ExecutionReport]:
        """The reports on an intent, as far as they are retained."""
        row = self._rows.get(intent_id.int)
        return tuple(row.reports) if isinstance(row, _Row) else ()

    def unpublished(self) -> Sequence[ExecutionReport]:
        """The reports that may not have reached their readers."""
        return tuple(self._outbox)

    def past(self, intent_id: UUID) -> Past | None:
        """What is held of one intent."""
        row = self._rows.get(intent_id.int)
        return row.past() if isinstance(row, _Row) else None

    def pasts(self) -> Iterator[Past]:
        """What is held of every intent that is retained."""
        return (row.past() for row in tuple(self._rows.values()) if isinstance(row, _Row))

    def record_command(self, command: KillSwitchCommand) -> bool:
        """Write a kill switch command; False when it was written before."""
        if command.command_id in self._commands:
            return False
        self.sequence += 1
        self._commands[command.command_id] = command
        return True

    def commands(self) -> Sequence[KillSwitchCommand]:
        """Every kill switch command."""
        return tuple(self._commands.values())

    def note(self, notes: Mapping[str, str], *, synced: bool = True) -> None:
        """Keep each text under its name."""
        self._notes.update(notes)

    def notes(self) -> Mapping[str, str]:
        """Every text by its name."""
        return dict(self._notes)

    def noted(self, name: str) -> str | None:
        """The text under ``name``."""
        return self._notes.get(name)

    def witness(self, entry: Mapping[str, JsonValue]) -> None:
        """There is no audit log here."""

    def rest(self) -> None:
        """Nothing has to be done."""

    def close(self) -> None:
        """Nothing to let go of."""

    def _row(self, intent_id: UUID) -> _Row:
        row = self._rows.get(intent_id.int)
        if not isinstance(row, _Row):
            raise JournalError("the intent is not in the journal, or was finished too long ago")
        return row

    def _append(self, reports: Sequence[ExecutionReport]) -> None:
        for report in reports:
            fields = report.__dict__  # a model's attributes cost four times as much as a dictionary's keys
            name = fields["intent_id"]
            self._row(name).reports.append(report)
            if fields["status"] in TERMINAL_STATUSES:
                self._finished.append(name.int)
        self._outbox += reports
        self.appended += len(reports)

    def _publish(self, published: int) -> None:
        self.sequence += 1
        if published > self._published:
            del self._outbox[: published - self._published]
            self._published = published
        while len(self._finished) > self._retain:
            name = self._finished.popleft()
            row = self._rows[name]
            if isinstance(row, _Row):
                self._rows[name] = row.content
