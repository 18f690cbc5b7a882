import pytest

from domain.costs import BasisPoints, BasisPointSlippage, PerOrder, PerShare, RangeSlippage


@pytest.mark.parametrize(
    ("model", "quantity", "value", "expected"),
    [
        (PerOrder(1.0), 10.0, 1_000.0, 1.0),
        (PerShare(0.005, minimum=1.0), 100.0, 5_000.0, 1.0),
        (PerShare(0.005, minimum=1.0), 1_000.0, 50_000.0, 5.0),
        (BasisPoints(2.0), 100.0, 10_000.0, 2.0),
        (BasisPoints(2.0, minimum=3.0), 100.0, 10_000.0, 3.0),
    ],
)
def test_commission_of_a_filled_order(model, quantity, value, expected):
    assert model(quantity, value) == pytest.approx(expected)


@pytest.mark.parametrize("model", [PerOrder(1.0), PerShare(0.005, 1.0), BasisPoints(2.0, 1.0)])
def test_an_order_of_which_nothing_is_filled_costs_nothing(model):
    assert model(0.0, 0.0) == 0.0


def test_a_fee_per_order_is_paid_once_however_many_fills_there_are():
    fee = PerOrder(1.0)
    assert fee(100.0, 5_000.0) - fee(40.0, 2_000.0) == 0.0


def test_slippage_is_a_distance_from_the_reference():
    assert BasisPointSlippage(1.0)(250.0, 260.0, 240.0) == pytest.approx(0.025)
    assert RangeSlippage(0.1)(250.0, 260.0, 240.0) == pytest.approx(2.0)


@pytest.mark.parametrize(("shares", "commission"), [(100.0, 1.0), (1_000.0, 5.0)])
def test_the_published_commissions_of_interactive_brokers(shares: float, commission: float):
    """Their examples of fixed pricing of US stocks at 25 dollars: half a cent a share, at least a dollar.

    A third, of shares at 0.25 dollars, is capped at one percent of the value, which is not modelled.
    """
    assert PerShare(0.005, minimum=1.0)(shares, 25.0 * shares) == pytest.approx(commission)


def test_the_published_slippage_of_a_market_order():
    """greeks.live, what is slippage: 100 dollars expected and filled at 100.05 are 5 cents, or 0.05 %."""
    assert BasisPointSlippage(5.0)(100.0, 101.0, 99.0) == pytest.approx(0.05)
