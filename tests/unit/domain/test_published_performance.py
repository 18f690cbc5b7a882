"""Performance measures against figures that others published; each test says where they were read."""

import math
from itertools import pairwise

import pytest

from domain import performance
from domain.exact_sum import ExactSum
from domain.probabilistic_sharpe import estimate_sharpe

BACON_2008 = [
    *(0.003, 0.026, 0.011, -0.010, 0.015, 0.025, 0.016, 0.067, -0.014, 0.040, -0.005, 0.081),
    *(0.040, -0.037, -0.061, 0.017, -0.049, -0.022, 0.070, 0.058, -0.065, 0.024, -0.005, -0.009),
]
"""Bacon (2008), Practical Portfolio Performance Measurement and Attribution, 2nd edition, page 65: months of a
portfolio, as `portfolio_bacon` of R's PerformanceAnalytics has them."""
BACON_2023 = [
    *(0.003, 0.026, 0.011, -0.009, 0.014, 0.024, 0.015, 0.066, -0.014, 0.039, -0.005, 0.081),
    *(0.040, -0.037, -0.061, 0.014, -0.049, -0.021, 0.062, 0.058, -0.064, 0.017, -0.004, -0.002),
    *(-0.021, 0.011, 0.047, 0.024, 0.033, -0.007, 0.047, 0.006, 0.010, -0.002, 0.034, 0.010),
]
"""The months of the 3rd edition (2023)."""
BACON_2023_DRAWDOWNS = [
    *(0.0, 0.0, 0.0, -0.0090, 0.0, 0.0, 0.0, 0.0, -0.0140, 0.0, -0.0050, 0.0),
    *(0.0, -0.0370, -0.0957, -0.0831, -0.1280, -0.1463, -0.0934, -0.0408, -0.1022, -0.0869, -0.0906, -0.0924),
    *(-0.1115, -0.1017, -0.0595, -0.0369, -0.0051, -0.0121, 0.0, 0.0, 0.0, -0.0020, 0.0, 0.0),
]
"""Its distances from the peak."""


def test_simple_returns_of_the_manual_of_pandas():
    """`Series.pct_change`: 90, 91, 85 give 0.011111 and -0.065934, and over two periods -0.055556."""
    assert performance.simple_returns([90.0, 91.0, 85.0]).tolist() == pytest.approx([0.011111, -0.065934], abs=5e-7)
    assert performance.total_return([90.0, 91.0, 85.0]) == pytest.approx(-0.055556, abs=5e-7)


def test_volatility_of_the_question_of_pzacademy():
    """pzacademy.com, question 50785: closes of months, a deviation of 0.0942 and 32.6 % a year."""
    closes = [35.0, 38.0, 41.0, 37.0, 33.0, 32.0]
    steps = [math.log(after / before) for before, after in pairwise(closes)]
    assert performance.volatility(steps, 1) == pytest.approx(0.0942, abs=5e-5)
    assert performance.volatility(steps, 12) == pytest.approx(0.326, abs=5e-4)


def test_bacons_months():
    """Bacon (2008), pages 62 to 99, as the vignette PA-Bacon of PerformanceAnalytics and the tests of a program in
    JavaScript, PortfolioAnalytics, quote it.

    The mean is 0.9 %, the squared deviations sum to 0.035974, the cubes in percent to -114.99; kurtosis is 2.43,
    skewness over kurtosis -0.034; 45.8 % fall short of 0.5 % a month; gains are 1.78 of losses.
    """
    monthly = 0.009 / math.sqrt(0.035974 / 23)
    assert performance.volatility(BACON_2008, 12) == pytest.approx(math.sqrt(0.035974 / 23 * 12), rel=1e-4)
    assert performance.sharpe(BACON_2008, 12) == pytest.approx(monthly * math.sqrt(12), rel=1e-4)
    estimate = estimate_sharpe(BACON_2008)
    assert estimate.sharpe == pytest.approx(monthly, rel=1e-4)
    assert estimate.skewness == pytest.approx(-114.99 / 24 / (359.74 / 24) ** 1.5, rel=1e-3)
    assert estimate.kurtosis == pytest.approx(2.43, abs=5e-3)
    assert estimate.skewness / estimate.kurtosis == pytest.approx(-0.034, abs=5e-4)
    assert performance.hit_rate([month - 0.005 for month in BACON_2008]) == pytest.approx(1.0 - 0.458, abs=5e-4)
    assert performance.profit_factor(BACON_2008) == pytest.approx(1.78, abs=5e-3)


def test_bacons_drawdowns():
    """Bacon (2023), in the tests of a port of PerformanceAnalytics that quote his table: the deepest is 14.63 %, and
    seventeen months in a row are below the peak.
    """
    equity = [1.0]
    for month in BACON_2023:
        equity.append(equity[-1] * (1.0 + month))
    assert performance.drawdowns(equity)[1:].tolist() == pytest.approx(BACON_2023_DRAWDOWNS, abs=6e-5)
    assert performance.max_drawdown(equity) == pytest.approx(-0.1463, abs=6e-5)
    assert performance.longest_drawdown(equity) == 17


def test_growth_of_the_example_of_investopedia():
    """As reference.com quotes it: 10,000 become 19,500 in three years, 24.93 % a year."""
    assert performance.cagr([10_000.0, 13_000.0, 14_000.0, 19_500.0], 1) == pytest.approx(0.2493, abs=5e-5)


def test_growth_over_drawdown_of_a_glossary():
    """prop365.com, Calmar ratio: 15 % a year and a drawdown of 10 % are 1.5."""
    assert performance.calmar([100.0, 90.0, 115.0], periods_per_year=2) == pytest.approx(1.5)


def test_profits_at_average_cost_of_the_canadian_securities_course():
    """Chapter 24, disposition of shares: a gain of 358 after commissions of 17 and 25 dollars; and 200 at 6 and 100 at
    9, with commissions of 25 and 20, cost 7.15 each.
    """
    assert performance.closed_profits([100, -100], [6, 10], [17, 25]).tolist() == pytest.approx([358.0])
    assert performance.closed_profits([200, 100, -300], [6, 9, 7.15], [25, 20, 0]).tolist() == pytest.approx([0.0])


def test_sums_of_the_manual_of_python():
    """`math.fsum`: ten tenths are 1, where adding them one by one leaves 0.9999999999999999."""
    total = ExactSum()
    for _ in range(10):
        total.add(0.1)
    assert total.value == 1.0
