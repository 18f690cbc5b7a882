"""Nothing a signal says at a moment depends on what came later."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.market import BarEvent
from strategy_plane.history import AsOfView, History
from strategy_plane.signals.technical import Momentum, Standardisation

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 60
SYMBOLS = "ABCDE"
Scores = Callable[[AsOfView], dict[str, float]]


def prices_of(seed: int, missing: float) -> np.ndarray:
    generator = np.random.default_rng(seed)
    prices = 100.0 * np.exp(np.cumsum(generator.normal(0.0, 0.03, (DAYS, len(SYMBOLS))), axis=0))
    prices[generator.random(prices.shape) < missing] = np.nan
    return prices


def history_of(prices: np.ndarray) -> History:
    history = History(DAYS)
    for day, row in enumerate(prices.tolist()):
        moment = START + timedelta(days=day)
        for symbol, close in zip(SYMBOLS, row, strict=True):
            if not math.isnan(close):
                history.append(
                    BarEvent(
                        symbol=symbol, timestamp=moment, open=close, high=close, low=close, close=close, volume=0.0
                    )
                )
    return history


def leaks(scores: Scores, prices: np.ndarray, cuts: list[int], scramble: np.random.Generator) -> list[int]:
    """Days at which scores change when later bars are removed, or replaced by others."""
    full = history_of(prices)
    found = []
    for cut in cuts:
        moment = START + timedelta(days=cut)
        other = prices.copy()
        other[cut + 1 :] *= scramble.uniform(0.5, 2.0, other[cut + 1 :].shape)
        variants = [history_of(prices[: cut + 1]), history_of(other)]
        told = scores(full.as_of(moment))
        if any(scores(variant.as_of(moment)) != told for variant in variants):
            found.append(cut)
    return found


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    missing=st.sampled_from([0.0, 0.02, 0.3]),
    kind=st.sampled_from(Standardisation),
    cuts=st.lists(st.integers(0, DAYS - 1), min_size=3, max_size=6),
)
def test_momentum_does_not_look_ahead(seed: int, missing: float, kind: Standardisation, cuts: list[int]):
    signal = Momentum(12, 2, kind)
    assert leaks(signal, prices_of(seed, missing), cuts, np.random.default_rng(seed)) == []


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(0, DAYS - 1), last=st.integers(1, DAYS))
def test_a_view_of_the_past_equals_the_view_at_that_time(seed: int, cut: int, last: int):
    prices = prices_of(seed, 0.1)
    moment = START + timedelta(days=cut)
    then, now = history_of(prices[: cut + 1]).as_of(moment), history_of(prices).as_of(moment)
    assert then.symbols == now.symbols
    assert then.panel(last).moments == now.panel(last).moments
    np.testing.assert_array_equal(then.panel(last).closes, now.panel(last).closes)
    for symbol in then.symbols:
        np.testing.assert_array_equal(then.closes(symbol, last), now.closes(symbol, last))


def tomorrow(view: AsOfView) -> dict[str, float]:
    """A planted leak: reads the history behind the view one bar ahead."""
    ahead = view._history.as_of(view.at + timedelta(days=1))
    return {symbol: float(ahead.closes(symbol, 1)[-1]) for symbol in view.symbols}


def full_sample_rank(view: AsOfView) -> dict[str, float]:
    """A planted leak: compares today with the whole sample."""
    everything = view._history.as_of(START + timedelta(days=DAYS))
    return {
        symbol: float((everything.closes(symbol, DAYS) < view.closes(symbol, 1)[-1]).mean()) for symbol in view.symbols
    }


@pytest.mark.parametrize("leak", [tomorrow, full_sample_rank])
def test_planted_leaks_are_caught(leak: Scores):
    cuts = [10, 30, 50]
    assert leaks(leak, prices_of(1, 0.0), cuts, np.random.default_rng(1)) == cuts
