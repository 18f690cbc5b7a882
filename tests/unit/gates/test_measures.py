from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.tables import Tables
from gates.paper_session import like_its_backtest, long_enough
from gates.session_measures import fill_rate, filled_orders, latencies, pacing, relative, sharpe_of
from gates.session_plan import STEPPED, SessionPlan


def orders(*rows):
    columns = ("status", "quantity", "filled_quantity")
    return pa.table({name: [row[place] for row in rows] for place, name in enumerate(columns)})


def tables(equity):
    at = [datetime(2026, 1, 5, tzinfo=UTC) + timedelta(minutes=each) for each in range(len(equity))]
    nothing = pa.table({})
    return Tables(nothing, nothing, nothing, pa.table({"timestamp": at, "equity": equity}))


def test_the_fill_rate_is_of_units_that_the_gateway_had():
    found = orders(("FILLED", 10.0, 10.0), ("CANCELLED", 10.0, 5.0), ("REJECTED", 80.0, 0.0), ("FILLED", None, 20.0))
    assert fill_rate(found) == 35.0 / 40.0
    assert filled_orders(found) == 3
    assert fill_rate(orders()) == 0.0


@given(st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=50))
def test_quantiles_are_in_milliseconds_and_in_order(seconds):
    found = latencies({UUID(int=number): each for number, each in enumerate(seconds)})
    assert found.count == len(seconds)
    assert found.p50 <= found.p90 <= found.p99 <= found.largest
    assert found.largest == pytest.approx(max(seconds) * 1000, abs=1e-3)


def test_what_was_not_measured_never_passes_as_small():
    nothing = latencies({})
    assert nothing.count == 0
    assert relative(nothing.p50, 1.0) > 1e6
    assert relative(1.0, nothing.p50) > 1e6
    assert relative(1.4, 1.0) == pytest.approx(0.4)


def test_every_pacing_error_is_counted():
    assert pacing(Counter({100: 2, 162: 1, 2104: 5})) == 3


def test_the_sharpe_ratio_is_that_of_the_returns_from_slice_to_slice():
    equity = np.array([100.0, 101.0, 100.5, 102.0])
    returns = equity[1:] / equity[:-1] - 1
    assert sharpe_of(tables(equity)) == pytest.approx(
        returns.mean() / returns.std(ddof=1) * np.sqrt(252 * 390), rel=1e-6
    )


@pytest.mark.parametrize("equity", [[], [100.0], [100.0, 100.0, 100.0], [100.0, 0.0, 100.0], [100.0, -5.0, 100.0]])
def test_a_session_without_returns_that_vary_has_no_sharpe_ratio(equity):
    assert sharpe_of(tables(equity)) is None


@pytest.mark.parametrize(
    ("paper", "backtest", "passes", "told"),
    [
        (3.0, 6.0, True, "3.00, the backtest 6.00"),
        (2.99, 6.0, False, "2.99, the backtest 6.00"),
        (9.0, None, False, "9.00, the backtest none"),
        (None, 6.0, False, "none, the backtest 6.00"),
        (None, None, False, "none, the backtest none"),
        (-1.0, -6.0, False, "-1.00, the backtest -6.00"),
        (5.0, -6.0, False, "5.00, the backtest -6.00"),
        (0.0, 0.0, False, "0.00, the backtest 0.00"),
    ],
)
def test_a_session_is_held_against_a_backtest_that_gained(paper, backtest, passes, told):
    made = like_its_backtest(SessionPlan(), paper, backtest)
    assert (made.passed, made.found) == (passes, told)
    assert made.required == "at least 0.5 of the backtest's, which is above 0"


@pytest.mark.parametrize(
    ("plan", "seconds", "passes"),
    [
        (SessionPlan(), 6 * 3_600.0, True),
        (SessionPlan(), 6 * 3_600.0 - 1.0, False),
        (SessionPlan(seconds=36.0), 40.0, False),
        (SessionPlan(seconds=8 * 3_600.0), 7 * 3_600.0, False),
        (STEPPED, 16_200.0, True),
        (STEPPED, 16_140.0, False),
    ],
)
def test_a_session_that_was_cut_short_is_no_session(plan, seconds, passes):
    assert long_enough(plan, seconds).passed is passes
