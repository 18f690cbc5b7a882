"""Point-in-time tables made by a seeded generator, for inputs whose real values may not be passed on."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from domain.calendar import SessionCalendar
from domain.exchange_sessions import load_calendar

MARK = {
    b"generated": b"every value is made up and has no relation to the company, its prices or anything that happened"
}
"""Metadata of every file."""
_MOMENT = pa.timestamp("us", "UTC")
_AFTER_THE_CLOSE = timedelta(minutes=30)
_BEFORE_THE_CLOSE = timedelta(minutes=30)
Columns = dict[str, list[Any]]
Draws = npt.NDArray[np.float64]


def write_tables(seeds: Path, directory: Path) -> None:
    """Write the tables that the YAML file ``seeds`` describes under ``tables`` into ``directory``."""
    described = yaml.safe_load(seeds.read_text("utf-8"))["tables"]
    calendar = load_calendar(described["calendar"], described["first"], described["last"])
    directory.mkdir(parents=True, exist_ok=True)
    for number, (name, make) in enumerate(_MAKERS.items()):
        columns: Columns = {}
        symbols = [*described["symbols"], *([described["index"]] if name == "implied_volatility" else [])]
        for place, symbol in enumerate(symbols):
            rng = np.random.default_rng([described["seed"], number, place])
            made = make(rng, calendar, symbol == described["index"])
            for column, values in {"symbol": [symbol] * len(made["knowledge_time"]), **made}.items():
                columns.setdefault(column, []).extend(values)
        _write(columns, directory / f"generated_{name}.parquet")


def order_flow(rng: np.random.Generator, calendar: SessionCalendar, index: bool) -> Columns:
    """One interval a session that ends half an hour before the close: flow and queues in whole hundreds of units."""
    known = [close - _BEFORE_THE_CLOSE for close in calendar.closes]
    depth = rng.integers(5, 60, size=(2, len(known))) * 100.0
    flow = np.round(rng.normal(0.0, 40.0, size=len(known))) * 100.0
    return _table(known, known, ofi_value=flow, bid_volume=depth[0], ask_volume=depth[1])


def earnings(rng: np.random.Generator, calendar: SessionCalendar, index: bool) -> Columns:
    """Quarters from four years before the first session, announced three to six weeks after their ends."""
    ends = _quarter_ends(calendar.days[0] - timedelta(days=4 * 366), calendar.days[-1])
    trend = 1.0 + 0.01 * np.arange(len(ends)) + 0.1 * np.sin(np.arange(len(ends)) * np.pi / 2.0)
    eps = np.round(trend + np.cumsum(rng.normal(0.0, 0.05, len(ends))), 2)
    revenue = np.round(10.0 * trend + np.cumsum(rng.normal(0.0, 0.3, len(ends))), 2)
    delays = rng.integers(21, 42, len(ends)).tolist()
    known = [_evening(end + timedelta(days=delay)) for end, delay in zip(ends, delays, strict=True)]
    return _table(known, [_midnight(end) for end in ends], eps=eps, revenue=revenue)


def implied_volatility(rng: np.random.Generator, calendar: SessionCalendar, index: bool) -> Columns:
    """A mean-reverting volatility in points at each close, of the index with a level that moves about as much."""
    count = len(calendar.days)
    logs, middle = np.empty(count), np.log(18.0 if index else 30.0)
    logs[0] = middle
    for day, shock in enumerate(rng.normal(0.0, 0.06, count - 1), 1):
        logs[day] = logs[day - 1] + 0.03 * (middle - logs[day - 1]) + shock
    points = np.asarray(np.round(np.exp(logs), 2), np.float64)
    known = [close + _AFTER_THE_CLOSE for close in calendar.closes]
    daily = rng.normal(0.0002, 1.0, count) * points / 100.0 / np.sqrt(252.0) * 0.85
    levels = np.round(1000.0 * np.exp(np.cumsum(daily)), 2) if index else np.full(count, np.nan)
    return _table(known, list(calendar.closes), implied_volatility=points, level=levels)


def short_interest(rng: np.random.Generator, calendar: SessionCalendar, index: bool) -> Columns:
    """Reports of the 15th and the last day of the month, known eight days later, in whole shares."""
    days = [day for day in _all_days(calendar) if day.day == 15 or (day + timedelta(days=1)).day == 1]
    share = np.exp(np.cumsum(rng.normal(0.0, 0.08, len(days))) * 0.5) * 0.03
    outstanding = np.full(len(days), 9e8)
    volume = np.round(rng.lognormal(np.log(9e6), 0.2, len(days)))
    shorted = np.round(np.clip(share, 0.002, 0.3) * outstanding)
    return _table(
        [_evening(day + timedelta(days=8)) for day in days],
        [_midnight(day) for day in days],
        shares_short=shorted,
        shares_outstanding=outstanding,
        average_daily_volume=volume,
    )


def ownership(rng: np.random.Generator, calendar: SessionCalendar, index: bool) -> Columns:
    """The fraction that institutions hold at each quarter's end, known 45 days later."""
    ends = _quarter_ends(calendar.days[0] - timedelta(days=366), calendar.days[-1])
    share = np.clip(0.6 + np.cumsum(rng.normal(0.0, 0.015, len(ends))), 0.1, 0.95)
    known = [_evening(end + timedelta(days=45)) for end in ends]
    return _table(known, [_midnight(end) for end in ends], institutional_share=np.round(share, 4))


def news_sentiment(rng: np.random.Generator, calendar: SessionCalendar, index: bool) -> Columns:
    """About two items a week at any hour, scored in [-1, 1]."""
    days = [day for day, drawn in zip(_all_days(calendar), rng.random(10**5), strict=False) if drawn < 0.28]
    known = [
        _midnight(day) + timedelta(minutes=int(m))
        for day, m in zip(days, rng.integers(0, 1440, len(days)), strict=True)
    ]
    score = np.asarray(np.round(np.tanh(rng.normal(0.1, 0.6, len(days))), 2), np.float64)
    return _table(known, known, score=score, relevance=np.round(rng.uniform(0.2, 1.0, len(days)), 1))


def analyst_estimates(rng: np.random.Generator, calendar: SessionCalendar, index: bool) -> Columns:
    """The consensus of each month's last day with a made-up share price, known the next day."""
    ends = [day for day in _all_days(calendar, timedelta(days=270)) if (day + timedelta(days=1)).day == 1]
    estimate = np.round(4.0 + np.cumsum(rng.normal(0.01, 0.05, len(ends))), 2)
    price = np.round(60.0 * np.exp(np.cumsum(rng.normal(0.005, 0.06, len(ends)))), 2)
    known = [_evening(end + timedelta(days=1)) for end in ends]
    return _table(known, [_midnight(end) for end in ends], estimate=estimate, price=price)


_MAKERS: Mapping[str, Callable[[np.random.Generator, SessionCalendar, bool], Columns]] = {
    "order_flow": order_flow,
    "earnings": earnings,
    "implied_volatility": implied_volatility,
    "short_interest": short_interest,
    "ownership": ownership,
    "news_sentiment": news_sentiment,
    "analyst_estimates": analyst_estimates,
}


def _table(known: Sequence[datetime], event: Sequence[datetime], **values: Draws) -> Columns:
    return {
        "knowledge_time": list(known),
        "event_time": list(event),
        **{name: column.tolist() for name, column in values.items()},
    }


def _all_days(calendar: SessionCalendar, before: timedelta = timedelta()) -> list[date]:
    first = calendar.days[0] - before
    return [first + timedelta(days=day) for day in range((calendar.days[-1] - first).days + 1)]


def _quarter_ends(first: date, last: date) -> list[date]:
    ends = [
        date(year, month, 1) - timedelta(days=1) for year in range(first.year, last.year + 2) for month in (1, 4, 7, 10)
    ]
    return [end for end in ends if first <= end <= last]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _evening(day: date) -> datetime:
    return datetime.combine(day, time(21, 30), UTC)


def _write(columns: Columns, path: Path) -> None:
    moments = ("knowledge_time", "event_time")
    order = sorted(
        range(len(columns["symbol"])), key=lambda row: (columns["knowledge_time"][row], columns["symbol"][row])
    )
    table = pa.table(
        {
            name: pa.array(
                [values[row] for row in order],
                _MOMENT if name in moments else None,
                from_pandas=True,
            )
            for name, values in columns.items()
        }
    )
    pq.write_table(table.replace_schema_metadata(MARK), path, compression="zstd", compression_level=19)
