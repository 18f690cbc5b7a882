"""Momentum agrees with pandas and moving averages with numpy, to the bit where that is promised."""

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from contracts.market import BarEvent
from strategy_plane.history import AsOfView, History
from strategy_plane.market import MarketView
from strategy_plane.signals.technical import Component, Momentum, MovingAveragePair, Standardisation, Technical
from strategy_plane.tables import FactStore, FlowStore

START = datetime(2024, 1, 1, tzinfo=UTC)


def view_of(frame: pd.DataFrame) -> AsOfView:
    history = History(300)
    for day, row in enumerate(frame.itertuples(index=False)):
        for symbol, close in zip(frame.columns, row, strict=True):
            if not math.isnan(close):
                moment = START + timedelta(days=day)
                history.append(
                    BarEvent(
                        symbol=symbol, timestamp=moment, open=close, high=close, low=close, close=close, volume=0.0
                    )
                )
    return history.as_of(START + timedelta(days=len(frame) - 1))


@pytest.fixture
def prices() -> pd.DataFrame:
    steps = np.random.default_rng(7).normal(0.0005, 0.02, (300, 5))
    return pd.DataFrame(100.0 * np.exp(np.cumsum(steps, axis=0)), columns=list("ABCDE"))


def test_cross_sectional_momentum_agrees_with_pandas(prices: pd.DataFrame):
    past = prices.shift(21) / prices.shift(252) - 1.0
    expected = past.sub(past.mean(axis=1), axis=0).div(past.std(axis=1, ddof=0), axis=0).iloc[-1]
    scores = Momentum(252, 21)(view_of(prices))
    assert scores == pytest.approx(expected.to_dict(), rel=1e-12)


def test_time_series_momentum_agrees_with_pandas(prices: pd.DataFrame):
    window = prices.iloc[-61:-5]
    daily = window.pct_change().dropna()
    expected = (window.iloc[-1] / window.iloc[0] - 1.0) / (daily.std() * math.sqrt(len(daily)))
    scores = Momentum(60, 5, Standardisation.OWN_VOLATILITY)(view_of(prices))
    assert scores == pytest.approx(expected.to_dict(), rel=1e-12)


@pytest.mark.parametrize("day", [299 - 252, 299 - 252 + 40, 299 - 21, 299 - 1])
def test_one_missing_bar_takes_no_symbol_out_of_any_measure(prices: pd.DataFrame, day: int):
    whole = view_of(prices)
    prices.loc[day, "C"] = np.nan
    holed, technical = view_of(prices), Technical()
    for part in set(Component) - {Component.MEAN_REVERSION}:  # five steps have no bar to spare
        scores, before = technical.component(part, holed), technical.component(part, whole)
        assert scores.keys() == before.keys() == set("ABCDE"), part
        assert max(abs(scores[symbol] - before[symbol]) for symbol in before) < 0.25, part


def test_a_symbol_without_a_bar_now_is_not_compared(prices: pd.DataFrame):
    prices.loc[299, "C"] = np.nan
    assert set(Technical()(MarketView(view_of(prices), FactStore().as_of(START), FlowStore().as_of(START)))) == set(
        "ABDE"
    )


def test_scores_are_cut_at_the_limit(prices: pd.DataFrame):
    scores = Momentum(60, 5, limit=0.5)(view_of(prices))
    assert max(abs(score) for score in scores.values()) == 0.5


def test_symbols_that_cannot_be_scored_are_absent(prices: pd.DataFrame):
    prices.loc[299, "A"] = np.nan  # no bar now
    prices.loc[: 299 - 59, "B"] = np.nan  # listed one bar too late
    prices.loc[299 - 50 : 299 - 10, "C"] = np.nan  # mostly missing
    prices.loc[280, "D"] = np.nan  # one gap does not matter
    assert Momentum(60, 5)(view_of(prices)).keys() == {"D", "E"}


def test_nothing_is_scored_before_the_warm_up(prices: pd.DataFrame):
    signal = Momentum(60, 5)
    assert signal(view_of(prices.head(signal.warm_up - 1))) == {}
    assert len(signal(view_of(prices.head(signal.warm_up)))) == 5


def test_a_cross_section_of_one_has_no_scores(prices: pd.DataFrame):
    assert Momentum(60, 5)(view_of(prices[["A"]])) == {}


def test_prices_that_never_move_have_no_score_of_their_own_volatility():
    still = pd.DataFrame({"A": [5.0] * 20, "B": [6.0] * 20})
    assert Momentum(10, 1, Standardisation.OWN_VOLATILITY)(view_of(still)) == {}
    assert Momentum(10, 1)(view_of(still)) == {"A": 0.0, "B": 0.0}


@pytest.mark.parametrize(("lookback", "skip"), [(10, 9), (10, -1), (2, 1)])
def test_a_span_without_a_return_is_refused(lookback: int, skip: int):
    with pytest.raises(ValueError, match="skip"):
        Momentum(lookback, skip)


def answers(prices: list[float], fast: int, slow: int) -> list[bool | None]:
    pair = MovingAveragePair(fast, slow)
    return [pair.push(price) for price in prices]


def true_answers(prices: list[float], fast: int, slow: int) -> list[bool | None]:
    exact = [Fraction(price) for price in prices]
    windows = [exact[end - slow : end] for end in range(slow, len(prices) + 1)]
    return [None] * (slow - 1) + [sum(window[-fast:]) * slow > sum(window) * fast for window in windows]


def answers_in_stretches(prices: list[float], fast: int, slow: int, longest: int) -> list[bool | None]:
    """The same in columns of 250, with as many prices at once as pass without a cross, and one by itself after it."""
    pair = MovingAveragePair(fast, slow)
    found = [pair.push(price) for price in prices[:slow]]
    for start in range(slow, len(prices), 250):
        column, place = np.array(prices[start : start + 250]), 0
        while place < len(column):
            above, begin = found[-1], place
            place, crossed = pair.push_until(column, begin, min(len(column), begin + longest), above)
            found += [above] * (place - begin - crossed) + [not above] * crossed
            if crossed and place < len(column):
                found.append(pair.push(column.item(place)))
                place += 1
    return found


@pytest.mark.parametrize("longest", [1, 63, 500])
@pytest.mark.parametrize("spread", [0.0, 1e-14, 1e-9, 0.01, 50.0])
def test_prices_taken_in_stretches_give_the_true_answers_too(spread: float, longest: int):
    prices = np.random.default_rng(5).uniform(100.0 - spread, 100.0 + spread, 600).tolist()
    rising = [*prices, *(100.0 * 1.001**place for place in range(300)), *prices]
    assert answers_in_stretches(rising, 7, 30, longest) == true_answers(rising, 7, 30)


@pytest.mark.parametrize("spread", [1e-14, 1e-9, 0.01, 50.0])
def test_the_answer_is_that_of_the_true_means_however_close_they_are(spread: float):
    prices = np.random.default_rng(4).uniform(100.0 - spread, 100.0 + spread, 2000).tolist()
    assert answers(prices, 7, 30) == true_answers(prices, 7, 30)


def test_prices_of_very_different_size_leave_no_error_behind():
    generator = np.random.default_rng(6)
    prices = [price for size in (1e12, 1.0, 1e6, 1e-3) for price in generator.uniform(size, 2 * size, 200).tolist()]
    assert answers(prices, 7, 30) == true_answers(prices, 7, 30)


def test_a_moving_average_does_not_depend_on_what_came_before_its_window():
    generator = np.random.default_rng(5)
    before = generator.uniform(1.0, 1e9, 5000).tolist()
    for _ in range(50):
        window = generator.uniform(1.0, 1.0 + 1e-12, 30).tolist()
        assert answers(before + window, 7, 30)[-1] == answers(window, 7, 30)[-1]


@pytest.mark.parametrize("price", [0.1, 100.03, 3.0])
def test_equal_prices_have_no_average_above_the_other(price: float):
    assert answers([price] * 100, 3, 10) == [None] * 9 + [False] * 91


@pytest.mark.parametrize(("fast", "slow"), [(0, 5), (5, 5), (6, 5)])
def test_windows_out_of_order_are_refused(fast: int, slow: int):
    with pytest.raises(ValueError, match="fast"):
        MovingAveragePair(fast, slow)
