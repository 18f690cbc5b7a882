from datetime import timedelta

import pytest

from strategy_plane.signals.order_flow import OrderFlow, order_flow_imbalance, queue_imbalance
from strategy_plane.signals.standardise import cross_section


@pytest.fixture
def three(scene):
    for number, (flows, bid, ask) in enumerate(
        [([10, 20, 30], 100, 100), ([100, 200, 300], 900, 1100), ([-5, 0, 5], 10, 30)]
    ):
        symbol = "ABC"[number]
        for place, flow in enumerate(flows):
            scene.flow(symbol, 0.5 + place / 100, flow, bid, ask)
        scene.bar(symbol, 1, 10.0)
    return scene


def test_flow_counts_in_units_of_depth(three):
    scores = OrderFlow(order_flow_imbalance, window=2)(three.at(1))
    # flows of the newest two intervals over the mean of both queues
    assert scores == pytest.approx(cross_section({"A": 50 / 100, "B": 500 / 1000, "C": 5 / 20}))
    assert scores["A"] == pytest.approx(scores["B"])


def test_the_ratio_of_queues_is_something_else(three):
    scores = OrderFlow(queue_imbalance, window=3)(three.at(1))
    assert scores == pytest.approx(cross_section({"A": 0.0, "B": -200 / 2000, "C": -20 / 40}))


def test_an_interval_that_ends_with_the_bar_is_too_late_for_it(three):
    before = OrderFlow(order_flow_imbalance, window=3)(three.at(1))
    three.flow("A", 1, 1e6, 100, 100)
    assert OrderFlow(order_flow_imbalance, window=3)(three.at(1)) == before


def test_symbols_without_a_full_window_or_a_bar_now_are_absent(three):
    three.flow("D", 0.9, 5, 1, 1)
    three.bar("D", 1, 10.0)
    assert OrderFlow(order_flow_imbalance, window=3)(three.at(1)).keys() == {"A", "B", "C"}
    three.bar("A", 2, 10.0)
    three.bar("B", 2, 10.0)
    assert OrderFlow(order_flow_imbalance, window=3)(three.at(2)).keys() == {"A", "B"}


def test_empty_queues_have_no_depth_and_no_imbalance(scene):
    for symbol in "AB":
        scene.flow(symbol, 0.5, 3, 0, 0)
        scene.bar(symbol, 1, 10.0)
    assert OrderFlow(order_flow_imbalance, window=1)(scene.at(1)) == {}
    assert OrderFlow(queue_imbalance, window=1)(scene.at(1)) == {"A": 0.0, "B": 0.0}


@pytest.mark.parametrize("measure", [order_flow_imbalance, queue_imbalance])
def test_order_flow_counts_until_it_is_too_old(three, measure):
    for day in (7, 8, 400):
        for symbol in "ABC":
            three.bar(symbol, day, 10.0)
    assert OrderFlow(measure, window=3)(three.at(7)) == OrderFlow(measure, window=3)(three.at(1)) != {}
    assert OrderFlow(measure, window=3)(three.at(8)) == OrderFlow(measure, window=3)(three.at(400)) == {}
    assert OrderFlow(measure, window=3, max_age=timedelta(days=400))(three.at(400)) != {}


@pytest.mark.parametrize("measure", [order_flow_imbalance, queue_imbalance])
def test_a_window_does_not_reach_over_a_long_silence(three, measure):
    for symbol in "ABC":
        three.flow(symbol, 399.9, 7, 100, 50)
        three.bar(symbol, 400, 10.0)
    assert OrderFlow(measure, window=2)(three.at(400)) == {}
    assert OrderFlow(measure, window=1)(three.at(400)).keys() == {"A", "B", "C"}
