"""From a source's bar to a published bar and the slice it completes."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from contracts.base import Message
from contracts.market import BarEvent
from data_plane.admission import Admission
from data_plane.completeness import CompletenessGate
from data_plane.connectors.port import RawBar
from data_plane.corporate_actions import advance, initial, next_effective
from data_plane.quality import Candidate, Finding, Gate, Reason, SymbolHistory, bar_gates
from data_plane.session_grid import SessionGrid

PLAIN_MIN, PLAIN_MAX = 1e-6, 1e9
"""Prices strictly between these, and volumes up to the second, break no limit whatever they are."""
_UNKNOWN = SymbolHistory("", ())
_TOO_LATE = "the slice of its moment is already out"


class BarIntake:
    """Judges, adjusts and publishes the bars of one size.

    Most bars are the next one due of their symbol, inside all limits: one chain of comparisons shows that no gate
    could object to them. Any other bar goes through the gates one by one.
    """

    def __init__(
        self,
        bar_size: str,
        grid: SessionGrid,
        closes: Mapping[date, datetime],
        admission: Admission,
        slices: CompletenessGate,
    ) -> None:
        self._bar_size = bar_size
        self._grid = grid
        self._daily = grid.step is None
        self.stride = grid.step or timedelta()
        self._closes = closes
        self._admission = admission
        self._gates: tuple[tuple[Reason, Gate], ...] = bar_gates(grid, admission.limits)
        self.down, self.up = 1 - admission.limits.outlier_return, 1 + admission.limits.outlier_return
        self._slices = slices
        self._by_name: dict[str, SymbolHistory | None] = {}
        self.histories: dict[str, SymbolHistory] = {}
        self.ignored = 0

    def handle(self, row: RawBar) -> Sequence[Message]:
        """The messages that ``row`` gives rise to, in the order to publish them."""
        at: Any  # a date for a daily row, until it is known to be the close that is due
        name, at = row[:2]
        if self._daily:
            at = self._closes.get(at, at)
        history = self._by_name.get(name) or _UNKNOWN
        if not self.is_plain(row, at, history):
            examined = self._examine(row)
            if examined is None:
                return ()
            history, at = examined
        bar = BarEvent.trusted(self._fields(row, at, history))
        messages = self._slices.add(history.symbol, at, bar)
        if messages is None:
            return self._admission.refuse(row, history.symbol, Reason.OUT_OF_ORDER, _TOO_LATE)
        self.took(row, at, history)
        return messages

    def known(self, name: str) -> SymbolHistory | None:
        """What is remembered of the symbol that the source calls ``name``, if bars of it were published."""
        return self._by_name.get(name)

    def is_plain(self, row: RawBar, at: datetime, history: SymbolHistory) -> bool:
        """Whether ``row``, which closes at ``at``, is the bar that is due and inside all limits."""
        _, _, open_, high, low, close, volume, size, _, _ = row
        last = history.close
        return (
            at == history.due
            and last * self.down <= low <= open_ <= high <= last * self.up
            and low <= close <= high
            and close != last
            and low > PLAIN_MIN
            and high < PLAIN_MAX
            and 0 <= volume <= PLAIN_MAX
            and size == self._bar_size
        )

    def took(self, row: RawBar, at: datetime, history: SymbolHistory) -> None:
        """Remember ``row``, which closed at ``at`` and was published last."""
        history.close = row.close  # raw: what the next bar is compared with
        history.last = at
        history.latest = row
        if at < history.regular_until:
            history.due = at + self.stride
        else:
            self._schedule(history, at)

    @staticmethod
    def _fields(row: RawBar, at: datetime, history: SymbolHistory) -> dict[str, Any]:
        _, _, open_, high, low, close, volume, _, _, _ = row
        if history.adjusted:
            factor, units, _ = history.factors
            open_, high = open_ * factor, high * factor
            low, close, volume = low * factor, close * factor, volume / units
        fields = history.template.copy()  # and then six keys set: two thirds of the cost of writing out all nine
        fields["timestamp"] = at
        fields["open"] = open_
        fields["high"] = high
        fields["low"] = low
        fields["close"] = close
        fields["volume"] = volume
        return fields

    def _examine(self, row: RawBar) -> tuple[SymbolHistory, datetime] | None:
        """Hold ``row`` against every gate; its history and UTC close when none objects."""
        history = self._history(row)
        at = None if history is None else self._close_of(row, history)
        if history is None or at is None:
            return None
        bar = self._candidate(row, at, history)
        for reason, gate in self._gates:
            detail = gate(bar, history)
            if detail is not None:
                if reason is Reason.OUTLIER:
                    history.suspect, history.due = row.close, None
                self._admission.refuse(row, history.symbol, reason, detail)
                return None
        if history.last is not None and (missed := self._grid.between(history.last, at)):
            detail = f"{missed} bars are missing before it"
            self._admission.report(Finding(row.source, row.line, history.symbol, Reason.GAP, detail, refused=False))
        history.take(bar)
        return history, at

    def _candidate(self, row: RawBar, at: datetime, history: SymbolHistory) -> Candidate:
        if history.last is None:
            return Candidate(row, at, initial(history.effects, at), 0.0, history.suspect)
        factors, previous = advance(history.symbol, history.effects, history.factors, at, history.close)
        return Candidate(row, at, factors, previous, history.suspect * previous / history.close)

    def _history(self, row: RawBar) -> SymbolHistory | None:
        """The history of the row's symbol, new at its first row; None when the row goes no further."""
        name = row.symbol
        if name not in self._by_name:
            symbol = self._admission.symbol_of(row)
            if symbol is None:
                return None
            self._by_name[name] = self._history_of(symbol) if self._admission.wants(symbol) else None
        if self._by_name[name] is None:
            self.ignored += 1
        return self._by_name[name]

    def _history_of(self, symbol: str) -> SymbolHistory:
        if symbol not in self.histories:
            history = self.histories[symbol] = SymbolHistory(symbol, self._admission.effects.get(symbol, ()))
            history.template = dict.fromkeys(BarEvent.model_fields) | {
                "event_type": "bar_event",
                "symbol": symbol,
                "bar_size": self._bar_size,
            }
        return self.histories[symbol]

    def _close_of(self, row: RawBar, history: SymbolHistory) -> datetime | None:
        """When the row's bar closed, in UTC; None when it is no bar of this run."""
        stamp = row.timestamp
        at = stamp if isinstance(stamp, datetime) else self._closes.get(stamp)
        if row.bar_size != self._bar_size or not (self._daily or at is stamp):
            self._admission.refuse(
                row, history.symbol, Reason.SCHEMA, "bar_size is not the one configured, or the time has no hour"
            )
        elif at is None:
            self._admission.refuse(row, history.symbol, Reason.NOT_A_SESSION, "its date is no trading day")
        elif self._admission.too_late(row, history.symbol, at):
            pass
        elif not self._admission.listing(history.symbol).holds(at):
            self._admission.refuse(row, history.symbol, Reason.NOT_LISTED, "the symbol is not listed at that time")
        elif self._slices.is_out(at) and not (history.last is not None and at <= history.last):
            self._admission.refuse(row, history.symbol, Reason.OUT_OF_ORDER, _TOO_LATE)
        else:
            return at
        return None

    def _schedule(self, history: SymbolHistory, at: datetime) -> None:
        """Work out which bar comes next, and whether it needs a full examination."""
        due = self._grid.following(at)
        listing = self._admission.listing(history.symbol)
        last = min(listing.last, self._admission.horizon.until)
        action = next_effective(history.effects, history.factors)
        if due is None or (action is not None and action < due) or not listing.first <= due <= last:
            history.due, history.regular_until = None, at
        else:
            history.due = due
            history.regular_until = min(self._grid.regular_until(due), last - self.stride)
