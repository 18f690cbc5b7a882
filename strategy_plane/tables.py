"""Facts and order flow that can only be asked what was known at a moment."""

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

import numpy as np

from contracts.market import FactEvent, OFIEvent
from strategy_plane.history import LookAheadError, Vector

_NONE = float("nan")


@dataclass(frozen=True, slots=True)
class Fact:
    """One row of a table as it was ``known``; ``event_time`` is what it is about."""

    event_time: datetime
    known: datetime
    values: Mapping[str, float]


class _Rows:
    """Rows of one table and symbol in the order in which they became known."""

    __slots__ = ("facts", "known", "plain")

    def __init__(self) -> None:
        self.known: list[datetime] = []
        self.facts: list[Fact] = []
        self.plain = True  # no row is about an earlier time than the row before it, so none corrects another

    def trim(self, keep: int) -> None:
        del self.known[:-keep]
        del self.facts[:-keep]


class FactStore:
    """The newest ``keep`` rows of each table and symbol.

    Rows arrive in the order of their knowledge times; one that is told twice is ignored and counted in
    ``duplicates``. Nothing can be read but through `as_of`.
    """

    __slots__ = ("_keep", "_rows", "duplicates")

    def __init__(self, keep: int = 2048) -> None:
        if keep < 1:
            raise ValueError("keep must be at least 1 row")
        self._keep = keep
        self._rows: dict[str, dict[str, _Rows]] = {}
        self.duplicates = 0

    def append(self, event: FactEvent) -> bool:
        """Keep ``event``; False for one already known.

        Raises:
            LookAheadError: when it was known before the newest row and is new all the same.
        """
        rows = self._rows.setdefault(event.table, {}).setdefault(event.symbol, _Rows())
        known = event.timestamp
        fact = Fact(event.event_time, known, MappingProxyType(event.values))
        if rows.known and known <= rows.known[-1] and self._is_known(rows, fact):
            self.duplicates += 1
            return False
        if rows.facts and fact.event_time <= rows.facts[-1].event_time:
            rows.plain = False
        rows.known.append(known)
        rows.facts.append(fact)
        if len(rows.facts) >= 2 * self._keep:
            rows.trim(self._keep)
        return True

    def as_of(self, at: datetime) -> "FactView":
        """What was known before ``at``."""
        return FactView(self, at)

    @staticmethod
    def _is_known(rows: _Rows, fact: Fact) -> bool:
        if fact.known < rows.known[0]:
            return True  # too old to tell: it was trimmed
        first = bisect_left(rows.known, fact.known)
        if fact in rows.facts[first:]:
            return True
        if fact.known < rows.known[-1]:
            raise LookAheadError("a fact arrived after one that became known later; publish facts in knowledge order")
        return False


class FactView:
    """What was known strictly before ``at``, by table and symbol."""

    __slots__ = ("_store", "at")

    def __init__(self, store: FactStore, at: datetime) -> None:
        self._store = store
        self.at = at

    def rows(self, table: str, symbol: str, last: int) -> tuple[Fact, ...]:
        """The newest ``last`` rows by event time, oldest first, each in its newest version known by then.

        Rows of one symbol with the same event time are versions of one row: the one known last, or told last, counts.
        """
        rows = self._store._rows.get(table, {}).get(symbol)
        if rows is None:
            return ()
        end = bisect_left(rows.known, self.at)
        if rows.plain:
            return tuple(rows.facts[max(0, end - last) : end])
        newest = {fact.event_time: fact for fact in rows.facts[:end]}
        return tuple(newest[moment] for moment in sorted(newest)[-last:])

    def first_known(self, table: str, symbol: str, event_time: datetime) -> datetime | None:
        """When the oldest kept version of the row about ``event_time`` became known; None when none was by then."""
        rows = self._store._rows.get(table, {}).get(symbol)
        if rows is None:
            return None
        told = rows.facts[: bisect_left(rows.known, self.at)]
        return next((fact.known for fact in told if fact.event_time == event_time), None)

    def column(self, table: str, symbol: str, name: str, last: int) -> Vector:
        """One column of `rows`; NaN where a row does not have it."""
        return np.array([fact.values.get(name, _NONE) for fact in self.rows(table, symbol, last)])


class _Flows:
    __slots__ = ("asks", "bids", "flows", "moments")

    def __init__(self) -> None:
        self.moments: list[datetime] = []
        self.flows, self.bids, self.asks = array("d"), array("d"), array("d")

    def trim(self, keep: int) -> None:
        del self.moments[:-keep]
        for column in (self.flows, self.bids, self.asks):
            del column[:-keep]


@dataclass(frozen=True, slots=True)
class Flows:
    """Order flow of one symbol by interval, oldest first.

    ``moments`` are their ends, ``flow`` is in units, ``bids`` and ``asks`` are the queues at the ends in units.
    """

    moments: tuple[datetime, ...]
    flow: Vector
    bids: Vector
    asks: Vector


class FlowStore:
    """The newest ``keep`` intervals of order flow of each symbol; repeats are ignored and counted in ``duplicates``."""

    __slots__ = ("_flows", "_keep", "duplicates")

    def __init__(self, keep: int = 1024) -> None:
        if keep < 1:
            raise ValueError("keep must be at least 1 interval")
        self._keep = keep
        self._flows: dict[str, _Flows] = {}
        self.duplicates = 0

    def append(self, event: OFIEvent) -> bool:
        """Keep the interval of ``event``; False for one that is not later than the symbol's newest."""
        flows = self._flows.setdefault(event.symbol, _Flows())
        if flows.moments and event.timestamp <= flows.moments[-1]:
            self.duplicates += 1
            return False
        flows.moments.append(event.timestamp)
        flows.flows.append(event.ofi_value)
        flows.bids.append(event.bid_volume)
        flows.asks.append(event.ask_volume)
        if len(flows.moments) >= 2 * self._keep:
            flows.trim(self._keep)
        return True

    def as_of(self, at: datetime) -> "FlowView":
        """What was known before ``at``."""
        return FlowView(self, at)


class FlowView:
    """Intervals that ended strictly before ``at``: one that ends at ``at`` is published at that moment, not before."""

    __slots__ = ("_store", "at")

    def __init__(self, store: FlowStore, at: datetime) -> None:
        self._store = store
        self.at = at

    def window(self, symbol: str, last: int) -> Flows:
        """The newest ``last`` intervals of ``symbol``; fewer when there have not been as many."""
        flows = self._store._flows.get(symbol)
        if flows is None:
            return Flows((), np.empty(0), np.empty(0), np.empty(0))
        end = bisect_left(flows.moments, self.at)
        start = max(0, end - last)
        flow, bids, asks = (np.array(column[start:end]) for column in (flows.flows, flows.bids, flows.asks))
        return Flows(tuple(flows.moments[start:end]), flow, bids, asks)
