"""Bounds of a strategy are held against what will be held: after an adjustment, in lots, and in spite of the band."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from strategy_books import book_of

from contracts.control import RebalancePlan, RiskAlert
from contracts.market import BarEvent, SliceEvent
from contracts.trading import OrderIntent
from strategy_plane.engines.book import Book
from strategy_plane.engines.orders import TradingRules, gaps_within
from strategy_plane.engines.plans import BOUNDS, RebalanceRules, propose
from strategy_plane.engines.position_risk import PositionRisk
from strategy_plane.engines.rebalancing import RebalancingEngine
from strategy_plane.engines.slices import SliceAssembler
from strategy_plane.engines.within_bounds import curbed_to
from strategy_plane.optimizers.port import GroupLimit, Limits
from strategy_plane.strategies.candidates import bounds_of
from strategy_plane.strategies.port import Bound, Measure, Portfolio, Targets, exposure_bounds

NOW = datetime(2024, 1, 2, 21, tzinfo=UTC)
EQUITY = 1_000_000.0
STORM = exposure_bounds(1.0, 0.4, -0.4)
FORTY = [f"S{number:02}" for number in range(40)]
BOTH_SIDES = {name: 0.05 if place % 2 else -0.05 for place, name in enumerate(FORTY)}


def held_at(marks: Mapping[str, float], weights: Mapping[str, float]) -> Book:
    return book_of(marks, {symbol: weight * EQUITY / marks[symbol] for symbol, weight in weights.items()}, EQUITY)


def moment_of(*symbols: str) -> SliceEvent:
    return SliceEvent(timestamp=NOW, bar_size="1d", symbols=symbols)


def left(targets: Targets, book: Book, rules: TradingRules, *listed: str) -> tuple[dict[str, float], str]:
    """Weights when all has been traded, and what is said of bounds."""
    found, alarm = gaps_within(targets, moment_of(*(listed or book.marks)), book, rules)
    traded = {symbol: units for _, symbol, units in found}
    names = {*book.symbols, *traded}
    weights = {s: (book.holding(s) + traded.get(s, 0.0)) * book.marks[s] / EQUITY for s in names}
    return weights, alarm.detail if alarm else ""


def gross(weights: Mapping[str, float]) -> float:
    return sum(map(abs, weights.values()))


@pytest.mark.parametrize("rule", [{}, {"no_trade_band": 0.03}, {"min_trade_value": 30_000.0}])
def test_a_band_holds_no_trade_back_that_lowers_a_breach(rule: dict[str, float]):
    book = held_at(dict.fromkeys(FORTY, 100.0), BOTH_SIDES)
    halved = Targets({name: weight / 2.0 for name, weight in BOTH_SIDES.items()}, bounds=STORM)
    weights, alarm = left(halved, book, TradingRules("s", **rule))
    assert gross(weights) == pytest.approx(1.0)
    assert not alarm


def test_a_band_still_holds_back_what_is_small_and_lowers_nothing():
    book = held_at({"A": 100.0, "B": 100.0, "C": 100.0}, {"A": 0.9, "B": -0.5, "C": 0.01})
    targets = Targets({"A": 0.5, "B": -0.48, "C": 0.02}, bounds=exposure_bounds(1.2, 1.0, -1.0))
    weights, _ = left(targets, book, TradingRules("s", no_trade_band=0.03))
    assert weights == pytest.approx({"A": 0.5, "B": -0.5, "C": 0.01})
    nearly = Targets({"A": 0.88, "B": -0.5, "C": 0.01}, bounds=exposure_bounds(1.39, 1.0, -1.0))
    weights, alarm = left(nearly, book, TradingRules("s", no_trade_band=0.03))
    assert (weights["A"], alarm) == (pytest.approx(0.9), "")  # prices may carry it a little beyond


def test_lots_of_one_side_do_not_carry_the_sum_beyond_its_bound():
    book = held_at({"A": 10.0, "B": 240_000.0, "C": 70.0}, {})
    targets = Targets({"A": 0.5, "B": -0.9, "C": 0.4}, bounds=exposure_bounds(2.0, 0.1, -0.1))
    weights, alarm = left(targets, book, TradingRules("s"))
    assert weights["B"] == pytest.approx(-0.72)
    assert sum(weights.values()) == pytest.approx(0.1, abs=1e-4)
    assert sum(weights.values()) <= 0.1 + 1e-9
    assert weights["A"] / weights["C"] == pytest.approx(0.5 / 0.4, rel=1e-3)  # each by its part
    assert not alarm


def test_an_adjustment_may_not_make_a_sum_of_what_was_balanced():
    risk = PositionRisk(0.005, 5, 2.0)
    for day in range(30):
        for symbol, wide in (("A", 0.005), ("B", 0.05)):
            prices = {"open": 100.0, "high": 100.0 * (1.0 + wide), "low": 100.0 * (1.0 - wide), "close": 100.0}
            at = NOW - timedelta(days=29 - day)
            risk.history.append(BarEvent(symbol=symbol, timestamp=at, volume=1.0, bar_size="1d", **prices))
    book = held_at({"A": 100.0, "B": 100.0}, {})
    wanted = Targets({"A": 0.25, "B": -0.25}, bounds=exposure_bounds(1.0, 0.1, -0.1))
    cut = risk(wanted, risk.history.as_of(NOW), book)
    assert sum(cut.values.values()) > 0.2
    weights, alarm = left(cut, book, TradingRules("s"))
    assert sum(weights.values()) == pytest.approx(0.1, abs=2e-4)
    assert not alarm


def test_what_cannot_be_traded_uses_up_its_part_and_an_alarm_names_what_stays_broken():
    book = held_at({"A": 100.0, "B": 100.0}, {"A": 0.7, "B": 0.7})
    halved = Targets({"A": 0.5, "B": 0.5}, bounds=exposure_bounds(1.0, 1.0, -1.0))
    weights, alarm = left(halved, book, TradingRules("s"), "A")
    assert (weights, alarm) == (pytest.approx({"A": 0.3, "B": 0.7}), "")
    weights, alarm = left(Targets(halved.values, bounds=exposure_bounds(0.5, 9.0, -9.0)), book, TradingRules("s"), "A")
    assert weights["A"] == 0.0
    assert alarm == "gross is 0.7000 of at most 0.5000"


def test_a_narrow_bound_is_cut_first_and_the_others_keep_their_proportions():
    bounds = (Bound("box of A", Measure.GROSS, 0.2, frozenset("A")), *exposure_bounds(0.6, 9.0, -9.0))
    assert curbed_to(bounds, {"A": 0.5, "B": 0.4, "C": -0.2}, {}) == pytest.approx({"A": 0.15, "B": 0.3, "C": -0.15})
    assert curbed_to(bounds, {"A": 0.1, "B": 0.1}, {"C": 0.5}) == pytest.approx({"A": 0.05, "B": 0.05})


def test_the_limits_of_an_optimizer_are_bounds_of_its_targets():
    group = GroupLimit("tech", (0, 1), low=0.1, high=0.3)
    limits = Limits(gross=1.5, net=0.5, box=0.4, net_floor=0.2, groups=(group,))
    found = {(bound.name, bound.measure.value): bound.limit for bound in bounds_of(limits, ("A", "B", "C"))}
    assert found == {
        **{(f"box of {name}", "GROSS"): 0.4 for name in "ABC"},
        ("tech", "NET_LONG"): 0.3,
        ("tech", "NET_SHORT"): 0.0,
        ("gross", "GROSS"): 1.5,
        ("net", "NET_LONG"): 0.5,
        ("net", "NET_SHORT"): 0.0,
    }


def test_a_plan_is_held_to_the_same_bounds_and_says_so():
    book = held_at(dict.fromkeys(FORTY, 100.0), BOTH_SIDES)
    cut = Targets({name: weight / 2.0 for name, weight in BOTH_SIDES.items()}, bounds=STORM)
    trading = TradingRules("s", no_trade_band=0.03)
    plan = propose(moment_of(*FORTY), cut, book, trading, RebalanceRules(), ["test"])
    assert len(plan.trades) == 40
    assert [check.passed for check in plan.checks if check.name == BOUNDS] == [True]
    few = propose(moment_of("S00"), cut, book, trading, RebalanceRules(), ["test"])
    (check,) = [check for check in few.checks if check.name == BOUNDS]
    assert not check.passed
    assert "gross is 1.95" in check.detail
    without = propose(moment_of("S00"), Targets(cut.values), book, trading, RebalanceRules(), ["test"])
    assert BOUNDS not in {check.name for check in without.checks}


def test_a_plan_says_as_much_of_many_broken_bounds_as_a_check_can_hold():
    book = held_at(dict.fromkeys(FORTY, 100.0), BOTH_SIDES)
    bounds = tuple(Bound(f"{name} {'x' * 60}", Measure.GROSS, 0.01, frozenset({name})) for name in FORTY)
    cut = Targets(dict.fromkeys(FORTY, 0.0), bounds=bounds)
    plan = propose(moment_of("S00"), cut, book, TradingRules("s"), RebalanceRules(), ["test"])
    (check,) = [check for check in plan.checks if check.name == BOUNDS]
    assert not check.passed
    assert len(check.detail) == 512


class Cutting:
    """Wants half of what is too much, every day."""

    warm_up = period = 1

    def on_bar(self, bar: BarEvent) -> None:
        """Nothing is learnt."""

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        return Targets({name: weight / 2.0 for name, weight in BOTH_SIDES.items()}, bounds=STORM)


def said(listed: list[str], **chosen: Any) -> list[Any]:
    book = held_at(dict.fromkeys(FORTY, 100.0), BOTH_SIDES)
    engine = RebalancingEngine(Cutting(), SliceAssembler("1d"), book, TradingRules("s"), RebalanceRules(**chosen))
    found: list[Any] = []
    for name in listed:
        prices = dict.fromkeys(("open", "high", "low", "close"), 100.0)
        found += engine.handlers[BarEvent](BarEvent(symbol=name, timestamp=NOW, volume=1.0, bar_size="1d", **prices))
    return [*found, *engine.handlers[SliceEvent](moment_of(*listed))]


def test_an_alert_names_the_bound_that_a_plan_cannot_keep():
    alerts = [each.code for each in said(FORTY[:1]) if isinstance(each, RiskAlert)]
    assert alerts == ["BOUND_BROKEN"]
    assert not [each for each in said(FORTY) if isinstance(each, RiskAlert)]


def test_a_turnover_cap_gives_way_to_the_bounds_of_the_targets():
    found = said(FORTY, turnover_cap=0.2)
    (plan,) = [each for each in found if isinstance(each, RebalancePlan)]
    assert "turnover cap is left aside" in plan.reasons[-1]
    assert sum(each.quantity for each in found if isinstance(each, OrderIntent)) > 0.0
    assert sum(map(abs, plan.target_weights.values())) == pytest.approx(1.0)
