"""Momentum and dual momentum choose the right symbols at the right time, and caps spread what they cut."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.market import BarEvent, SliceEvent
from contracts.trading import OrderIntent
from strategy_plane.composition import build_stage, build_strategy
from strategy_plane.history import AsOfView
from strategy_plane.settings import (
    DualMomentumSettings,
    MomentumHoldingsSettings,
    MovingAverageCrossSettings,
    StrategySettings,
)
from strategy_plane.strategies.dual_momentum import DualMomentum, capped_equal_weights
from strategy_plane.strategies.momentum import Momentum
from strategy_plane.strategies.moving_average_cross import MovingAverageCross
from strategy_plane.strategies.port import Frequency

START = datetime(2024, 1, 1, 21, tzinfo=UTC)


class Holding:
    """A portfolio that holds some symbols."""

    def __init__(self, *symbols: str) -> None:
        self.symbols = symbols


def bar(symbol: str, day: int, close: float) -> BarEvent:
    moment = START + timedelta(days=day)
    return BarEvent(symbol=symbol, timestamp=moment, open=close, high=close, low=close, close=close, volume=0.0)


def moment(day: int, *symbols: str) -> SliceEvent:
    return SliceEvent(timestamp=START + timedelta(days=day), bar_size="1d", symbols=symbols)


class LastClose:
    """Scores by the newest close."""

    warm_up = 1

    def __call__(self, view: AsOfView) -> dict[str, float]:
        return {symbol: float(view.closes(symbol, 1)[0]) for symbol in view.symbols}


def momentum(closes: Mapping[str, float], **chosen: float) -> Momentum:
    strategy = Momentum(LastClose(), **chosen)  # type: ignore[arg-type]
    for symbol, close in closes.items():
        strategy.on_bar(bar(symbol, 0, close))
    return strategy


def test_winners_share_the_money_and_the_rest_is_sold():
    strategy = momentum({"A": 1.0, "B": 3.0, "C": 2.0}, winners=2)
    targets = strategy.decide(moment(0, "A", "B", "C"), Holding("A", "X"))
    assert dict(targets.values) == {"A": 0.0, "B": 0.5, "C": 0.5, "X": 0.0}


def test_losers_are_sold_short_with_the_same_money():
    strategy = momentum(dict(zip("ABCD", (4.0, 3.0, 2.0, 1.0), strict=True)), winners=1, losers=1, exposure=0.8)
    targets = strategy.decide(moment(0, *"ABCD"), Holding())
    assert dict(targets.values) == {"A": 0.8, "B": 0.0, "C": 0.0, "D": -0.8}


def test_equal_scores_rank_by_name_and_too_few_change_nothing():
    strategy = momentum({"B": 1.0, "A": 1.0}, winners=1)
    assert strategy.decide(moment(0, "A", "B"), Holding()).values["A"] == 1.0
    assert momentum({"A": 1.0}, winners=2).decide(moment(0, "A"), Holding()) is None
    assert strategy.decide(moment(0), Holding()) is None  # no symbol trades now


@pytest.mark.parametrize("wrong", [{"winners": 0}, {"losers": -1}, {"period": 0}])
def test_momentum_refuses_what_makes_no_sense(wrong: dict[str, int]):
    with pytest.raises(ValueError, match="at least"):
        momentum({}, **wrong)


MARKETS = {"US": ("A", "B"), "KR": ("C", "D")}


def dual(paths: Mapping[str, tuple[float, float]], **chosen: object) -> dict:
    """Targets at the second day, from closes of both; the look-back is one moment."""
    days = (0, 31)
    strategy = DualMomentum(MARKETS, lookback=1, **chosen)  # type: ignore[arg-type]
    for place, day in enumerate(days):
        for symbol, closes in paths.items():
            strategy.on_bar(bar(symbol, day, closes[place]))
    targets = strategy.decide(moment(days[1], *paths), Holding("X"))
    return dict(targets.values)


PATHS = {"A": (10.0, 11.0), "B": (10.0, 12.0), "C": (10.0, 9.0), "D": (10.0, 10.5)}


def test_the_best_of_each_market_is_held_as_long_as_it_has_gained():
    assert dual(PATHS, cap=0.5) == {"A": 0.0, "B": 0.5, "C": 0.0, "D": 0.5, "X": 0.0}
    fallen = PATHS | {"D": (10.0, 8.0)}
    assert dual(fallen, cap=1.0, market_cap=1.0) == {"A": 0.0, "B": 1.0, "C": 0.0, "D": 0.0, "X": 0.0}
    assert dual(PATHS, hurdle=0.15, cap=0.3)["B"] == 0.3
    assert sum(dual(PATHS, hurdle=0.5).values()) == 0.0


def orders(
    chosen: DualMomentumSettings, days: int, hours: Mapping[int, str], late: Sequence[int] = (), **options: object
) -> list[OrderIntent]:
    """Orders of ``days`` days of closes that rise faster the later the symbol's letter, at each of ``hours``."""
    settings = {"strategy": chosen, "universe": sorted(PATHS), **options}
    stage = build_stage(StrategySettings.model_validate(settings))
    said = []
    for number in range(days):
        for hour, symbols in hours.items():
            at = START.replace(hour=hour) + timedelta(days=number)
            for symbol in symbols:
                close = 100.0 + number * (1 + "ABCD".index(symbol))
                told = bar(symbol, number, close).model_copy(update={"timestamp": at, "bar_size": "1d"})
                said += stage.handlers[BarEvent](told)
            moment = SliceEvent(timestamp=at, bar_size="1d", symbols=tuple(symbols), late=number in late)
            said += stage.handlers[SliceEvent](moment)
    return [each for each in said if isinstance(each, OrderIntent)]


def test_both_of_two_markets_are_traded_though_they_close_at_different_hours():
    chosen = DualMomentumSettings(markets={"KR": ("A", "B"), "US": ("C", "D")}, lookback=20, cap=0.5)
    found = orders(chosen, 40, {6: "AB", 21: "CD"})
    assert {(each.symbol, each.timestamp.hour) for each in found} == {("B", 6), ("D", 21)}


def test_it_decides_once_a_month():
    chosen = DualMomentumSettings(markets={"US": ("A", "B", "C", "D")}, lookback=20, cap=0.5)
    found = orders(chosen, 70, {21: "ABCD"})
    days = sorted({(each.timestamp - START).days for each in found})
    assert days[0] == 20
    assert set(days) <= {20, 31, 60}  # the first moment with bars enough, 1 February, 1 March


@pytest.mark.parametrize("plans", [None, {"every": "monthly"}], ids=["by decision", "by plan"])
def test_a_late_first_moment_does_not_cost_the_month(plans: dict[str, str] | None):
    chosen = DualMomentumSettings(markets={"US": ("A", "B", "C", "D")}, lookback=20, cap=0.5)
    days = {
        late: {(each.timestamp - START).days for each in orders(chosen, 40, {21: "ABCD"}, late, rebalancing=plans)}
        for late in ((), (31,), (31, 32))
    }
    assert days == {(): {20, 31}, (31,): {20, 32}, (31, 32): {20, 33}}


def test_one_missing_bar_removes_no_symbol():
    strategy = DualMomentum(MARKETS, lookback=10, cap=0.5)
    for day in range(20):
        for symbol in "ABCD":
            if (symbol, day) not in {("B", 9), ("D", 19)}:
                strategy.on_bar(bar(symbol, day, 100.0 + day * (1 + "ABCD".index(symbol))))
    weights = strategy.decide(moment(19, *"ABC"), Holding()).values
    assert {symbol for symbol, weight in weights.items() if weight} == {"B", "D"}


def test_a_symbol_that_trades_no_more_is_not_chosen():
    strategy = DualMomentum(MARKETS, lookback=3, cap=0.5)
    for day in range(20):
        for symbol in "ABCD" if day < 10 else "AC":
            strategy.on_bar(bar(symbol, day, 100.0 + day * (1 + "ABCD".index(symbol))))
    weights = strategy.decide(moment(19, *"AC"), Holding()).values
    assert {symbol for symbol, weight in weights.items() if weight} == {"A", "C"}


def test_a_symbol_needs_both_ends_of_the_look_back():
    strategy = DualMomentum(MARKETS, lookback=1, cap=0.5)
    for symbol in "ACD":
        strategy.on_bar(bar(symbol, 0, 10.0))
    for symbol in "ABCD":
        strategy.on_bar(bar(symbol, 31, 11.0))
    weights = strategy.decide(moment(31, *"ABCD"), Holding()).values
    assert weights["A"] == 0.5
    assert weights["B"] == 0.0


@pytest.mark.parametrize("markets", [{}, {"US": ()}, {"US": ("A",), "KR": ("A",)}])
def test_markets_name_each_symbol_once(markets: dict):
    with pytest.raises(ValueError, match="markets"):
        DualMomentum(markets)


def test_what_a_market_cannot_take_goes_to_the_others():
    chosen = {"US": ["A", "B", "C"], "KR": ["D"]}
    weights = capped_equal_weights(chosen, cap=1.0, market_cap=0.6)
    assert weights == pytest.approx({"A": 0.2, "B": 0.2, "C": 0.2, "D": 0.4})
    assert capped_equal_weights(chosen, cap=0.25, market_cap=0.6)["D"] == 0.25  # and the rest stays cash
    assert capped_equal_weights({"US": []}, 1.0, 1.0) == {}


@given(
    sizes=st.lists(st.integers(0, 6), min_size=1, max_size=5),
    cap=st.floats(0.01, 1.0),
    market_cap=st.floats(0.01, 1.0),
)
def test_caps_hold_and_no_money_is_left_that_could_be_placed(sizes: list[int], cap: float, market_cap: float):
    chosen = {f"M{number}": [f"{number}-{place}" for place in range(size)] for number, size in enumerate(sizes)}
    weights = capped_equal_weights(chosen, cap, market_cap)
    totals = {market: sum(weights[symbol] for symbol in symbols) for market, symbols in chosen.items()}
    assert max(weights.values(), default=0.0) <= cap + 1e-12
    assert max(totals.values()) <= market_cap + 1e-12
    possible = min(1.0, sum(min(market_cap, cap * len(symbols)) for symbols in chosen.values()))
    assert sum(weights.values()) == pytest.approx(possible)


def test_named_strategies_are_built_from_settings():
    crossed = StrategySettings.model_validate({"strategy": {"name": "ma_crossover", "fast": 3, "slow": 9}})
    assert isinstance(crossed.strategy, MovingAverageCrossSettings)
    assert isinstance(build_strategy(crossed.strategy)[0], MovingAverageCross)
    assert isinstance(build_strategy(MomentumHoldingsSettings())[0], Momentum)
    chosen = DualMomentumSettings(markets={"US": ("A",)})
    built = build_strategy(chosen)[0]
    assert isinstance(built, DualMomentum)
    assert (built.warm_up, built.period) == (64, Frequency.MONTHLY)
