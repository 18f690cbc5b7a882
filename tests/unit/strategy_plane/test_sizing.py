"""Lots, buffers, currencies, ranges and volatility turn wishes into units."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from contracts.market import BarEvent, SliceEvent
from strategy_plane.engines.adjusted import Adjusted
from strategy_plane.engines.book import Book
from strategy_plane.engines.volatility_target import VolatilityTarget
from strategy_plane.sizing import (
    average_true_range,
    ewma_volatility,
    invested,
    units_at_risk,
    units_of,
    volatility_scale,
    whole_lots,
)
from strategy_plane.strategies.port import Basis, Portfolio, Targets

START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lot", "buffer", "rate", "units"),
    [
        (1.0, 0.0, 1.0, 33.0),
        (10.0, 0.0, 1.0, 30.0),
        (0.001, 0.0, 1.0, 33.333),
        (1.0, 0.1, 1.0, 30.0),
        (1.0, 0.0, 0.5, 66.0),
    ],
)
def test_lots_buffer_and_currency(lot: float, buffer: float, rate: float, units: float):
    weights = invested({"A": 0.5, "B": -0.5}, buffer)
    sized = {symbol: whole_lots(units_of(each, 20_000.0, 300.0 * rate), lot) for symbol, each in weights.items()}
    assert sized == pytest.approx({"A": units, "B": -units})


def test_sizes_that_make_no_sense_are_refused():
    for buffer in (1.0, -0.1):
        with pytest.raises(ValueError, match="cash_buffer"):
            invested({"A": 1.0}, buffer)
    with pytest.raises(ValueError, match="worth"):
        units_of(0.5, 1000.0, 0.0)


def test_ewma_volatility_agrees_with_pandas():
    pd = pytest.importorskip("pandas")
    returns = np.random.default_rng(0).normal(0.0, 0.01, 80)
    expected = math.sqrt(pd.Series(returns**2).ewm(halflife=12.0).mean().iloc[-1] * 252.0)
    assert ewma_volatility(returns, 12.0) == pytest.approx(expected)
    assert math.isnan(ewma_volatility([], 5.0))
    with pytest.raises(ValueError, match="half_life"):
        ewma_volatility(returns, 0.0)


def test_average_true_range_is_seeded_with_the_plain_mean():
    high, low, close = [10.0, 12.0, 11.0, 15.0], [9.0, 10.0, 8.0, 13.0], [9.5, 11.0, 10.0, 14.0]
    # True ranges: 12 - 9.5 = 2.5, 11 - 8 = 3, 15 - 10 = 5.
    assert average_true_range(high, low, close, window=2) == pytest.approx(((2.5 + 3.0) / 2 + 5.0) / 2)
    assert average_true_range(high, low, close, window=3) == pytest.approx(3.5)
    assert math.isnan(average_true_range(high, low, close, window=4))
    with pytest.raises(ValueError, match="one entry per bar"):
        average_true_range(high, low, close[:-1])


def test_a_move_of_the_stop_costs_the_risk():
    units = units_at_risk(100_000.0, 0.01, 2.5, multiple=2.0)
    assert units * 2.0 * 2.5 == pytest.approx(1_000.0)
    with pytest.raises(ValueError, match="true_range"):
        units_at_risk(100_000.0, 0.01, 0.0)


def test_scaling_up_stops_at_the_largest():
    assert volatility_scale(0.1, 0.2) == 0.5
    assert volatility_scale(0.1, 0.02, largest=1.5) == 1.5
    with pytest.raises(ValueError, match="expected"):
        volatility_scale(0.1, 0.0)


class Fixed:
    warm_up, period = 2, 3

    def __init__(self, targets: Targets | None) -> None:
        self.targets, self.bars = targets, 0

    def on_bar(self, bar: BarEvent) -> None:
        self.bars += 1

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        return self.targets


def held(targets: Targets | None, days: int = 31, **options: float) -> Targets | None:
    inner = Fixed(targets)
    strategy = Adjusted(inner, VolatilityTarget(0.1, window=30, half_life=10.0, **options))
    assert (strategy.warm_up, strategy.period) == (31, 3)
    prices = 100.0 * np.cumprod(1.0 + np.random.default_rng(3).normal(0.0, 0.02, (31, 2)), axis=0)
    for day in range(days):
        for symbol, close in zip("AB", prices[day].tolist(), strict=True):
            strategy.on_bar(
                BarEvent(
                    symbol=symbol,
                    timestamp=START + timedelta(days=day),
                    open=close,
                    high=close,
                    low=close,
                    close=close,
                    volume=0.0,
                    bar_size="1d",
                )
            )
    assert inner.bars == 2 * days
    moment = SliceEvent(timestamp=START + timedelta(days=30), bar_size="1d", symbols=("A", "B"))
    return strategy.decide(moment, Book(1000.0))


def test_weights_are_scaled_to_the_volatility_they_would_have_had():
    prices = 100.0 * np.cumprod(1.0 + np.random.default_rng(3).normal(0.0, 0.02, (31, 2)), axis=0)
    past = (prices[1:] / prices[:-1] - 1.0) @ np.array([0.6, 0.4])
    scale = 0.1 / ewma_volatility(past, 10.0)
    found = held(Targets({"A": 0.6, "B": 0.4}))
    assert found.values == pytest.approx({"A": 0.6 * scale, "B": 0.4 * scale})
    small = Targets({"A": 0.06, "B": 0.04})
    assert held(small).values == small.values
    assert held(small, largest=2.0).values == pytest.approx({"A": 0.12, "B": 0.08})


@pytest.mark.parametrize("targets", [None, Targets({"A": 5.0}, Basis.UNITS), Targets({"A": 0.0})])
def test_what_has_no_weights_passes_unchanged(targets: Targets | None):
    assert held(targets) is targets


def test_without_bars_nothing_is_traded_and_it_is_said():
    found = held(Targets({"A": 0.6}), days=1)
    assert found.values == {}
    assert found.alarm.code == "VOLATILITY_UNKNOWN"


def test_what_cannot_wait_is_not_adjusted_again():
    inner, cut = Fixed(None), Targets({"A": 0.9})
    moment = SliceEvent(timestamp=START, bar_size="1d", symbols=("A",))
    strategy = Adjusted(inner, VolatilityTarget(0.1, window=30, half_life=10.0))
    assert strategy.at_once(moment, Book(1000.0)) is None
    inner.at_once = lambda moment, portfolio: cut  # type: ignore[attr-defined]
    assert strategy.at_once(moment, Book(1000.0)) is cut
