"""A bar that is missing here and there costs no estimate, and too short a record of anything is said and not used."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from contracts.control import RiskAlert
from contracts.market import BarEvent, SliceEvent
from contracts.trading import OrderIntent
from strategy_plane.composition import build_stage
from strategy_plane.engines.book import Book
from strategy_plane.engines.volatility_target import VolatilityTarget
from strategy_plane.history import AsOfView, History
from strategy_plane.optimizers.settings import CostSettings
from strategy_plane.settings import (
    LimitSettings,
    MomentumMeanVarianceSettings,
    MomentumSettings,
    StrategySettings,
)
from strategy_plane.sizing import ewma_volatility
from strategy_plane.strategies.candidates import complete_returns
from strategy_plane.strategies.port import Targets

START = datetime(2024, 1, 1, 21, tzinfo=UTC)
DAYS = 101
NAMES = tuple(f"S{number:02}" for number in range(40))
PRICES = 100.0 * np.cumprod(1.0 + np.random.default_rng(2).normal(0.0, 0.01, (DAYS, len(NAMES))), axis=0)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def bar(symbol: str, number: int, close: float) -> BarEvent:
    prices = dict.fromkeys(("open", "high", "low", "close"), close)
    return BarEvent(symbol=symbol, timestamp=day(number), volume=1.0, bar_size="1d", **prices)


def told(history: History, gaps: set[tuple[int, int]] = frozenset(), first: int = 0) -> AsOfView:
    for number in range(first, DAYS):
        for place, symbol in enumerate(NAMES):
            if (number, place) not in gaps:
                history.append(bar(symbol, number, PRICES[number, place]))
    return history.as_of(day(DAYS - 1))


GAPS = {(int(row), place) for place in range(len(NAMES)) for row in np.random.default_rng(place).choice(99, 2) + 1}


def test_a_bar_missing_here_and_there_costs_no_moment():
    symbols, returns = complete_returns(told(History(DAYS), GAPS), NAMES, DAYS - 1, 0.05)
    assert symbols == list(NAMES)
    assert returns.shape == (DAYS - 1, len(NAMES))
    np.testing.assert_allclose(np.prod(1.0 + returns, axis=0), PRICES[-1] / PRICES[0])
    whole = complete_returns(told(History(DAYS)), NAMES, DAYS - 1, 0.05)[1]
    np.testing.assert_allclose(returns.std(axis=0), whole.std(axis=0), rtol=0.15)
    torn = {row for row, _ in GAPS} | {row - 1 for row, _ in GAPS}
    untouched = [row for row in range(DAYS - 1) if row not in torn]
    np.testing.assert_array_equal(returns[untouched], whole[untouched])


def test_a_symbol_with_more_gaps_than_allowed_takes_no_part_and_a_late_start_shortens_the_window():
    often = {(row, 0) for row in range(1, 99, 10)}
    assert complete_returns(told(History(DAYS), often), NAMES, DAYS - 1, 0.05)[0] == list(NAMES[1:])
    late = {(row, 0) for row in range(4)}
    symbols, returns = complete_returns(told(History(DAYS), late), NAMES, DAYS - 1, 0.05)
    assert (symbols, returns.shape) == (list(NAMES), (DAYS - 5, len(NAMES)))


def scaled(gaps: set[tuple[int, int]], targets: Targets, largest: float = 10.0) -> Targets:
    adjust = VolatilityTarget(0.1, window=DAYS - 1, half_life=30.0, largest=largest)
    return adjust(targets, told(adjust.history, gaps), Book(1000.0))


def test_a_volatility_target_counts_every_moment_in_spite_of_gaps():
    equal = Targets(dict.fromkeys(NAMES, 1.0 / len(NAMES)))
    past = (PRICES[1:] / PRICES[:-1] - 1.0).mean(axis=1)
    wanted = 0.1 / ewma_volatility(past, 30.0) / len(NAMES)
    found = scaled(GAPS, equal).values
    assert found == pytest.approx(dict.fromkeys(NAMES, wanted), rel=0.05)


def test_a_symbol_listed_the_day_before_yesterday_is_no_reason_for_leverage():
    new = {(row, 1) for row in range(DAYS - 2)}
    found = scaled(new, Targets({"S00": 0.5, "S01": 0.5}))
    assert found.values == {}
    assert found.alarm is not None
    assert found.alarm.code == "VOLATILITY_UNKNOWN"
    assert "S01" in found.alarm.detail
    half = {(row, 1) for row in range(DAYS // 2 - 2)}
    assert scaled(half, Targets({"S00": 0.5, "S01": 0.5})).values


MOMENTUM = MomentumMeanVarianceSettings(
    signal=MomentumSettings(lookback=5, skip=1), limits=LimitSettings(box=0.5), risk_window=10, rebalance_every=2
)


def said(settings: StrategySettings, missing_every: int) -> list[object]:
    """What is said while each of four symbols lacks one bar in so many."""
    stage, found = build_stage(settings), []
    for number in range(60):
        here = [place for place in range(4) if (number + place) % missing_every]
        for place in here:
            stage.handlers[BarEvent](bar(NAMES[place], number, PRICES[number, place]))
        symbols = tuple(NAMES[place] for place in here)
        found += stage.handlers[SliceEvent](SliceEvent(timestamp=day(number), bar_size="1d", symbols=symbols))
    return found


def test_symbols_with_too_many_gaps_are_said_to_have_no_estimate_of_risk():
    whole, torn = (said(StrategySettings(strategy=MOMENTUM), every) for every in (1000, 6))
    assert any(isinstance(each, OrderIntent) for each in whole)
    assert not any(isinstance(each, OrderIntent) for each in torn)
    assert {each.code for each in torn if isinstance(each, RiskAlert)} == {"RISK_UNKNOWN"}


def test_a_book_that_is_worth_nothing_is_an_alert_and_no_end_of_the_plane_when_costs_count():
    stage = build_stage(StrategySettings(strategy=MOMENTUM.model_copy(update={"costs": CostSettings()})))
    stage._stage.book._ledger = Book(-5.0)._ledger  # what is left after shorts have run away
    codes = set()
    for number in range(20):
        for place, symbol in enumerate("ABCD"):
            stage.handlers[BarEvent](bar(symbol, number, PRICES[number, place]))
        found = stage.handlers[SliceEvent](SliceEvent(timestamp=day(number), bar_size="1d", symbols=tuple("ABCD")))
        codes |= {each.code for each in found}
    assert codes == {"PORTFOLIO_UNKNOWN"}
