"""Accounts: positions at average cost, realised profit, margin, commission."""

import pytest

from ibkr_sim.account import Account, Position, commission
from ibkr_sim.pacing import Budget, HistoryPace, MessageRate


def test_a_round_trip_realises_the_difference_after_commissions():
    account = Account("DU1", 10_000.0)
    assert account.trade(1, 100, 10.0, 1.0) == 0.0
    assert account.positions[1].average_cost == pytest.approx(10.01)
    assert account.trade(1, -100, 11.0, 1.0) == pytest.approx(98.0)
    assert account.cash == pytest.approx(10_098.0)
    assert (account.quantity(1), account.positions[1].average_cost) == (0, 0)


def test_a_turned_position_closes_first_and_opens_at_the_new_price():
    position = Position(1)
    position.trade(100, 10.0, 0.0)
    assert position.trade(-150, 12.0, 0.0) == pytest.approx(200.0)
    assert (position.quantity, position.average_cost) == (-50, pytest.approx(12.0))
    assert position.trade(50, 11.0, 0.0) == pytest.approx(50.0)


def test_adding_averages_the_cost():
    position = Position(1)
    position.trade(100, 10.0, 0.0)
    position.trade(300, 14.0, 0.0)
    assert position.average_cost == pytest.approx(13.0)
    assert position.unrealized(15.0) == pytest.approx(800.0)


def test_the_figures_of_an_account_agree_with_each_other():
    account = Account("DU1", 10_000.0)
    account.trade(1, 100, 50.0, 1.0)
    values = account.values(lambda _: 60.0)
    assert values["NetLiquidation"] == pytest.approx(10_999.0)
    assert values["InitMarginReq"] == 3000.0
    assert values["AvailableFunds"] == pytest.approx(7999.0)
    assert values["BuyingPower"] == pytest.approx(4 * 7999.0)
    assert values["UnrealizedPnL"] == pytest.approx(999.0)
    assert account.available_after(1, 100, lambda _: 60.0) == pytest.approx(4999.0)
    assert account.available_after(1, -100, lambda _: 60.0) == pytest.approx(10_999.0)


def test_daily_profit_starts_anew_each_day():
    account = Account("DU1", 10_000.0)
    account.trade(1, 100, 50.0, 0.0)
    assert account.daily(lambda _: 51.0) == pytest.approx(100.0)
    account.begin_day(lambda _: 51.0)
    assert account.daily(lambda _: 51.5) == pytest.approx(50.0)
    assert account.realized() == 0.0


@pytest.mark.parametrize(
    ("quantity", "price", "first", "fee"),
    [(100, 50, True, 1.0), (1000, 50, True, 5.0), (1, 50, True, 0.5), (10, 50, False, 0.05)],
)
def test_commission_follows_the_fixed_schedule(quantity, price, first, fee):
    assert commission(quantity, price, first) == pytest.approx(fee)


def test_the_message_rate_counts_a_sliding_second():
    rate = MessageRate(3)
    assert [rate.admit(at) for at in (0.0, 0.1, 0.2, 0.9, 1.0, 1.05)] == [True, True, True, False, True, False]
    assert not rate.struck_out
    rate.admit(1.06)
    assert rate.struck_out
    assert all(MessageRate(0).admit(0.0) for _ in range(1000))


def test_small_bars_are_paced_three_ways():
    pace = HistoryPace()
    assert pace.admit(0.0, ("a",), ("x",), 1)
    assert not pace.admit(14.9, ("a",), ("x",), 1)
    assert pace.admit(15.0, ("a",), ("x",), 1)
    burst = [pace.admit(100.0, (str(n),), ("y",), 1) for n in range(6)]
    assert burst == [True] * 5 + [False]
    double = [pace.admit(200.0, (f"d{n}",), ("z",), 2) for n in range(3)]
    assert double == [True, True, False]
    window = [pace.admit(300.0 + n * 3, (f"w{n}",), (f"s{n}",), 1) for n in range(60)]
    assert window.count(True) == 60 - (2 + 5 + 4)
    assert pace.admit(1000.0, ("late",), ("late",), 1)


def test_a_budget_refills_with_time():
    budget = Budget(2, 10.0)
    assert [budget.admit(at) for at in (0.0, 1.0, 2.0, 10.0, 10.5, 11.0)] == [True, True, False, True, False, True]
