"""Performance measures against published figures and formulas written independently."""

import math
import statistics
from itertools import pairwise

import numpy as np
import pytest

from domain import performance


@pytest.fixture(scope="module")
def equity():
    returns = np.random.default_rng(11).normal(0.0006, 0.011, 500)
    return (100.0 * np.cumprod(1.0 + returns)).tolist()


@pytest.fixture(scope="module")
def returns(equity):
    return [after / before - 1 for before, after in pairwise(equity)]


def test_sortino_of_the_published_example():
    """Rollinger and Hoffman (2013), Sortino: a sharper ratio: annual returns, minimum 0 %, ratio 4.417."""
    annual = [0.17, 0.15, 0.23, -0.05, 0.12, 0.09, 0.13, -0.04]
    assert performance.sortino(annual, periods_per_year=1) == pytest.approx(4.417, abs=5e-4)


def test_returns_are_simple(equity, returns):
    assert performance.simple_returns(equity).tolist() == pytest.approx(returns)


def test_sharpe_and_volatility_against_the_statistics_module(returns):
    deviation = statistics.stdev(returns)
    assert performance.volatility(returns) == pytest.approx(deviation * math.sqrt(252))
    assert performance.sharpe(returns) == pytest.approx(statistics.fmean(returns) / deviation * math.sqrt(252))
    excess = statistics.fmean(returns) - 0.0001
    assert performance.sharpe(returns, 365, 0.0001) == pytest.approx(excess / deviation * math.sqrt(365))


def test_sortino_divides_by_all_observations(returns):
    shortfall = math.fsum(min(r - 0.0002, 0.0) ** 2 for r in returns) / len(returns)
    expected = (statistics.fmean(returns) - 0.0002) / math.sqrt(shortfall) * math.sqrt(252)
    assert performance.sortino(returns, minimum=0.0002) == pytest.approx(expected)


def test_growth_compounds_to_the_total_return():
    assert performance.cagr([100.0, 105.0, 121.0], periods_per_year=1) == pytest.approx(0.1)
    assert performance.total_return([100.0, 50.0, 121.0]) == pytest.approx(0.21)


def test_drawdown_by_the_slow_definition(equity):
    slow = [value / max(equity[: i + 1]) - 1 for i, value in enumerate(equity)]
    assert performance.drawdowns(equity).tolist() == pytest.approx(slow)
    assert performance.max_drawdown(equity) == pytest.approx(min(slow))
    assert performance.calmar(equity) == pytest.approx(performance.cagr(equity) / -min(slow))


def test_drawdown_of_a_hand_made_curve():
    assert performance.drawdowns([100.0, 80.0, 120.0, 90.0]).tolist() == pytest.approx([0.0, -0.2, 0.0, -0.25])
    assert performance.max_drawdown([80.0, 90.0], starting_capital=100.0) == pytest.approx(-0.2)
    assert performance.longest_drawdown([100.0, 80.0, 101.0, 90.0, 95.0, 99.0]) == 3
    assert performance.longest_drawdown([1.0, 2.0, 3.0]) == 0


def test_trades_at_average_cost_with_commissions_on_both_sides():
    profits = performance.closed_profits([10, 10, -5, -15], [100, 110, 120, 90], [2, 2, 1, 3])
    # Cost of 20 units: 1,000 + 1,100 + 4 = 2,104, so 105.2 each.
    assert profits.tolist() == pytest.approx([5 * 120 - 5 * 105.2 - 1, 15 * 90 - 15 * 105.2 - 3])


def test_a_fill_that_turns_the_position_over_closes_one_part_and_opens_another():
    profits = performance.closed_profits([10, -30, 20], [100, 110, 105], [0, 3, 0])
    # A third of the 3 belongs to the 10 units closed, the rest lowers the proceeds of the 20 sold short.
    assert profits.tolist() == pytest.approx([100 - 1, 20 * 5 - 2])


def test_a_short_that_falls_is_a_gain():
    assert performance.closed_profits([-4, 4], [50, 40], [0, 0]).tolist() == pytest.approx([40.0])


def test_rounding_of_fractions_opens_no_trade():
    assert len(performance.closed_profits([0.1, 0.2, -0.3, 0.5], [1, 1, 1, 1], [0, 0, 0, 0])) == 1


def test_hit_rate_and_profit_factor_leave_out_what_is_neither_gain_nor_loss():
    assert performance.hit_rate([5.0, -1.0, 0.0, 2.0]) == pytest.approx(2 / 3)
    assert performance.profit_factor([5.0, -2.0, 0.0, 2.0]) == pytest.approx(3.5)


def test_turnover_counts_both_sides_over_mean_equity_per_year():
    assert performance.turnover([500.0, 300.0], [90.0, 100.0, 110.0], periods_per_year=4) == pytest.approx(16.0)


def test_exposure_is_the_mean_of_ratios():
    assert performance.mean_exposure([50.0, 150.0], [100.0, 100.0]) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="one entry per point"):
        performance.mean_exposure([1.0], [1.0, 2.0])


@pytest.mark.parametrize(
    "undefined",
    [
        lambda: performance.sharpe([0.01, 0.01, 0.01]),
        lambda: performance.sharpe([0.01]),
        lambda: performance.volatility([0.01]),
        lambda: performance.sortino([0.01, 0.0]),
        lambda: performance.sortino([]),
        lambda: performance.cagr([100.0]),
        lambda: performance.calmar([100.0, 101.0]),
        lambda: performance.max_drawdown([]),
        lambda: performance.total_return([]),
        lambda: performance.hit_rate([0.0]),
        lambda: performance.profit_factor([1.0]),
        lambda: performance.turnover([1.0], [100.0]),
        lambda: performance.mean_exposure([], []),
    ],
)
def test_what_cannot_be_measured_is_nan(undefined):
    assert math.isnan(undefined())


def test_no_spread_means_no_volatility():
    assert performance.volatility([0.001] * 7) == 0.0


@pytest.mark.parametrize(
    "measure", [performance.simple_returns, performance.sharpe, performance.max_drawdown, performance.hit_rate]
)
@pytest.mark.parametrize("bad", [[1.0, math.nan], [math.inf, 1.0], [[1.0, 2.0]]])
def test_holes_and_tables_are_refused(measure, bad):
    with pytest.raises(ValueError, match=r"finite|one dimension"):
        measure(bad)


@pytest.mark.parametrize("equity", [[100.0, 0.0], [-1.0, 1.0]])
def test_a_return_needs_a_positive_base(equity):
    with pytest.raises(ValueError, match="above zero"):
        performance.simple_returns(equity)


@pytest.mark.parametrize("measure", [performance.total_return, performance.max_drawdown])
def test_a_curve_needs_capital_to_start_with(measure):
    with pytest.raises(ValueError, match="above zero"):
        measure([0.0, 1.0])


def test_a_profit_is_converted_at_the_rate_at_which_it_was_made():
    local = performance.closed_profits([10, -5, -5], [100, 110, 120], [2, 1, 3])
    found = performance.closed_profits([10, -5, -5], [100, 110, 120], [2, 1, 3], [0.5, 0.25, 2.0])
    assert found.tolist() == pytest.approx([local[0] * 0.25, local[1] * 2.0])
