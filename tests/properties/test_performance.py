"""Laws that performance measures keep for every equity curve."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain import performance

CURVES = st.lists(st.floats(1.0, 1e6), min_size=3, max_size=60)
RETURNS = st.lists(st.floats(-0.5, 0.5).map(lambda r: round(r, 6)), min_size=3, max_size=60)
FILLS = st.lists(
    st.tuples(st.integers(-50, 50).filter(bool), st.integers(1, 500), st.integers(0, 5)), min_size=1, max_size=40
)


@given(CURVES, st.floats(0.01, 1000.0))
def test_the_currency_unit_changes_nothing(equity, scale):
    scaled = [value * scale for value in equity]
    assert performance.max_drawdown(scaled) == pytest.approx(performance.max_drawdown(equity), abs=1e-12)
    assert performance.total_return(scaled) == pytest.approx(performance.total_return(equity))
    assert performance.simple_returns(scaled) == pytest.approx(performance.simple_returns(equity), rel=1e-6, abs=1e-9)


@given(CURVES)
def test_drawdowns_lie_between_total_loss_and_zero_and_vanish_at_each_new_high(equity):
    depths = performance.drawdowns(equity)
    assert np.all((depths > -1.0) & (depths <= 0.0))
    highs = np.maximum.accumulate(equity)
    assert np.array_equal(depths == 0.0, np.asarray(equity) == highs)
    assert performance.max_drawdown(equity) <= min(0.0, performance.total_return(equity)) + 1e-12


@given(CURVES, st.floats(1.0, 1e6))
def test_more_starting_capital_never_makes_a_drawdown_shallower(equity, capital):
    assert performance.max_drawdown(equity, capital) <= performance.max_drawdown(equity)


@given(RETURNS, st.floats(0.1, 10.0))
def test_leverage_scales_volatility_and_leaves_sharpe_and_sortino(returns, leverage):
    assume(np.ptp(returns) > 1e-4)
    levered = [leverage * r for r in returns]
    assert performance.volatility(levered) == pytest.approx(leverage * performance.volatility(returns))
    assert performance.sharpe(levered) == pytest.approx(performance.sharpe(returns), rel=1e-6, abs=1e-9)
    assert performance.sortino(levered) == pytest.approx(performance.sortino(returns), rel=1e-6, abs=1e-9, nan_ok=True)


@given(RETURNS)
def test_mirrored_returns_mirror_the_sharpe_ratio(returns):
    assume(np.ptp(returns) > 1e-4)
    assert performance.sharpe([-r for r in returns]) == pytest.approx(-performance.sharpe(returns))


@given(RETURNS, st.integers(1, 366))
def test_annualisation_is_the_square_root_of_time(returns, periods):
    assume(np.ptp(returns) > 1e-4)
    assert performance.sharpe(returns, periods) == pytest.approx(performance.sharpe(returns, 1) * periods**0.5)


@given(RETURNS, st.randoms(use_true_random=False))
def test_the_order_of_returns_does_not_matter_to_ratios(returns, random):
    assume(np.ptp(returns) > 1e-4)
    shuffled = random.sample(returns, len(returns))
    assert performance.sharpe(shuffled) == pytest.approx(performance.sharpe(returns), rel=1e-9, abs=1e-9)


@given(FILLS)
def test_realised_profits_are_the_cash_left_after_closing_everything(fills):
    units, prices, commissions = (list(column) for column in zip(*fills, strict=True))
    held = sum(units)
    if held:
        units, prices, commissions = [*units, -held], [*prices, 100], [*commissions, 1]
    cash = sum(-u * p - c for u, p, c in zip(units, prices, commissions, strict=True))
    profits = performance.closed_profits(units, prices, commissions)
    assert profits.sum() == pytest.approx(cash, abs=1e-6)


@given(FILLS)
def test_buying_and_selling_swapped_without_costs_swaps_gains_and_losses(fills):
    units, prices, _ = (list(column) for column in zip(*fills, strict=True))
    free = [0.0] * len(units)
    there = performance.closed_profits(units, prices, free)
    back = performance.closed_profits([-u for u in units], prices, free)
    assert there == pytest.approx(-back, abs=1e-6)
