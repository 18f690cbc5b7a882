"""Market data and point-in-time tables as one sequence, each fact before the bars that close after it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime

from data_plane.connectors.port import AFTER_ALL, BadRow, Block, Connector, RawFact, Row


class InformedConnector:
    """Gives the rows of ``market`` with every row of ``tables`` as soon as it is known.

    A fact known before a bar closes comes before that bar, so that the slice which ends the bar's moment comes after
    every fact that may be used at it; one known at the close or later comes after. ``closes`` says when the bar of
    a trading day closes. A row later than ``horizon`` is not believed, so no fact is told for its sake.
    """

    def __init__(
        self, market: Connector, tables: Connector, closes: Mapping[date, datetime], horizon: datetime = AFTER_ALL
    ) -> None:
        self._horizon = horizon
        self._market = market
        self._tables = tables
        self._closes = closes

    def blocks(self) -> Iterator[Block]:
        """Yield every row, woven one by one."""
        yield self.rows()

    def rows(self) -> Iterator[Row]:
        """Yield every row from the beginning; unreadable rows of tables come first."""
        facts: list[RawFact] = []
        for row in self._tables.rows():
            if isinstance(row, RawFact):
                facts.append(row)
            else:
                yield row
        yield from self._woven(self._market.rows(), iter(facts))

    def _woven(self, rows: Iterable[Row], facts: Iterator[RawFact]) -> Iterator[Row]:
        fact = next(facts, None)
        for row in rows:
            close = None if isinstance(row, BadRow) else self._close_of(row.timestamp)
            while fact is not None and close is not None and fact.timestamp < close:
                yield fact
                fact = next(facts, None)
            yield row
        if fact is not None:
            yield fact
            yield from facts

    def _close_of(self, stamp: datetime | date) -> datetime | None:
        close = stamp if isinstance(stamp, datetime) else self._closes.get(stamp)
        return close if close is not None and close <= self._horizon else None
