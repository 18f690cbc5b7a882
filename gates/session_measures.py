"""The figures of a session, from its tables and its clock."""

from collections import Counter
from collections.abc import Mapping
from math import isfinite
from uuid import UUID

import numpy as np
import pyarrow as pa

from backtest.tables import Tables
from domain.performance import TRADING_DAYS, sharpe, simple_returns
from gates.artifact import Measured
from gates.session_plan import PACING_CODES

MINUTES_A_DAY = 390
_UNMEASURED = -1.0
"""Stands for a figure that there is not: JSON has no not-a-number."""


def latencies(seconds: Mapping[UUID, float]) -> Measured:
    """Quantiles in milliseconds; all are -1 without any."""
    if not seconds:
        return Measured(count=0, p50=_UNMEASURED, p90=_UNMEASURED, p99=_UNMEASURED, largest=_UNMEASURED)
    milliseconds = np.asarray(list(seconds.values())) * 1000.0
    p50, p90, p99 = np.percentile(milliseconds, (50, 90, 99))
    return Measured(
        count=len(milliseconds),
        p50=round(float(p50), 4),
        p90=round(float(p90), 4),
        p99=round(float(p99), 4),
        largest=round(float(milliseconds.max()), 4),
    )


def relative(own: float, mock: float) -> float:
    """How much ``own`` is above ``mock``, as a fraction of it; beyond any limit when one was not measured."""
    return own / mock - 1.0 if own > 0.0 and mock > 0.0 else 1e9


def fill_rate(orders: pa.Table) -> float:
    """Units that traded over units of orders that the gateway had; 0 when there were none."""
    columns = ("status", "quantity", "filled_quantity")
    sent = [row for row in orders.select(columns).to_pylist() if row["status"] != "REJECTED"]
    # The order plane's own orders, which close positions, bear no wish of a strategy: they count with what they traded.
    wanted = sum(row["filled_quantity"] if row["quantity"] is None else row["quantity"] for row in sent)
    return sum(row["filled_quantity"] for row in sent) / wanted if wanted else 0.0


def filled_orders(orders: pa.Table) -> int:
    """Orders that traded at all."""
    return sum(filled > 0.0 for filled in orders.column("filled_quantity").to_pylist())


def pacing(heard: Counter[int]) -> int:
    """Errors of the gateway about too many requests."""
    return sum(heard[code] for code in PACING_CODES)


def sharpe_of(tables: Tables) -> float | None:
    """Annualised Sharpe ratio of the returns from slice to slice, taken as minutes; None when there is none."""
    equity = tables.equity.column("equity").to_numpy()
    if not (equity > 0.0).all():
        return None
    found = sharpe(simple_returns(equity), TRADING_DAYS * MINUTES_A_DAY)
    return round(found, 6) if isfinite(found) else None
