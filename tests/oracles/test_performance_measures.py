"""Measures of performance against empyrical, average ranges and relative strength against TA-Lib."""

import numpy as np
import pytest

from domain import performance
from domain.probabilistic_sharpe import probabilistic_sharpe_of_equity
from strategy_plane.signals.price_measures import relative_strength_index
from strategy_plane.sizing import average_true_range

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def returns() -> np.ndarray:
    return np.random.default_rng(11).standard_t(5, 500) * 0.01 + 0.0006


@pytest.fixture(scope="module")
def equity(returns: np.ndarray) -> np.ndarray:
    return 100.0 * np.concatenate(([1.0], np.cumprod(1.0 + returns)))


def test_ratios_and_drawdown_are_those_of_empyrical(oracle, returns: np.ndarray, equity: np.ndarray):
    theirs = oracle("empyrical")
    pd = oracle("pandas")
    series = pd.Series(returns)
    assert performance.sharpe(returns, risk_free=1e-4) == pytest.approx(theirs.sharpe_ratio(series, risk_free=1e-4))
    assert performance.sortino(returns, minimum=2e-4) == pytest.approx(
        theirs.sortino_ratio(series, required_return=2e-4)
    )
    assert performance.volatility(returns) == pytest.approx(theirs.annual_volatility(series))
    assert performance.cagr(equity) == pytest.approx(theirs.annual_return(series))
    assert performance.max_drawdown(equity) == pytest.approx(theirs.max_drawdown(series))
    assert performance.calmar(equity) == pytest.approx(theirs.calmar_ratio(series))


def test_returns_and_every_drawdown_are_those_of_empyrical_and_skfolio(oracle, returns: np.ndarray, equity: np.ndarray):
    theirs, pd = oracle("empyrical"), oracle("pandas")
    assert performance.simple_returns(equity).tolist() == theirs.simple_returns(pd.Series(equity)).tolist()
    assert performance.total_return(equity) == pytest.approx(theirs.cum_returns_final(pd.Series(returns)))
    depths = oracle("skfolio.measures").get_drawdowns(returns, compounded=True)
    assert performance.drawdowns(equity)[1:].tolist() == pytest.approx(depths.tolist())


def test_a_kill_switch_watches_the_probability_of_skfolio(oracle, returns: np.ndarray, equity: np.ndarray):
    expected = oracle("skfolio.measures").probabilistic_sharpe_ratio(returns, benchmark_sharpe_ratio=0.02)
    assert probabilistic_sharpe_of_equity(equity, benchmark=0.02) == pytest.approx(float(expected))


def bars() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(4)
    close = 100.0 * np.exp(np.cumsum(generator.normal(0.0, 0.02, 300)))
    return close + generator.uniform(0.1, 3.0, 300), close - generator.uniform(0.1, 3.0, 300), close


@pytest.mark.parametrize("window", [2, 14, 30])
def test_average_true_range_is_that_of_ta_lib(oracle, window: int):
    high, low, close = bars()
    found = [average_true_range(high[:end], low[:end], close[:end], window) for end in range(1, 301)]
    assert found == pytest.approx(oracle("talib").ATR(high, low, close, window), nan_ok=True)


@pytest.mark.parametrize("length", [2, 14])
def test_relative_strength_is_that_of_ta_lib(oracle, length: int):
    close = bars()[2]
    expected = oracle("talib").RSI(close, length)
    found = [float(relative_strength_index(close[:end, None], length)[0]) for end in range(length + 1, 301)]
    assert found == pytest.approx(expected[length:])
