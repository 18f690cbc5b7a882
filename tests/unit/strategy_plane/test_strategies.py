"""Named strategies: what they want, when, and what they do when they cannot know."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from contracts.market import BarEvent, SliceEvent
from strategy_plane.history import AsOfView
from strategy_plane.optimizers.factor_risk import principal_factor_risk
from strategy_plane.optimizers.mean_variance import MeanVariance, slack_of
from strategy_plane.optimizers.port import Allocation, AllocationStatus, FactorRisk, Limits
from strategy_plane.signals.technical import Momentum
from strategy_plane.strategies.allocation import Allocator
from strategy_plane.strategies.momentum_mean_variance import MomentumMeanVariance
from strategy_plane.strategies.moving_average_cross import MovingAverageCross
from strategy_plane.strategies.port import Basis, Strategy

START = datetime(2024, 1, 1, tzinfo=UTC)
LIMITS = Limits(gross=1.5, net=1.0, box=0.5)


class Holdings:
    """A portfolio with given weights."""

    def __init__(self, weights: dict[str, float] | None = None) -> None:
        self._weights = weights or {}

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(sorted(self._weights))

    def holding(self, symbol: str) -> float:
        return self._weights.get(symbol, 0.0)

    def equity(self) -> float:
        return 1.0

    def rate(self, symbol: str) -> float:
        return 1.0

    def weight(self, symbol: str) -> float:
        return self._weights.get(symbol, 0.0)


def give(strategy: Strategy, day: int, closes: dict[str, float]) -> SliceEvent:
    moment = START + timedelta(days=day)
    for symbol, close in closes.items():
        strategy.on_bar(
            BarEvent(symbol=symbol, timestamp=moment, open=close, high=close, low=close, close=close, volume=0.0)
        )
    return SliceEvent(timestamp=moment, bar_size="1d", symbols=tuple(closes))


def test_the_cross_is_long_above_and_flat_below():
    cross = MovingAverageCross(2, 3, units=5.0)
    wanted = [
        cross.decide(give(cross, day, {"A": close}), Holdings()) for day, close in enumerate((1.0, 1.0, 4.0, 1.0, 1.0))
    ]
    assert wanted[:2] == [None, None]
    assert [targets.values for targets in wanted[2:] if targets] == [{"A": 5.0}, {"A": 5.0}, {"A": 0.0}]
    assert wanted[2] is wanted[3]
    assert wanted[2] is not None
    assert wanted[2].basis is Basis.UNITS


def test_a_tie_of_the_means_is_not_above():
    cross = MovingAverageCross(2, 3)
    targets = [cross.decide(give(cross, day, {"A": 100.03}), Holdings()) for day in range(5)][-1]
    assert targets is not None
    assert targets.values == {"A": 0.0}


def test_the_cross_can_be_short_below():
    cross = MovingAverageCross(1, 2, units=5.0, allow_short=True)
    give(cross, 0, {"A": 2.0})
    targets = cross.decide(give(cross, 1, {"A": 1.0}), Holdings())
    assert targets is not None
    assert targets.values == {"A": -5.0}


def test_the_cross_waits_for_each_symbol_by_itself():
    cross = MovingAverageCross(1, 2)
    give(cross, 0, {"A": 1.0})
    targets = cross.decide(give(cross, 1, {"A": 2.0, "B": 5.0}), Holdings())
    assert targets is not None
    assert targets.values == {"A": 100.0}


def walk(strategy: Strategy, days: int, symbols: str = "ABCD", seed: int = 1) -> SliceEvent:
    steps = np.random.default_rng(seed).normal(0.0005, 0.02, (days, len(symbols)))
    prices = 100.0 * np.exp(np.cumsum(steps, axis=0))
    for day in range(days):
        moment = give(strategy, day, dict(zip(symbols, prices[day].tolist(), strict=True)))
    return moment


def momentum(limits: Limits = LIMITS, **changes: object) -> MomentumMeanVariance:
    parts = {"optimizer": MeanVariance(2.0), "risk_model": principal_factor_risk, "risk_window": 40, "ic": 0.1}
    found: dict[str, Any] = {**parts, "period": 5, **changes}
    allocator = Allocator(found["optimizer"], found["risk_model"], found["risk_window"])
    return MomentumMeanVariance(Momentum(30, 5), allocator, limits, found["ic"], found["period"])


def test_momentum_holds_winners_and_shorts_losers_within_limits():
    strategy = momentum()
    targets = strategy.decide(walk(strategy, 60), Holdings())
    assert targets is not None
    assert targets.alarm is None
    scores = Momentum(30, 5)(strategy._history.as_of(START + timedelta(days=59)))
    best, worst = max(scores, key=scores.__getitem__), min(scores, key=scores.__getitem__)
    assert targets.values[best] > 0.0 > targets.values[worst]
    weights = np.array(list(targets.values.values()))
    assert LIMITS.breaches(weights, weights * 0.0, slack_of(4)) == []


def test_momentum_needs_a_full_window():
    strategy = momentum()
    assert strategy.warm_up == 41
    early = strategy.decide(walk(strategy, 30), Holdings())
    assert early is not None
    assert (early.values, early.alarm and early.alarm.code) == ({}, "NOTHING_SCORED")


def test_momentum_leaves_symbols_without_a_bar_and_counts_them_against_the_limits():
    strategy = momentum()
    walk(strategy, 60)
    moment = give(strategy, 60, {"A": 100.0, "B": 100.0, "C": 100.0})
    targets = strategy.decide(moment, Holdings({"D": 1.2}))
    assert targets is not None
    assert "D" not in targets.values
    assert sum(abs(weight) for weight in targets.values.values()) <= 0.3 + slack_of(3)


class Everything:
    """A signal that scores every symbol it knows, with a bar now or not."""

    warm_up = 2

    def __call__(self, view: AsOfView) -> dict[str, float]:
        return dict.fromkeys(view.symbols, 1.0)


def test_a_symbol_without_a_bar_takes_no_part_even_when_it_is_scored():
    strategy = momentum(signal=Everything())
    walk(strategy, 60)
    targets = strategy.decide(give(strategy, 60, {"A": 100.0, "B": 100.0, "C": 100.0}), Holdings())
    assert targets is not None
    assert targets.values.keys() == {"A", "B", "C"}


def test_momentum_leaves_out_symbols_with_too_many_gaps_and_those_that_never_move():
    strategy = momentum()
    for day in range(60):
        closes = {symbol: 100.0 * np.exp(0.02 * np.sin(day * (place + 2))) for place, symbol in enumerate("ABC")}
        if day % 9 != 4:
            closes["D"] = 50.0 + day % 7
        moment = give(strategy, day, {**closes, "E": 7.0})
    targets = strategy.decide(moment, Holdings())
    assert targets is not None
    assert targets.values.keys() == {"A", "B", "C"}


def test_momentum_keeps_everything_and_raises_an_alarm_when_the_optimizer_does():
    strategy = momentum(Limits(gross=1.0, turnover=0.01))
    targets = strategy.decide(walk(strategy, 60), Holdings({"A": 3.0}))
    assert targets is not None
    assert targets.values == {}
    assert targets.alarm is not None
    assert targets.alarm.code == "OPTIMIZER_KEPT"
    assert "turnover" in targets.alarm.detail


def test_momentum_tells_the_optimizer_annual_returns_current_weights_and_what_is_held_outside():
    told = {}

    def optimizer(
        expected: np.ndarray, risk: FactorRisk, current: np.ndarray, limits: Limits, costs: object
    ) -> Allocation:
        told.update(expected=expected, limits=limits)
        return Allocation(current, AllocationStatus.OPTIMAL)

    strategy = momentum(optimizer=optimizer, ic=0.05)
    moment = walk(strategy, 60)
    targets = strategy.decide(moment, Holdings({"B": 0.25, "Y": -0.5, "Z": 0.2}))
    assert targets is not None
    assert targets.values == {"A": 0.0, "B": 0.25, "C": 0.0, "D": 0.0}
    assert told["limits"] == replace(LIMITS, outside_gross=0.7, outside_net=-0.3)
    scores = Momentum(30, 5)(strategy._history.as_of(moment.timestamp))
    closes = strategy._history.as_of(moment.timestamp).panel(41).closes
    volatility = (closes[1:] / closes[:-1] - 1.0).std(axis=0, ddof=1) * np.sqrt(252.0)
    np.testing.assert_allclose(told["expected"], 0.05 * volatility * [scores[symbol] for symbol in "ABCD"])


@pytest.mark.parametrize("change", [{"period": 0}, {"risk_window": 1}])
def test_momentum_refuses_parameters_without_meaning(change: dict[str, int]):
    with pytest.raises(ValueError, match="must be at least"):
        momentum(**change)
