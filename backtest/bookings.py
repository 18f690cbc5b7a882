"""What each execution report newly booked, from reports that carry cumulative quantities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.facts import Facts, Floats, IntentFacts, Ints, ReportFacts
from contracts.trading import Side
from domain.money import to_micros

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Bookings:
    """What each report newly booked, by time, symbol, intent, number: signed units and micro-units of cash."""

    order: Ints
    number: Ints
    symbol: Ints
    side: Ints
    at: Ints
    units: Floats
    price: Floats
    commission: Floats
    cash: Ints

    def take(self, rows: Ints) -> "Bookings":
        """The bookings at ``rows``, in that order."""
        return Bookings(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def columns_of(facts: IntentFacts | ReportFacts) -> Columns:
    """The facts as numpy columns, in order of arrival."""
    return {name: np.array(getattr(facts, name)) for name in facts.__dataclass_fields__}


def distinct_reports(facts: ReportFacts) -> Columns:
    """Reports by order and sequence, the first of each; a repeat says the same again."""
    columns = columns_of(facts)
    rows = np.lexsort((columns["sequence"], columns["order"]))
    order, sequence = columns["order"][rows], columns["sequence"][rows]
    new = np.ones(len(rows), np.bool_)
    new[1:] = (order[1:] != order[:-1]) | (sequence[1:] != sequence[:-1])
    return {name: column[rows[new]] for name, column in columns.items()}


def book(facts: Facts, reports: Columns) -> Bookings:
    """Differences between the cumulative quantities of one order's reports, as the ledger books them."""
    rows = np.lexsort((reports["sequence"], reports["filled"], reports["order"]))
    row = {name: column[rows[reports["filled"][rows] > 0.0]] for name, column in reports.items()}
    order, filled, paid = row["order"], row["filled"], row["commission"]
    first = np.ones(len(order), np.bool_)
    first[1:] = order[1:] != order[:-1]
    sign = _signs(facts.texts, row["side"])
    value = filled * row["average"]
    spent = np.array([to_micros(amount) for amount in (sign * value + paid).tolist()], np.int64)
    units, outlay = _increments(filled, first), _increments(spent, first)
    booked = (units != 0.0) | (outlay != 0)
    number = _number_within(first, booked)
    found = Bookings(
        order=order,
        number=number,
        symbol=row["symbol"],
        side=row["side"],
        at=row["at"],
        units=sign * units,
        price=_execution_prices(row, units, _increments(value, first)),
        commission=_increments(paid, first),
        cash=-outlay,
    )
    ranked = (number, ranks(facts.order_ids)[order], ranks(facts.texts)[row["symbol"]], row["at"])
    sorting = np.lexsort(ranked)
    return found.take(sorting[booked[sorting]])


def _execution_prices(row: Columns, units: Floats, value: Floats) -> Floats:
    """The price a report names for its execution, or what the averages imply when it covers another quantity."""
    implied = np.divide(value, units, out=row["average"].copy(), where=units > 0.0)
    covers = np.abs(row["last_quantity"] - units) <= 1e-9 * np.maximum(1.0, units)
    prices: Floats = np.where(covers & np.isfinite(row["last_price"]) & (units > 0.0), row["last_price"], implied)
    return prices


def _increments(cumulative: NDArray[Any], first: NDArray[np.bool_]) -> NDArray[Any]:
    """What each row adds to the one before it in its group."""
    before = np.zeros_like(cumulative)
    before[1:] = np.where(first[1:], before[1:], cumulative[:-1])
    added: NDArray[Any] = cumulative - before
    return added


def _number_within(first: NDArray[np.bool_], counted: NDArray[np.bool_]) -> Ints:
    """1, 2, 3 ... over the counted rows of each group that begins where ``first`` is set."""
    running = np.cumsum(counted)
    base = np.maximum.accumulate(np.where(first, running - counted, 0))
    return (running - base).astype(np.int64)


def _signs(texts: Sequence[str], side: Ints) -> Floats:
    sign_of = np.array([{Side.BUY.value: 1.0, Side.SELL.value: -1.0}.get(text, 0.0) for text in texts])
    return sign_of[side] if len(side) else np.empty(0)


def ranks(texts: Sequence[str]) -> Ints:
    """Position of each text in sorted order, so that codes sort like what they stand for."""
    ranks = np.empty(len(texts), np.int64)
    ranks[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
    return ranks
