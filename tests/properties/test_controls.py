"""What limits with a memory hold to, whatever the market and the strategies do."""

from datetime import UTC, datetime, timedelta
from itertools import permutations, product
from math import fsum, isnan
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.market import BarEvent
from contracts.trading import OrderIntent, OrderType, Side, TimeInForce
from domain.calendar import always_open
from order_plane.composition import build_simulation
from order_plane.controls import Controls
from order_plane.limit_settings import loosened
from order_plane.risk.drift import PriceWindow
from order_plane.risk.port import NoBooks, RiskView
from order_plane.risk.rate import StrategyRate
from order_plane.risk.volume import DailyVolumes
from order_plane.settings import OrderSettings

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
WINDOW = timedelta(seconds=10)
prices = st.floats(min_value=0.01, max_value=1e6)
gaps = st.integers(min_value=0, max_value=15)


def a_bar(symbol, at, price, volume=1e9):
    return BarEvent(
        symbol=symbol, timestamp=at, volume=volume, **dict.fromkeys(("open", "high", "low", "close"), price)
    )


def an_intent(number, at, **changes):
    terms = {"symbol": "A", "direction": Side.BUY, "quantity": 1.0, "order_type": OrderType.MARKET}
    return OrderIntent(intent_id=UUID(int=number), timestamp=at, **(terms | changes))


@given(st.lists(st.tuples(gaps, prices), min_size=1, max_size=60), st.integers(min_value=0, max_value=12))
def test_a_window_holds_the_extremes_of_what_was_in_force_in_it(path, wait):
    window, at, told = PriceWindow(WINDOW), NOON, []
    for gap, price in path:
        at += timedelta(seconds=gap)
        window.hear("A", price, at)
        told.append((at, price))
    at += timedelta(seconds=wait)
    low, high = window.extremes("A", at)
    begin = at - WINDOW
    if told[0][0] > begin:
        assert (isnan(low), isnan(high)) == (True, True)
        return
    ends = [*(since for since, _ in told[1:]), None]
    seen = [price for (_, price), end in zip(told, ends, strict=True) if end is None or end > begin]
    assert (low, high) == (min(seen), max(seen))


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(min_value=0, max_value=3_000)), max_size=80),
    st.floats(min_value=0.5, max_value=5.0),
    st.integers(min_value=1, max_value=10),
)
def test_no_strategy_sends_more_than_its_burst_and_what_time_allows(wishes, rate, burst):
    check, at, passed = StrategyRate(rate, float(burst)), NOON, {"a": [], "b": []}
    for number, (strategy, gap) in enumerate(wishes):
        at += timedelta(milliseconds=gap)
        view = RiskView(at, 1.0, at, 1.0, 0.0, 1.0, 0.0, market_at=at)
        if check(an_intent(number, at, strategy_id=strategy), view) is None:
            passed[strategy].append(at)
    for times in passed.values():
        for first, begin in enumerate(times):
            for last in range(first, len(times)):
                allowed = burst + rate * (times[last] - begin).total_seconds()
                assert last - first + 1 <= allowed + 1e-6


@given(
    st.lists(st.lists(st.floats(min_value=0.0, max_value=1e9), min_size=1, max_size=4), min_size=4, max_size=4),
    st.lists(st.integers(min_value=0, max_value=15), max_size=12),
    st.booleans(),
)
def test_bars_that_are_lost_repeated_or_told_late_never_raise_an_average(days, again, restarted):
    bars = [
        a_bar("A", NOON + timedelta(days=day, minutes=minute), 100.0, volume)
        for day, bars_of_day in enumerate(days)
        for minute, volume in enumerate(bars_of_day)
    ]
    volumes = DailyVolumes(3)
    for number, bar in enumerate(bars):
        if number not in again:  # lost, and perhaps told after those behind it
            volumes.hear(bar)
        for other in again:
            if other <= number:
                volumes.hear(bars[min(other, number)])
    if restarted:
        notes, volumes = volumes.changed(), DailyVolumes(3)
        volumes.restore(notes)
    average = volumes.average("A", NOON + timedelta(days=3))
    true = [fsum(each) for each in days[:3]]
    assert not average > fsum(true) / 3 * (1 + 1e-9)


@given(
    st.lists(
        st.tuples(st.sampled_from(list(Side)), st.floats(min_value=0.1, max_value=20.0), st.booleans()),
        min_size=1,
        max_size=25,
    ),
    st.sampled_from([{}, {"A": 0.0}, {"A": 7.5}]),
)
def test_no_symbol_gets_shorter_than_was_located_however_orders_fill(wishes, located):
    limits = {"duplicate_window": 0, "short_selling": False, "located": located}
    stage = build_simulation(OrderSettings.model_validate({"mode": "simulation", "volume_cap": None, "limits": limits}))
    at = NOON
    stage.handlers[BarEvent](a_bar("A", at, 100.0))
    for number, (side, quantity, fills) in enumerate(wishes, start=1):
        terms = {"direction": side, "quantity": quantity, "time_in_force": TimeInForce.GTC}
        stage.handlers[OrderIntent](an_intent(number, at, **terms))
        stage.settle()
        if fills:
            at += timedelta(minutes=1)
            stage.handlers[BarEvent](a_bar("A", at, 100.0))
            stage.settle()
        assert stage.desk.positions.get("A", 0.0) >= -located.get("A", 0.0) - 1e-6


VALUES = {
    **{name: [2.0, 20.0] for name in ("max_order_quantity", "max_position")},
    **{name: [250.0, 2_500.0] for name in ("max_order_value", "max_symbol_notional", "max_gross_exposure")},
    **{name: [None, 250.0, 2_500.0] for name in ("max_net_exposure", "max_strategy_notional")},
    "max_volume_share": [None, 0.02, 0.2],
    "volume_days": [1, 2],
    "price_collar": [0.01, 0.1],
    "period_collar": [None, 0.01, 0.03],
    "collar_period": [60, 3600],
    "reference_max_age": [60, 600],
    "short_selling": [True, False],
    "located": [{}, {"A": 0.0}, {"A": 3.0}, {"B": 1.0}],
    "restricted": [[], ["A"], ["B"]],
}
WISHES = tuple(product(Side, (1.0, 4.0, 40.0), (None, 90.0, 98.0, 102.0)))
CHANGES = [(name, *pair) for name, values in VALUES.items() for pair in permutations(values, 2)]
SET = {"max_volume_share": 0.2, "volume_days": 1, "period_collar": 0.03}
"""Without these, other limits mean nothing."""


def refused(limits):
    """Which of the wishes a plane refuses that has seen some days of the market and trades nothing."""
    usual = {"max_order_value": 1e9, "max_symbol_notional": 1e9, "max_gross_exposure": 1e9, "duplicate_window": 0}
    wanted = OrderSettings.model_validate({"mode": "simulation", "limits": usual | limits})
    controls = Controls(wanted, always_open())
    for days, price in ((-2, 100.0), (-1, 104.0), (-0.01, 99.0), (0, 100.0)):
        controls.hear(a_bar("A", NOON + timedelta(days=days), price, volume=100.0 - 80.0 * days))
    found = set()
    for side, quantity, limit in WISHES:
        kind = OrderType.MARKET if limit is None else OrderType.LIMIT
        intent = an_intent(1, NOON, direction=side, quantity=quantity, order_type=kind, limit_price=limit)
        view = RiskView(NOON, 100.0, NOON - timedelta(seconds=90), limit or 100.0, 0.0, quantity, 0.0, books=Flat())
        if any(check(intent, view) is not None for check in controls.checks):
            found.add((side, quantity, limit))
    return found, wanted.limits


class Flat(NoBooks):
    """Books of an account that holds nothing."""

    def net(self, max_age):
        return 0.0, 0.0

    def strategy_notional(self, strategy_id, symbol, order):
        return 0.0, abs(order) * 100.0

    def lowest(self, symbol):
        return 0.0


@pytest.mark.parametrize(("name", "early", "late"), CHANGES)
@given(st.sampled_from(CHANGES))
@settings(max_examples=5)
def test_limits_that_may_be_reloaded_let_nothing_through_that_was_refused(name, early, late, other):
    others = SET | {other[0]: other[1]}
    (first, old), (second, new) = refused(others | {name: early}), refused(others | {name: late})
    assert loosened(old, new) or first <= second
