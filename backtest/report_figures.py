"""The numbers behind the charts of a report, thinned to what a screen can show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backtest.artifacts import Run
from backtest.summary import JSON, moments, signed_units, traded_values
from contracts.trading import OrderStatus
from domain import performance

Floats = NDArray[np.float64]
Moments = NDArray[np.datetime64]
Rows = NDArray[np.int64]

CURVE_POINTS = 3_000
STRETCHES = 1_000
NAMED_POSITIONS = 8
SYMBOLS = 60
PRICE_POINTS, PRICE_POINTS_PER_SYMBOL = 60_000, 2_500
MARKERS, MARKERS_PER_SYMBOL = 30_000, 1_500


@dataclass(frozen=True, slots=True)
class Charts:
    """What the page draws, and one sentence for each chart that shows less than all."""

    data: dict[str, JSON]
    notes: dict[str, str]


@dataclass(frozen=True, slots=True)
class Series:
    """Closes of one symbol, ascending in time."""

    at: Moments
    close: Floats


def charts(run: Run) -> Charts:
    """The data of every chart of a run."""
    notes: dict[str, str] = {}
    prices = _series(run)
    data: dict[str, JSON] = {
        "equity": _curves(run.tables.equity, notes),
        "exposure": _exposure(run, prices, notes),
        "prices": _prices(run, prices, notes),
        "regimes": _regimes(run.summary.get("study")),
    }
    return Charts(data, notes)


def _regimes(study: JSON) -> JSON:
    """Spans of calm, normal, storm and unknown to shade the equity with: name, begin and end."""
    return study.get("regimes", []) if isinstance(study, dict) else []


def monthly_returns(equity: pa.Table, initial_cash: float) -> dict[int, list[float | None]]:
    """Return of each month by year: twelve entries and the year; None where the run has no slice.

    A month is measured from the last equity of the one before, the first from the starting capital.
    Empty when equity did not stay above zero.
    """
    values: Floats = equity["equity"].to_numpy()
    if not len(values) or np.any(values <= 0.0):
        return {}
    months = moments(equity).astype("datetime64[M]").astype(np.int64)
    ends = np.flatnonzero(np.append(months[1:] != months[:-1], True))
    returns = performance.simple_returns(np.concatenate(([initial_cash], values[ends])))
    years: dict[int, list[float | None]] = {}
    for month, value in zip(months[ends].tolist(), returns.tolist(), strict=True):
        years.setdefault(1970 + month // 12, [None] * 13)[month % 12] = value
    for row in years.values():
        row[12] = float(np.prod([1.0 + value for value in row[:12] if value is not None])) - 1.0
    return years


def thinned(values: Floats, limit: int) -> Rows:
    """Rows to draw so that no peak or trough is lost: the lowest and highest of each of ``limit / 2`` stretches."""
    count = len(values)
    if count <= limit:
        return np.arange(count)
    width = -(-count // (limit // 2 - 1))
    padded = np.append(values, np.full(-count % width, values[-1])).reshape(-1, width)
    starts = np.arange(len(padded)) * width
    rows = np.concatenate(([0, count - 1], starts + padded.argmin(axis=1), starts + padded.argmax(axis=1)))
    return np.unique(np.minimum(rows, count - 1))


def _curves(equity: pa.Table, notes: dict[str, str]) -> dict[str, JSON]:
    values: Floats = equity["equity"].to_numpy()
    rows = thinned(values, CURVE_POINTS)
    if len(rows) < len(values):
        deepest = int(np.argmin(equity["drawdown"].to_numpy()))
        rows = np.union1d(rows, [deepest])
        notes["equity"] = f"Drawn from {len(rows):,} of {len(values):,} points: the extremes of each stretch of time."
    return {
        "t": _milliseconds(moments(equity)[rows]),
        "equity": _short(values[rows]),
        "drawdown": _short(equity["drawdown"].to_numpy()[rows]),
    }


def _series(run: Run) -> dict[str, Series]:
    bars = run.bars().select(["timestamp", "symbol", "close"])
    coded = bars["symbol"].combine_chunks().dictionary_encode()
    codes = coded.indices.to_numpy()
    at, close = moments(bars), bars["close"].to_numpy()
    by_symbol = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[by_symbol], np.arange(len(coded.dictionary) + 1))
    parts = [by_symbol[begin:end] for begin, end in pairwise(edges)]
    return {
        symbol: Series(at[rows], close[rows]) for symbol, rows in zip(coded.dictionary.to_pylist(), parts, strict=True)
    }


def _exposure(run: Run, prices: dict[str, Series], notes: dict[str, str]) -> dict[str, JSON]:
    """Gross, net and every position as shares of equity, each point the mean of a stretch of slices."""
    equity = run.tables.equity
    at, base = moments(equity), equity["equity"].to_numpy()
    base = np.where(base > 0.0, base, np.nan)
    starts = np.arange(0, len(at), max(1, -(-len(at) // STRETCHES)))
    if len(starts) < len(at):
        notes["exposure"] = f"Each point is the mean of {starts[1]:,} moments."
    held = {symbol: _means(value / base, starts) for symbol, value in _values(run.tables.positions, prices, at)}
    ranked = sorted(held, key=lambda symbol: (-float(np.nansum(np.abs(held[symbol]))), symbol))
    named, others = ranked[:NAMED_POSITIONS], ranked[NAMED_POSITIONS:]
    lines = {symbol: held[symbol] for symbol in named}
    if others:
        lines[f"{len(others)} others"] = np.sum([held[symbol] for symbol in others], axis=0)
    return {
        "t": _milliseconds(at[starts]),
        "gross": _short(_means(equity["gross"].to_numpy() / base, starts)),
        "net": _short(_means(equity["net"].to_numpy() / base, starts)),
        "names": list(lines),
        "weights": [_short(line) for line in lines.values()],
    }


def _means(values: Floats, starts: Rows) -> Floats:
    """Mean of each stretch that begins at one of ``starts``."""
    if not len(values):
        return values
    means: Floats = np.add.reduceat(values, starts) / np.diff(np.append(starts, len(values)))
    return means


def _values(positions: pa.Table, prices: dict[str, Series], at: Moments) -> Iterator[tuple[str, Floats]]:
    """Value of each position at the given moments, symbol by symbol."""
    symbols = np.array(positions["symbol"].to_pylist(), np.str_)
    changed, units, marks = moments(positions), positions["units"].to_numpy(), positions["price"].to_numpy()
    # Between two changes a position is charted at the exchange rate of the first: an error of days at most.
    rates = np.divide(positions["value"].to_numpy(), units * marks, where=units != 0.0, out=np.ones(len(units)))
    for symbol in np.unique(symbols).tolist():
        mine = symbols == symbol
        series = prices.get(symbol, Series(changed[mine], marks[mine]))
        held = _as_of(changed[mine], units[mine] * rates[mine], at)
        yield symbol, held * _as_of(series.at, series.close, at)


def _as_of(known_at: Moments, values: Floats, at: Moments) -> Floats:
    """The newest of ``values`` at each moment, zero before the first."""
    newest: Floats = np.concatenate(([0.0], values))[np.searchsorted(known_at, at, "right")]
    return newest


def _prices(run: Run, prices: dict[str, Series], notes: dict[str, str]) -> list[JSON]:
    fills, orders = run.tables.fills, run.tables.orders
    fill_symbols = np.array(fills["symbol"].to_pylist(), np.str_)
    order_symbols = np.array(orders["symbol"].to_pylist(), np.str_)
    traded = traded_values(fills)
    importance = {symbol: float(traded[fill_symbols == symbol].sum()) for symbol in prices}
    shown = sorted(prices, key=lambda symbol: (-importance[symbol], symbol))[:SYMBOLS]
    per_symbol = max(1, len(shown))
    price_limit = max(200, min(PRICE_POINTS_PER_SYMBOL, PRICE_POINTS // per_symbol))
    marker_limit = max(100, min(MARKERS_PER_SYMBOL, MARKERS // per_symbol))
    less = [f"the {len(shown)} of {len(prices)} symbols traded most"] if len(shown) < len(prices) else []
    if any(len(prices[symbol].at) > price_limit for symbol in shown):
        less.append(f"price lines thinned to about {price_limit:,} points, extremes kept")
    if len(fills) and max(np.unique(fill_symbols, return_counts=True)[1]) > marker_limit:
        less.append(f"at most {marker_limit:,} fills per symbol, evenly spread")
    if less:
        notes["prices"] = f"Shown: {'; '.join(less)}."
    return [
        {
            "symbol": symbol,
            **_line(prices[symbol], price_limit),
            "fills": _fill_markers(fills.filter(pa.array(fill_symbols == symbol)), marker_limit),
            "orders": _order_markers(orders.filter(pa.array(order_symbols == symbol)), prices[symbol], marker_limit),
        }
        for symbol in shown
    ]


def _line(series: Series, limit: int) -> dict[str, JSON]:
    rows = thinned(series.close, limit)
    return {"t": _milliseconds(series.at[rows]), "close": _short(series.close[rows])}


def _fill_markers(fills: pa.Table, limit: int) -> dict[str, JSON]:
    fills = fills.filter(pa.compute.greater(fills["quantity"], 0.0))
    fills = fills.take(pa.array(_evenly(len(fills), limit)))
    return {
        "t": _milliseconds(moments(fills)),
        "price": _short(fills["price"].to_numpy()),
        "units": _short(signed_units(fills)),
        "commission": _short(fills["commission"].to_numpy()),
    }


def _order_markers(orders: pa.Table, series: Series, limit: int) -> dict[str, JSON]:
    """Every decision at its limit price or at the close it was taken on, and what became of it."""
    orders = orders.filter(pa.compute.is_valid(orders["decided_at"]))
    orders = orders.take(pa.array(_evenly(len(orders), limit)))
    at = moments(orders.rename_columns({"decided_at": "timestamp"}))
    limits = orders["limit_price"].to_numpy(zero_copy_only=False).astype(np.float64)
    price = np.where(np.isnan(limits), _as_of(series.at, series.close, at), limits)
    return {
        "t": _milliseconds(at),
        "price": _short(price),
        "side": orders["side"].to_pylist(),
        "quantity": _short(orders["quantity"].to_numpy()),
        "type": orders["order_type"].to_pylist(),
        "status": orders["status"].to_pylist(),
        "reason": [reason or "" for reason in orders["reject_reason"].to_pylist()],
        "filled": [status == OrderStatus.FILLED.value for status in orders["status"].to_pylist()],
    }


def _evenly(count: int, limit: int) -> Rows:
    return np.arange(count) if count <= limit else np.unique(np.linspace(0, count - 1, limit).astype(np.int64))


def _milliseconds(at: Moments) -> list[JSON]:
    found: list[JSON] = at.astype("datetime64[ms]").astype(np.int64).tolist()
    return found


def _short(values: Floats | Sequence[float]) -> list[JSON]:
    """Seven significant digits are more than a screen shows; what is not finite becomes a gap."""
    return [float(f"{value:.7g}") if np.isfinite(value) else None for value in np.asarray(values).tolist()]
