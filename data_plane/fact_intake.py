"""From rows of point-in-time tables to facts and order flow."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from contracts.base import Message
from contracts.market import FactEvent, OFIEvent
from data_plane.admission import Admission
from data_plane.connectors.port import RawFact
from data_plane.quality import BEFORE_ALL, Finding, Reason

ORDER_FLOW = "order_flow"
"""The table whose rows are published as `OFIEvent`: ``ofi_value``, ``bid_volume`` and ``ask_volume`` in units."""
_LARGEST = 1e15


class FactIntake:
    """Judges and publishes the rows of tables in the order in which they became known.

    ``extra`` are symbols wanted beside the universe. ``ignored`` counts rows of symbols that nobody asked for.
    Symbol and ``event_time`` are the key of a table: of two rows with the same ones readers use the later. One that so
    replaces the symbol's row before it is published and reported, since it may be news that was meant to be beside it.
    """

    def __init__(self, admission: Admission, extra: frozenset[str]) -> None:
        self._admission = admission
        self._extra = extra
        self._newest = BEFORE_ALL
        self._about: dict[tuple[str, str], datetime] = {}
        self.ignored = 0

    def handle(self, row: RawFact) -> Sequence[Message]:
        """The message that ``row`` gives rise to, if any."""
        symbol = self._admission.symbol_of(row)
        if symbol is None:
            return ()
        if not (self._admission.wants(symbol) or symbol in self._extra):
            self.ignored += 1
            return ()
        if self._admission.too_late(row, symbol, row.timestamp):
            return ()
        if row.timestamp < self._newest:
            return self._admission.refuse(row, symbol, Reason.OUT_OF_ORDER, "known before the row that precedes it")
        values = {name: value for name, value in row.values.items() if not math.isnan(value)}
        if not values or not all(abs(value) <= _LARGEST for value in values.values()):
            return self._admission.refuse(row, symbol, Reason.SCHEMA, "no value at all, or one beyond the contract")
        self._newest = row.timestamp
        if row.table == ORDER_FLOW:
            return self._flow(row, symbol, values)
        self._notice_replacement(row, symbol)
        return (
            FactEvent.trusted(
                {
                    "event_type": "fact_event",
                    "table": row.table,
                    "symbol": symbol,
                    "timestamp": row.timestamp,
                    "event_time": row.event_time,
                    "values": values,
                }
            ),
        )

    def _notice_replacement(self, row: RawFact, symbol: str) -> None:
        """Only the row before is looked at: a correction of an older one is what tables are for."""
        if self._about.get((row.table, symbol)) == row.event_time:
            detail = f"replaces the row of {row.table} before it, which has the same event_time"
            self._admission.report(Finding(row.source, row.line, symbol, Reason.REPLACED, detail, refused=False))
        self._about[row.table, symbol] = row.event_time

    def _flow(self, row: RawFact, symbol: str, values: Mapping[str, float]) -> Sequence[Message]:
        flow, bid, ask = (values.get(name) for name in ("ofi_value", "bid_volume", "ask_volume"))
        if flow is None or bid is None or ask is None or min(bid, ask) < 0.0:
            return self._admission.refuse(row, symbol, Reason.SCHEMA, "order flow needs a flow and both volumes")
        return (
            OFIEvent.trusted(
                {
                    "event_type": "ofi_event",
                    "symbol": symbol,
                    "timestamp": row.timestamp,
                    "ofi_value": flow,
                    "volume_imbalance": (bid - ask) / (bid + ask) if bid + ask else 0.0,
                    "bid_volume": bid,
                    "ask_volume": ask,
                }
            ),
        )
