"""Symbols that trade at other moments than the rest cost nobody a decision, and get theirs when they have a price."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from order_messages import filled

from contracts.base import Message
from contracts.control import PlanProgress, RebalancePlan, RiskAlert
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport, OrderIntent
from strategy_plane.composition import build_stage
from strategy_plane.engines.settings import RebalancingSettings
from strategy_plane.ensemble_composition import build_observer
from strategy_plane.settings import (
    DualMomentumSettings,
    MomentumHoldingsSettings,
    MomentumMeanVarianceSettings,
    MomentumSettings,
    SignalEnsembleSettings,
    StrategySettings,
)
from strategy_plane.signal_settings import TechnicalSettings

START = datetime(2024, 1, 1, tzinfo=UTC)
Hours = Mapping[int, str]


def told(day: int, hours: Hours, absent: Mapping[int, str]) -> list[Message]:
    """Bars and slices of a day: closes rise faster the later the symbol's letter; ``absent`` have none that day."""
    said: list[Message] = []
    for hour, names in hours.items():
        at = START + timedelta(days=day, hours=hour)
        symbols = tuple(name for name in names if name not in absent.get(day, ""))
        for name in symbols:
            close = 100.0 + day * (1 + "ABCD".index(name))
            prices = dict.fromkeys(("open", "high", "low", "close"), close)
            said.append(BarEvent(symbol=name, timestamp=at, volume=0.0, bar_size="1d", **prices))
        said.append(SliceEvent(timestamp=at, bar_size="1d", symbols=symbols))
    return said


def run(
    settings: StrategySettings, days: int, hours: Hours, absent: Mapping[int, str] | None = None, unfilled: str = ""
) -> list[Message]:
    """What the strategy says; an order fills at the close of the next bar of its symbol, if not of one ``unfilled``."""
    stage, said, open_orders = build_stage(settings), [], []
    for day in range(days):
        for event in told(day, hours, absent or {}):
            if isinstance(event, BarEvent):
                done = [each for each in open_orders if each.symbol == event.symbol and each.symbol not in unfilled]
                open_orders = [each for each in open_orders if each not in done]
                for each in done:
                    stage.handlers[ExecutionReport](filled(each, event.close, event.timestamp))
            found = list(stage.handlers[type(event)](event))
            open_orders += [each for each in found if isinstance(each, OrderIntent)]
            said += found
    return said


def bought(said: Sequence[Message]) -> list[tuple[int, str]]:
    return [((m.timestamp - START).days, m.symbol) for m in said if isinstance(m, OrderIntent)]


MOMENTUM = MomentumHoldingsSettings(signal=MomentumSettings(lookback=10, skip=1), winners=1, rebalance_every=22)


@pytest.mark.parametrize("plans", [None, {"every": "monthly"}], ids=["by decision", "by plan"])
def test_moments_of_symbols_outside_the_universe_are_none_of_a_strategy(plans: dict[str, str] | None):
    settings = StrategySettings.model_validate({"strategy": MOMENTUM, "universe": ("C", "D"), "rebalancing": plans})
    alone = run(settings, 40, {21: "CD"})
    assert bought(alone)[0] == (10, "D")
    assert run(settings, 40, {6: "AB", 21: "CD"}) == alone


OPTIMISED = MomentumMeanVarianceSettings(signal=MOMENTUM.signal, risk_window=12, rebalance_every=22)


@pytest.mark.parametrize("chosen", [MOMENTUM, OPTIMISED], ids=["in equal parts", "optimised"])
def test_symbols_that_cannot_be_compared_since_their_moments_never_coincide_are_told(chosen: MomentumHoldingsSettings):
    settings = StrategySettings(strategy=chosen, universe=tuple("ABCD"))
    told = [each for each in run(settings, 40, {6: "AB", 21: "CD"}) if isinstance(each, RiskAlert)]
    assert {each.code for each in told} == {"NOTHING_SCORED"}
    assert "2 symbols" in told[0].detail
    assert not any(isinstance(each, RiskAlert) for each in run(settings, 40, {21: "ABCD"}))


def test_a_study_counts_the_moments_that_the_strategy_counts():
    technical = TechnicalSettings(lookback=5, skip=1, trend_bars=5, rsi_length=2, short_bars=2, long_bars=5)
    chosen = SignalEnsembleSettings(signals={"TSX": technical}, horizon=3, score_every=2)
    diaries = []
    for hours in ({21: "CD"}, {6: "AB", 21: "CD"}):
        observer = build_observer(chosen, frozenset("CD").__contains__)
        for day in range(40):
            events = told(day, hours, {})
            observer.note(events, 0, len(events))
        diaries.append(list(observer.diary))
    assert len(diaries[0]) == 20
    assert diaries[0] == diaries[1]


DUAL = DualMomentumSettings(markets={"KR": ("A", "B"), "US": ("C", "D")}, lookback=5, cap=0.4)
PLANS = StrategySettings(strategy=DUAL, universe=tuple("ABCD"), rebalancing={"every": "monthly"}, cash_buffer=0.05)


def test_both_of_two_markets_are_planned_though_they_close_at_different_hours():
    said = run(PLANS, 70, {6: "AB", 21: "CD"})
    assert bought(said)[0] == (5, "B")
    assert (32, "D") in bought(said)  # of February: in the one before, US had too few bars when the plan was made
    made = [each for each in said if isinstance(each, RebalancePlan)]
    assert [(each.timestamp.month, each.timestamp.hour) for each in made] == [(1, 6), (2, 6), (2, 21), (3, 6), (3, 21)]
    assert made[1].reasons == ("monthly rebalance of 2024-02",)
    assert made[2].reasons == ("monthly rebalance of 2024-02: no price before for D",)
    assert {trade.symbol for trade in made[2].trades} == {"D"}


def test_a_third_market_is_not_forgotten_when_the_second_one_opens():
    markets = {"KR": ("A",), "EU": ("B",), "US": ("C", "D")}
    chosen = DUAL.model_copy(update={"markets": markets})
    said = run(PLANS.model_copy(update={"strategy": chosen}), 70, {6: "A", 15: "B", 21: "CD"})
    assert {symbol for day, symbol in bought(said) if day >= 31} == {"A", "B", "D"}
    february = [each for each in said if isinstance(each, RebalancePlan) and each.timestamp.month == 2]
    assert [{trade.symbol for trade in each.trades} for each in february] == [{"A"}, {"B"}, {"D"}]
    assert [skip.symbol for skip in february[1].skipped] == ["D"]


def test_an_order_that_works_until_its_plan_runs_out_does_not_cost_the_other_market_the_month():
    said = run(PLANS, 45, {6: "AB", 21: "CD"}, unfilled="AB")
    assert [day for day, symbol in bought(said) if symbol == "D"] == [36]  # the plan of day 31 was valid for five days
    ended = [each.state.value for each in said if isinstance(each, PlanProgress)]
    assert ended.count("EXPIRED") == 2


def test_a_plan_that_nobody_decided_on_leaves_nobody_over():
    asked = PLANS.model_copy(update={"rebalancing": RebalancingSettings(requires_approval=True)})
    said = run(asked, 45, {6: "AB", 21: "CD"})
    assert [(each.timestamp - START).days for each in said if isinstance(each, RebalancePlan)] == [5, 31]


def test_a_holiday_on_the_first_of_the_month_does_not_cost_a_market_the_month():
    said = run(PLANS, 45, {21: "ABCD"}, {31: "AB", 32: "AB"})
    made = {(m.timestamp - START).days: m for m in said if isinstance(m, RebalancePlan)}
    assert list(made) == [5, 31, 33]
    assert [(skip.symbol, skip.reason) for skip in made[31].skipped] == [("B", "NO_PRICE")]
    assert {trade.symbol for trade in made[33].trades} == {"B"}
    assert (33, "B") in bought(said)


def test_what_had_no_price_and_nothing_to_trade_calls_for_no_plan():
    said = run(PLANS, 25, {21: "ABCD"}, {5: "AC", 6: "C"})
    assert [(each.timestamp - START).days for each in said if isinstance(each, RebalancePlan)] == [5]
    (plan,) = (each for each in said if isinstance(each, RebalancePlan))
    assert plan.skipped == ()
    assert [each.state.value for each in said if isinstance(each, PlanProgress)][-1] == "COMPLETED"
