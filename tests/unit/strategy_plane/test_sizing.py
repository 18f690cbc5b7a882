"""Lots, buffers, currencies, ranges and volatility turn wishes into units."""

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction

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


HEATING_OIL = """
0.7220 0.7124 0.7124, 0.7170 0.7073 0.7073, 0.7099 0.6923 0.6923, 0.6930 0.6800 0.6838, 0.6960 0.6736 0.6736,
0.6820 0.6706 0.6706, 0.6820 0.6710 0.6710, 0.6795 0.6720 0.6744, 0.6760 0.6550 0.6616, 0.6650 0.6585 0.6627,
0.6701 0.6620 0.6701, 0.6965 0.6750 0.6965, 0.7065 0.6944 0.6944, 0.7115 0.6944 0.7087, 0.7168 0.7100 0.7124,
0.7265 0.7120 0.7265, 0.7265 0.7098 0.7098, 0.7184 0.7110 0.7184, 0.7280 0.7200 0.7228, 0.7375 0.7227 0.7359,
0.7447 0.7310 0.7389, 0.7420 0.7140 0.7162
"""
"""High, low and close of March 2003 heating oil, 1 November to 4 December 2002."""


def test_the_published_size_of_a_turtle_unit():
    """Faith (2007), Way of the Turtle, appendix: N goes from 0.0134 to 0.0141 over 21 days, and 1 % of a million
    dollars is 16.88 contracts of 42,000 gallons, of which 16 are traded.
    """
    rows = np.array([[float(value) for value in day.split()] for day in HEATING_OIL.replace("\n", " ").split(",")])
    # The average starts from a published value, so the 20 days behind it are put before the table as a constant range.
    first = 0.0134
    flat = np.full((21, 3), 0.7124) + np.outer(np.ones(21), [first, 0.0, 0.0])
    flat[-1] = [0.7124 + first, 0.7124, 0.7124]
    high, low, close = np.vstack([flat, rows[1:]]).T
    found = average_true_range(high, low, close, window=20)
    assert found == pytest.approx(0.0141, abs=6e-5)
    units = units_at_risk(1_000_000.0, 0.01, 0.0141 * 42_000, multiple=1.0)
    assert units == pytest.approx(16.88, abs=0.01)
    assert whole_lots(units, 1.0) == 16.0


@pytest.mark.parametrize("lot", ["1", "0.001", "0.25", "100", "0.1", "7"])
def test_lots_are_those_of_exact_arithmetic(lot: str):
    """Against fractions: the largest whole number of lots that is no more, or a billionth more."""
    generator, exact = np.random.default_rng(5), Fraction(lot)
    for units in [*generator.uniform(-5000.0, 5000.0, 400).tolist(), *(n * float(lot) for n in range(-300, 300))]:
        lots = abs(Fraction(units)) / exact
        near = round(lots)
        whole = near if abs(lots - near) < Fraction(1, 10**9) else math.floor(lots)
        found = whole_lots(units, float(lot))
        assert round(found / float(lot)) == math.copysign(whole, units)
        assert abs(found) <= abs(units) + 2e-9 * float(lot)


def test_sizes_in_another_currency_spend_what_the_weights_say():
    """Brute force: of all numbers of lots, none that is affordable within the weight is larger."""
    generator = np.random.default_rng(6)
    for _ in range(200):
        weight, equity, price, rate = generator.uniform([0.01, 1e3, 1.0, 1e-4], [1.0, 1e5, 500.0, 2.0]).tolist()
        budget = invested({"A": weight}, 0.02)["A"] * equity
        found = whole_lots(units_of(invested({"A": weight}, 0.02)["A"], equity, price * rate), 10.0)
        affordable = [lots * 10.0 for lots in range(2_000) if lots * 10.0 * price * rate <= budget]
        if affordable[-1] < 19_990.0:
            assert found == affordable[-1]


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
