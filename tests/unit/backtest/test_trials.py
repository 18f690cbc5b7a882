"""Trials become daily returns over the same days, beside what anybody gets who decides nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from backtest.trials import DailyCloses, TrialReturns, compare, equal_weight_returns, mean_returns, run_trial
from contracts.market import BarEvent
from data_plane.settings import DataSettings
from order_plane.settings import OrderSettings
from strategy_plane.settings import MovingAverageCrossSettings, StrategySettings

ROOT = Path(__file__).parents[3]


def days(first: str, count: int) -> np.ndarray:
    return np.datetime64(first, "D") + np.arange(count)


def test_trials_are_compared_on_common_days_since_the_first_investment():
    one = TrialReturns(days("2024-01-01", 5), np.array([0.0, 0.0, 0.1, 0.2, 0.3]))
    two = TrialReturns(days("2024-01-02", 5), np.array([0.0, 0.0, 0.4, 0.5, 0.6]))
    held = TrialReturns(days("2024-01-01", 6), np.arange(6.0))
    found = compare([one, two], held)
    assert found.days.tolist() == days("2024-01-03", 3).tolist()
    np.testing.assert_array_equal(found.returns, [[0.1, 0.0], [0.2, 0.4], [0.3, 0.5]])
    assert found.benchmark.tolist() == [2.0, 3.0, 4.0]
    assert compare([one, two]).benchmark.tolist() == [0.0, 0.0, 0.0]


def test_trials_that_never_traded_cannot_be_judged():
    idle = TrialReturns(days("2024-01-01", 3), np.zeros(3))
    with pytest.raises(ValueError, match="no trial ever held anything"):
        compare([idle, idle])


@pytest.fixture(scope="module")
def data() -> DataSettings:
    return DataSettings.model_validate(
        {
            "sources": [{"files": [str(ROOT / "fixtures" / "bars" / "*.parquet")]}],
            "actions_file": str(ROOT / "fixtures" / "bars" / "actions.csv"),
            "calendar": "XNYS",
            "symbols": ["AAPL", "IBM"],
            "start": "2010-01-04",
            "end": "2010-06-30",
        }
    )


def test_a_backtest_gives_one_return_for_each_day(data: DataSettings):
    strategy = StrategySettings(strategy=MovingAverageCrossSettings(fast=5, slow=20, units=100), initial_cash=100_000)
    order = OrderSettings.model_validate(
        {
            "calendar": "XNYS",
            "instruments": {"AAPL": {"lot_size": 1}, "IBM": {"lot_size": 1}},
            "limits": {"reference_max_age": timedelta(days=5)},
        }
    )
    found = run_trial(data, strategy, order).returns
    assert len(found.days) == len(found.returns) == 124
    assert not found.returns[:20].any()
    assert found.returns[20:].any()
    assert found.invested.tolist() == np.trim_zeros(found.returns, "f").tolist()
    again = run_trial(data, strategy, order).returns
    assert found.returns.tobytes() == again.returns.tobytes()


def test_holding_everything_is_the_mean_of_the_symbols(data: DataSettings):
    both = equal_weight_returns(data, lambda symbol: True)
    single = [equal_weight_returns(data, each.__eq__) for each in ("AAPL", "IBM")]
    assert both.days.tolist() == single[0].days.tolist()
    np.testing.assert_allclose(both.returns, (single[0].returns + single[1].returns) / 2, atol=1e-15)
    assert both.returns[0] == 0.0


def bar(symbol: str, day: int, close: float) -> BarEvent:
    prices = dict.fromkeys(("open", "high", "low", "close"), close)
    at = datetime(2024, 1, 1, 21, tzinfo=UTC) + timedelta(days=day)
    return BarEvent(symbol=symbol, timestamp=at, volume=1.0, bar_size="1d", **prices)


def test_a_halted_symbol_falls_in_the_benchmark_when_it_trades_again():
    closes = DailyCloses()
    for day, prices in enumerate(((100.0, 100.0), (100.0, None), (100.0, 50.0), (100.0, None))):
        for symbol, price in zip("AB", prices, strict=True):
            if price is not None:
                closes.take(bar(symbol, day, price))
    days, values = closes.table()
    np.testing.assert_allclose(mean_returns(values), [0.0, 0.0, -0.25, 0.0])
    assert len(days) == 4
