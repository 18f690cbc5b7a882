"""Measures of past closes against TA-Lib and wickra: momentum, reversal, moving averages, trend, volatility, betas."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from contracts.market import BarEvent
from strategy_plane.history import AsOfView, History
from strategy_plane.regime.features import market_features
from strategy_plane.signals.price_measures import average_distance, reversal, trend_strength
from strategy_plane.signals.technical import Momentum, MovingAveragePair, Standardisation
from strategy_plane.signals.volatility_premium import betas
from strategy_plane.sizing import ewma_volatility

pytestmark = pytest.mark.filterwarnings("ignore")
START = datetime(2024, 1, 1, 21, tzinfo=UTC)
COUNT = 260


@pytest.fixture(params=[1, 2])
def closes(request: pytest.FixtureRequest) -> np.ndarray:
    generator = np.random.default_rng(request.param)
    common = generator.normal(0.0004, 0.01, (COUNT, 1))
    return 100.0 * np.exp(np.cumsum(common + generator.normal(0.0, 0.015, (COUNT, 5)), axis=0))


def view_of(closes: np.ndarray) -> AsOfView:
    history = History(COUNT)
    for number, row in enumerate(closes.tolist()):
        for symbol, close in zip("ABCDE", row, strict=True):
            prices = dict.fromkeys(("open", "high", "low", "close"), close)
            at = START + timedelta(days=number)
            history.append(BarEvent(symbol=symbol, timestamp=at, volume=1.0, bar_size="1d", **prices))
    return history.as_of(START + timedelta(days=COUNT - 1))


def test_momentum_is_the_rate_of_change_of_ta_lib(oracle, closes: np.ndarray):
    """From 252 bars ago to 21 bars ago: a rate of 231 bars, as it was 21 bars ago."""
    rates = np.array([oracle("talib").ROCP(column, 231)[-22] for column in closes.T])
    ranked = Momentum(252, 21)(view_of(closes))
    assert list(ranked.values()) == pytest.approx(stats.zscore(rates).tolist())
    own = Momentum(252, 21, Standardisation.OWN_VOLATILITY, limit=99.0)(view_of(closes))
    spreads = [oracle("talib").STDDEV(oracle("talib").ROCP(column, 1), 231)[-22] for column in closes.T]
    spreads = np.array(spreads) * np.sqrt(231 / 230 * 231)  # theirs divides by the count
    assert list(own.values()) == pytest.approx((rates / spreads).tolist())


def test_reversal_and_distance_are_those_of_ta_lib(oracle, closes: np.ndarray):
    talib = oracle("talib")
    rates = [-talib.ROCP(column, 5)[-1] for column in closes.T]
    assert reversal(closes, 5).tolist() == pytest.approx(rates)
    ratios = [talib.SMA(column, 21)[-1] / talib.SMA(column, 200)[-1] - 1.0 for column in closes.T]
    assert average_distance(closes, 21, 200).tolist() == pytest.approx(ratios)


def test_a_cross_of_averages_is_that_of_ta_lib(oracle, closes: np.ndarray):
    talib = oracle("talib")
    for column in closes.T:
        above = talib.SMA(column, 10) > talib.SMA(column, 30)
        pair = MovingAveragePair(10, 30)
        found = [pair.push(price) for price in column.tolist()]
        assert found == [None] * 29 + above[29:].tolist()


def test_trend_is_the_slope_of_ta_lib_over_its_error(oracle, closes: np.ndarray):
    """t = r sqrt((n - 2) / (1 - r²)) with r the correlation with time."""
    talib, count = oracle("talib"), 126
    logs, time = np.log(closes[-count:]), np.arange(float(count))
    slopes = [talib.LINEARREG_SLOPE(column, count)[-1] for column in logs.T]
    correlations = np.array([talib.CORREL(time, column, count)[-1] for column in logs.T])
    expected = correlations * np.sqrt((count - 2) / (1.0 - correlations**2))
    found = trend_strength(closes[-count:])
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-6)
    assert np.sign(found).tolist() == np.sign(slopes).tolist()


def test_betas_are_those_of_empyrical(oracle, closes: np.ndarray):
    pd = oracle("pandas")
    steps = pd.DataFrame(closes).pct_change().dropna()
    expected = [oracle("empyrical").beta(steps[column], steps.mean(axis=1)) for column in steps]
    assert betas(closes).tolist() == pytest.approx(expected)


def test_market_features_are_those_of_empyrical(oracle, closes: np.ndarray):
    """The deepest drawdown is where the market stands when the sample ends there."""
    pd, theirs = oracle("pandas"), oracle("empyrical")
    steps = pd.DataFrame(closes).pct_change().dropna()
    market = steps.mean(axis=1)
    ends = [market_features(closes[: end + 1], 21, 63, 252.0) for end in range(100, COUNT)]
    volatilities = [theirs.annual_volatility(market.iloc[end - 21 : end]) for end in range(100, COUNT)]
    assert [np.exp(found[0]) for found in ends] == pytest.approx(volatilities)
    falls = [found[1] for found in ends]
    deepest = theirs.max_drawdown(market)
    assert min(falls) == pytest.approx(deepest) or theirs.max_drawdown(market.iloc[:99]) == pytest.approx(deepest)
    pairs = steps.tail(63).corr().to_numpy()[np.triu_indices(5, 1)]
    assert ends[-1][2] == pytest.approx(pairs.mean())


def test_weighted_volatility_is_that_of_wickra(oracle, closes: np.ndarray):
    """Theirs keeps lambda of the variance at each step and begins with the first square, ours weighs all by age: far
    from the beginning they agree. In percent.
    """
    fade = 0.94
    theirs = list(oracle("wickra").EwmaVolatility(fade).batch(closes[:, 0].tolist()))[-1]
    logs = np.diff(np.log(closes[:, 0]))
    assert ewma_volatility(logs, np.log(0.5) / np.log(fade), 1.0) == pytest.approx(theirs, rel=1e-4)
