"""The figures of a run: one dictionary for files and machines."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backtest.tables import Tables
from contracts.trading import OrderStatus, Side
from domain import performance

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
Floats = NDArray[np.float64]

DAY = "datetime64[D]"


def summarise(
    tables: Tables, initial_cash: float, periods_per_year: float = performance.TRADING_DAYS
) -> dict[str, JSON]:
    """Metrics, period and rejections of a run; a figure that is not defined for it is None.

    Growth, ratios and volatility are of daily returns: the last equity of each UTC day, the first against the starting
    capital, ``periods_per_year`` days a year (365 for a market that never closes). A first day that ends where it began
    is where the run starts from. Fractions are fractions, money is in account currency.
    """
    daily = daily_rows(tables.equity)
    return {
        "period": _period(tables, len(daily), periods_per_year),
        "metrics": _finite(
            _equity_figures(tables, daily, initial_cash, periods_per_year)
            | _trade_figures(tables, _by_day(tables, daily, initial_cash), periods_per_year)
        ),
        "orders_by_status": counted(tables.orders["status"].to_pylist()),
        "rejections": counted(rejection_codes(tables.orders)),
    }


def daily_rows(equity: pa.Table) -> NDArray[np.int64]:
    """Row numbers of the last slice of each UTC day."""
    days = moments(equity).astype(DAY)
    return np.flatnonzero(np.append(days[1:] != days[:-1], True)) if len(days) else np.empty(0, np.int64)


def moments(table: pa.Table) -> NDArray[np.datetime64]:
    """The timestamps of a table, UTC, in microseconds."""
    micros: NDArray[np.int64] = table["timestamp"].cast(pa.int64()).to_numpy()
    return micros.astype("datetime64[us]")


def rejection_codes(orders: pa.Table) -> list[str]:
    """The reason code of each rejected order: what stands before the colon of its reason."""
    pairs = zip(orders["status"].to_pylist(), orders["reject_reason"].to_pylist(), strict=True)
    rejected = OrderStatus.REJECTED.value
    return [(reason or "UNKNOWN").split(":", 1)[0].strip() for status, reason in pairs if status == rejected]


def counted(values: Sequence[str]) -> dict[str, JSON]:
    """How often each value occurs, the most frequent first, then by name."""
    return {value: count for value, count in sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))}


def realised_profits(fills: pa.Table) -> Floats:
    """Profit (account currency) of every fill that closed part of a position, at average cost after commissions.

    Symbol by symbol.
    """
    units = signed_units(fills)
    symbols = np.array(fills["symbol"].to_pylist(), np.str_)
    columns = [fills["price"].to_numpy(), fills["commission"].to_numpy(), exchange_rates(fills)]
    found = [
        performance.closed_profits(units[mine].tolist(), *(column[mine].tolist() for column in columns))
        for mine in ((symbols == symbol) & (units != 0.0) for symbol in np.unique(symbols))
    ]
    return np.concatenate(found) if found else np.empty(0)


def signed_units(fills: pa.Table) -> Floats:
    """Units of each fill, bought positive and sold negative."""
    bought = np.array([side == Side.BUY.value for side in fills["side"].to_pylist()], np.bool_)
    units: Floats = fills["quantity"].to_numpy()
    return np.where(bought, units, -units)


def traded_values(fills: pa.Table) -> Floats:
    """What each fill was worth, in account currency."""
    values: Floats = fills["quantity"].to_numpy() * fills["price"].to_numpy() * exchange_rates(fills)
    return values


def paid_commissions(fills: pa.Table) -> Floats:
    """The commission of each fill, in account currency."""
    values: Floats = fills["commission"].to_numpy() * exchange_rates(fills)
    return values


def exchange_rates(fills: pa.Table) -> Floats:
    """Account currency for one unit of each fill's; runs written when there was one currency do not say it."""
    rates: Floats = fills["rate"].to_numpy() if "rate" in fills.column_names else np.ones(len(fills))
    return rates


def _period(tables: Tables, days: int, periods_per_year: float) -> dict[str, JSON]:
    at = moments(tables.equity)
    first, last = (f"{at[row]}Z" for row in (0, -1)) if len(at) else (None, None)
    return {"first": first, "last": last, "slices": len(at), "days": days, "periods_per_year": periods_per_year}


def _equity_figures(
    tables: Tables, daily: NDArray[np.int64], initial_cash: float, periods_per_year: float
) -> dict[str, float]:
    equity: Floats = tables.equity["equity"].to_numpy()
    gross, net = tables.equity["gross"].to_numpy(), tables.equity["net"].to_numpy()
    figures = {
        "initial_cash": initial_cash,
        "final_equity": float(equity[-1]) if len(equity) else initial_cash,
        "total_return": (equity[-1] / initial_cash - 1.0) if len(equity) else 0.0,
        "max_drawdown": performance.max_drawdown(equity, initial_cash),
        "longest_drawdown_days": performance.longest_drawdown(equity[daily], initial_cash),
        "time_in_market": float(np.mean(gross != 0.0)) if len(gross) else math.nan,
    }
    if not len(equity) or np.any(equity <= 0.0):
        return figures | dict.fromkeys(_NEEDS_POSITIVE_EQUITY, math.nan)
    values = _by_day(tables, daily, initial_cash)
    returns = performance.simple_returns(values)
    figures |= {
        "cagr": performance.cagr(values, periods_per_year),
        "volatility": performance.volatility(returns, periods_per_year),
        "sharpe": performance.sharpe(returns, periods_per_year),
        "sortino": performance.sortino(returns, periods_per_year),
        "best_day": float(returns.max(initial=-math.inf)) if len(returns) else math.nan,
        "worst_day": float(returns.min(initial=math.inf)) if len(returns) else math.nan,
        "winning_days": performance.hit_rate(returns),
        "gross_exposure": performance.mean_exposure(gross, equity),
        "net_exposure": performance.mean_exposure(net, equity),
    }
    depth = figures["max_drawdown"]
    return figures | {"calmar": figures["cagr"] / -depth if depth < 0.0 else math.nan}


_NEEDS_POSITIVE_EQUITY = (
    *("cagr", "volatility", "sharpe", "sortino", "calmar"),
    *("best_day", "worst_day", "winning_days", "gross_exposure", "net_exposure"),
)


def _by_day(tables: Tables, daily: NDArray[np.int64], initial_cash: float) -> Floats:
    """Equity at the end of each day, after the starting capital unless the first day ended with just that."""
    values: Floats = tables.equity["equity"].to_numpy()[daily]
    return values if not len(values) or values[0] == initial_cash else np.concatenate(([initial_cash], values))


def _trade_figures(tables: Tables, equity: Floats, periods_per_year: float) -> dict[str, float]:
    fills = tables.fills
    profits = realised_profits(fills)
    traded = traded_values(fills)
    measurable = len(equity) > 1 and equity.mean() > 0.0
    return {
        "closed_trades": len(profits),
        "hit_rate": performance.hit_rate(profits),
        "profit_factor": performance.profit_factor(profits),
        "realised_profit": float(profits.sum()),
        "traded_value": float(traded.sum()),
        "turnover": performance.turnover(traded, equity, periods_per_year) if measurable else math.nan,
        "commission": float(paid_commissions(fills).sum()),
    }


def _finite(figures: Mapping[str, float]) -> dict[str, JSON]:
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}
