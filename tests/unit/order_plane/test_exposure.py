from math import isnan, nan

from order_plane.exposure import Exposure


def test_the_largest_position_assumes_that_only_the_worst_side_trades():
    exposure = Exposure()
    exposure.hold("A", 10.0)
    exposure.work("A", 5.0, buying=True)
    exposure.work("A", 30.0, buying=False)
    assert exposure.largest("A") == (20.0, 20.0)
    assert exposure.largest("A", 10.0) == (20.0, 25.0)
    assert exposure.largest("A", -10.0) == (20.0, 30.0)


def test_gross_adds_long_and_short():
    exposure = Exposure()
    exposure.hold("A", 10.0)
    exposure.hold("B", -4.0)
    assert exposure.gross({"A": 2.0, "B": 5.0}.__getitem__) == 40.0


def test_gross_follows_orders_between_two_prices():
    exposure, prices = Exposure(), {"A": 2.0, "B": 5.0}
    exposure.hold("A", 10.0)
    exposure.gross(prices.__getitem__)
    exposure.work("B", 2.0, buying=True)
    assert exposure.gross(prices.__getitem__) == 30.0
    exposure.work("B", -2.0, buying=True)
    assert exposure.gross(prices.__getitem__) == 20.0


def test_gross_follows_prices_once_told_that_they_moved():
    exposure, prices = Exposure(), {"A": 2.0}
    exposure.hold("A", 10.0)
    exposure.gross(prices.__getitem__)
    prices["A"] = 3.0
    exposure.stale = True
    assert exposure.gross(prices.__getitem__) == 30.0


def test_gross_is_unknown_while_a_price_is():
    exposure = Exposure()
    exposure.hold("A", 10.0)
    assert isnan(exposure.gross(lambda symbol: nan))


def test_dust_of_binary_fractions_is_no_position():
    exposure = Exposure()
    for _ in range(10):
        exposure.hold("A", 0.1)
    exposure.hold("A", -1.0)
    assert exposure.positions == {}
    assert exposure.largest("A") == (0.0, 0.0)
