"""Orders, fills, positions and equity of a run, computed from the set of facts it produced."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backtest.bookings import Bookings, Columns, book, columns_of, distinct_reports, ranks
from backtest.facts import Facts, Floats, Ints
from domain.money import MICROS, to_micros
from domain.performance import drawdowns

UNANSWERED = "UNANSWERED"
"""Status of an order on which no report was seen."""
UNIT_DECIMALS = 9
"""Positions are sums of floats; anything below a billionth of a unit is rounding and counts as flat."""

_MOMENT = pa.timestamp("us", "UTC")


@dataclass(frozen=True, slots=True)
class Tables:
    """What a run did, each table in canonical order; moments UTC, money in account currency.

    * ``orders``: one row per intent, by decision time, symbol, id; status and fill from its newest report.
    * ``fills``: one row per execution, by time, symbol, intent, number; price and commission in the currency of the
      symbol, ``rate`` what that was worth in the account's. A row of quantity zero is a later correction of an
      order's commission.
    * ``positions``: units, close and value of a symbol at each slice after which its units changed, at the last
      slice of each UTC month while it is held, and at the end of the run.
    * ``equity``: one row per slice; ``gross`` and ``net`` are position values, ``drawdown`` a fraction <= 0 from
      the highest equity so far, starting capital included.
    """

    orders: pa.Table
    fills: pa.Table
    positions: pa.Table
    equity: pa.Table


@dataclass(frozen=True, slots=True)
class _Holding:
    """One symbol at every slice: units, mark in its currency and value in the account's."""

    symbol: str
    units: Floats
    mark: Floats
    value: Floats


def build_tables(facts: Facts) -> Tables:
    """The tables of a run; the same for any order of arrival of the same facts."""
    reports = distinct_reports(facts.reports)
    bookings = book(facts, reports)
    slices = _ascending(facts.slices)
    holdings = _holdings(facts, bookings, slices)
    return Tables(
        orders=_orders(facts, reports),
        fills=_fills(facts, bookings),
        positions=_positions(slices, holdings),
        equity=_equity(facts, slices, bookings, holdings),
    )


def _ascending(moments: Ints) -> Ints:
    """Each moment once, in order; a run without surprises is so already."""
    if np.all(moments[1:] > moments[:-1]):
        return moments
    ordered = np.sort(moments)
    distinct: Ints = ordered[np.append(True, ordered[1:] > ordered[:-1])]
    return distinct


def _holdings(facts: Facts, bookings: Bookings, slices: Ints) -> list[_Holding]:
    """Every traded symbol at each slice, by symbol: executions and closes up to and including its moment."""
    symbol_of_series = [symbol for symbol, _ in facts.series]
    holdings = []
    for code in sorted(set(bookings.symbol.tolist()), key=facts.texts.__getitem__):
        symbol, mine = facts.texts[code], bookings.symbol == code
        at, price = bookings.at[mine], bookings.price[mine]
        seen = np.searchsorted(at, slices, "right")
        held: Floats = np.concatenate(([0.0], np.cumsum(bookings.units[mine]))).round(UNIT_DECIMALS)
        units: Floats = held[seen] + 0.0
        # Until a first bar of the symbol has closed, its newest execution is the only price there is.
        newest = np.concatenate(([0.0], price))[seen]
        wanted = [number for number, name in enumerate(symbol_of_series) if name == symbol]
        close_at, closes = _closes(facts, wanted)
        known = np.searchsorted(close_at, slices, "right")
        mark: Floats = np.where(known > 0, np.concatenate(([0.0], closes))[known], newest)
        value: Floats = np.where(units != 0.0, units * mark * rates_at(facts, symbol, slices), 0.0)
        holdings.append(_Holding(symbol, units, mark, value))
    return holdings


def _closes(facts: Facts, series: Sequence[int]) -> tuple[Ints, Floats]:
    mine = np.isin(facts.bar_series, series)
    at, closes = facts.bar_at[mine], facts.closes[mine]
    if np.all(at[1:] >= at[:-1]):
        return at, closes
    order = np.argsort(at, kind="stable")
    return at[order], closes[order]


def rates_at(facts: Facts, symbol: str, moments: Ints) -> Floats:
    """Account currency for one unit of the currency of ``symbol`` at each moment, by the newest closes of its pair.

    Not-a-number before the first of them.
    """

    def price_of(pair: str) -> Floats:
        series = [number for number, (name, _) in enumerate(facts.series) if name == pair]
        at, closes = _closes(facts, series)
        newest: Floats = np.concatenate(([np.nan], closes))[np.searchsorted(at, moments, "right")]
        return newest

    currency = facts.currencies.of.get(symbol)
    if currency is None:
        return np.ones(len(moments))
    direct, opposite = map(price_of, facts.currencies.pairs_of(currency))
    return np.where(np.isnan(direct), 1.0 / opposite, direct)


def _money(facts: Facts, slices: Ints, bookings: Bookings) -> Floats:
    """Cash of every currency at each slice, in account currency."""
    currency_of = facts.currencies.of
    of_text = [currency_of.get(text, "") for text in facts.texts]
    paid_in = np.array(of_text, np.str_)[bookings.symbol] if of_text else np.empty(0, np.str_)
    cash = _balance(slices, bookings, paid_in == "", to_micros(facts.initial_cash))
    for currency, symbol in {currency: symbol for symbol, currency in sorted(currency_of.items())}.items():
        held = _balance(slices, bookings, paid_in == currency, 0)
        cash = cash + np.where(held != 0.0, held * rates_at(facts, symbol, slices), 0.0)
    return cash


def _balance(slices: Ints, bookings: Bookings, mine: NDArray[np.bool_], before: int) -> Floats:
    """What is left at each slice of the micro-units ``before`` and those booked in the rows ``mine``, as cash."""
    rows = np.flatnonzero(mine)
    by_time = rows[np.argsort(bookings.at[rows], kind="stable")]
    flows = np.concatenate(([before], bookings.cash[by_time])).cumsum()
    left: Floats = flows[np.searchsorted(bookings.at[by_time], slices, "right")] / MICROS
    return left


def _equity(facts: Facts, slices: Ints, bookings: Bookings, holdings: Sequence[_Holding]) -> pa.Table:
    initial_cash, cash = facts.initial_cash, _money(facts, slices, bookings)
    equity, gross, net = cash.copy(), np.zeros(len(slices)), np.zeros(len(slices))
    for holding in holdings:
        equity += holding.value
        gross += np.abs(holding.value)
        net += holding.value
    depth = drawdowns(equity, initial_cash)
    columns = {"equity": equity, "cash": cash, "gross": gross, "net": net, "drawdown": depth}
    return pa.table({"timestamp": _moments(slices)} | {name: pa.array(one) for name, one in columns.items()})


def _positions(slices: Ints, holdings: Sequence[_Holding]) -> pa.Table:
    months = slices.astype("datetime64[us]").astype("datetime64[M]")
    month_end = np.ones(len(slices), np.bool_)
    month_end[:-1] = months[1:] != months[:-1]
    at, rank, units, price, value = [], [], [], [], []
    for number, holding in enumerate(holdings):
        changed = np.diff(holding.units, prepend=0.0) != 0.0
        rows = np.flatnonzero(changed | (month_end & (holding.units != 0.0)))
        at.append(slices[rows])
        rank.append(np.full(len(rows), number))
        units.append(holding.units[rows])
        price.append(holding.mark[rows])
        value.append(holding.value[rows])
    when, which = _joined(at, np.int64), _joined(rank, np.int64)
    order = np.lexsort((which, when))
    names = pa.array([holding.symbol for holding in holdings], pa.string())
    return pa.table(
        {
            "timestamp": _moments(when[order]),
            "symbol": names.take(pa.array(which[order])),
            "units": pa.array(_joined(units, np.float64)[order]),
            "price": pa.array(_joined(price, np.float64)[order]),
            "value": pa.array(_joined(value, np.float64)[order]),
        }
    )


def _fills(facts: Facts, bookings: Bookings) -> pa.Table:
    return pa.table(
        {
            "intent_id": _decoded(facts.order_ids, bookings.order),
            "execution": pa.array(bookings.number),
            "symbol": _decoded(facts.texts, bookings.symbol),
            "side": _decoded(facts.texts, bookings.side),
            "quantity": pa.array(np.abs(bookings.units)),
            "price": pa.array(bookings.price),
            "commission": pa.array(bookings.commission),
            "rate": pa.array(_fill_rates(facts, bookings)),
            "timestamp": _moments(bookings.at),
        }
    )


def _fill_rates(facts: Facts, bookings: Bookings) -> Floats:
    rates = np.ones(len(bookings.at))
    for code in set(bookings.symbol.tolist()) if facts.currencies.of else ():
        mine = bookings.symbol == code
        rates[mine] = rates_at(facts, facts.texts[code], bookings.at[mine])
    return rates


def _orders(facts: Facts, reports: Columns) -> pa.Table:
    count = len(facts.order_ids)
    intents = columns_of(facts.intents)
    # Where an index repeats the last value stays: the first intent, the newest report, the largest fill.
    asked = _last_row(count, intents["order"][::-1], np.arange(len(intents["order"]))[::-1])
    newest = _last_row(count, reports["order"], np.arange(len(reports["order"])))
    by_fill = np.lexsort((reports["sequence"], reports["filled"], reports["order"]))
    fullest = _last_row(count, reports["order"][by_fill], by_fill)
    decided_at = _pick(intents["at"], asked, _pick(reports["at"], newest, np.zeros(count, np.int64)))
    texts = np.array([*facts.texts, UNANSWERED, ""])
    unanswered, empty = np.full(count, len(texts) - 2), np.full(count, len(texts) - 1)
    text = {
        name: _pick(intents[name], asked, _pick(reports[name], newest, empty))
        for name in ("symbol", "strategy", "side")
    }
    status, reason = _pick(reports["status"], newest, unanswered), _pick(reports["reason"], newest, empty)
    order_type = _pick(intents["order_type"], asked, empty)
    missing, nothing = np.full(count, np.nan), np.zeros(count)
    table = pa.table(
        {
            "intent_id": pa.array(facts.order_ids, pa.string()),
            "strategy_id": _text(texts[text["strategy"]]),
            "symbol": _text(texts[text["symbol"]]),
            "side": _text(texts[text["side"]]),
            "quantity": _optional(_pick(intents["quantity"], asked, missing)),
            "order_type": _text(texts[order_type]),
            "limit_price": _optional(_pick(intents["limit_price"], asked, missing)),
            "stop_price": _optional(_pick(intents["stop_price"], asked, missing)),
            "decided_at": pa.array(decided_at, mask=asked < 0).cast(_MOMENT),
            "status": _text(texts[status]),
            "filled_quantity": pa.array(_pick(reports["filled"], fullest, nothing)),
            "avg_fill_price": _optional(_pick(reports["average"], fullest, missing)),
            "commission": pa.array(_pick(reports["commission"], fullest, nothing)),
            "reject_reason": _text(texts[reason]),
        }
    )
    order = np.lexsort((ranks(facts.order_ids), ranks(texts.tolist())[text["symbol"]], decided_at))
    return table.take(pa.array(order))


def _last_row(count: int, order: Ints, rows: Ints) -> Ints:
    """For each of ``count`` orders the row given last for it, -1 without any."""
    found = np.full(count, -1, np.int64)
    found[order] = rows
    return found


def _pick(column: NDArray[Any], rows: Ints, otherwise: NDArray[Any]) -> NDArray[Any]:
    """``column`` at ``rows``, and ``otherwise`` where there is no row (-1)."""
    picked = otherwise.copy()
    picked[rows >= 0] = column[rows[rows >= 0]]
    return picked


def _moments(micros: Ints) -> pa.Array:
    return pa.array(micros, pa.int64()).cast(_MOMENT)


def _optional(values: Floats) -> pa.Array:
    return pa.array(values, from_pandas=True)  # NaN means that there is none


def _text(values: NDArray[np.str_]) -> pa.Array:
    return pa.array([value or None for value in values.tolist()], pa.string())


def _decoded(texts: Sequence[str], codes: Ints) -> pa.Array:
    return pa.array(texts, pa.string()).take(pa.array(codes))


def _joined(parts: Sequence[NDArray[Any]], kind: type[np.generic]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, kind)
