"""Costs in weights are costs in money."""

import numpy as np
import pytest

from strategy_plane.optimizers.costs import impact_costs, participation_costs
from strategy_plane.optimizers.mean_variance import MeanVariance
from strategy_plane.optimizers.minimum_variance import MinimumVariance
from strategy_plane.optimizers.port import FactorRisk, Limits

SPREAD, VOLATILITY, VALUE = np.array([0.0005, 0.001]), np.array([0.02, 0.01]), np.array([1e8, 2e7])
EQUITY = 1e7


def test_a_change_costs_what_its_trades_cost():
    costs = impact_costs(SPREAD, VOLATILITY, VALUE, EQUITY, impact=0.8, per_year=12.0)
    changes = np.array([0.3, -0.1])
    traded = np.abs(changes) * EQUITY
    moved = 0.8 * VOLATILITY * traded / VALUE
    assert costs.annual(changes) * EQUITY == pytest.approx(12.0 * float(np.sum(traded * (SPREAD + moved))))


def test_more_impact_trades_less_in_every_optimizer_that_counts_it():
    risk = FactorRisk(np.zeros((2, 1)), np.array([0.04, 0.04]))
    limits = Limits(gross=1.0, net=1.0, box=1.0)
    for optimizer in (MeanVariance(2.0), MinimumVariance()):
        moved = []
        for impact in (0.0, 1.0, 20.0):
            costs = impact_costs(SPREAD, VOLATILITY, VALUE, EQUITY, impact, 12.0)
            weights = optimizer(np.array([0.02, 0.1]), risk, np.array([0.9, 0.1]), limits, costs).weights
            moved.append(float(np.abs(weights - np.array([0.9, 0.1])).sum()))
        assert moved[0] > moved[1] > moved[2] > 0.0


@pytest.mark.parametrize(
    "bad",
    [
        {"half_spread": -SPREAD},
        {"daily_volatility": np.array([np.nan, 0.1])},
        {"daily_value": np.array([0.0, 1.0])},
        {"equity": 0.0},
        {"impact": -1.0},
    ],
)
def test_costs_that_make_no_sense_are_refused(bad):
    given = {
        "half_spread": SPREAD,
        "daily_volatility": VOLATILITY,
        "daily_value": VALUE,
        "equity": EQUITY,
        "impact": 1.0,
        "per_year": 12.0,
    }
    with pytest.raises(ValueError, match="must be"):
        impact_costs(**(given | bad))


def test_the_published_cost_of_trading_a_hundredth_of_a_days_volume():
    """Almgren and Chriss (2001), numerical examples: 5 million shares a day at 50 dollars, a spread of 1/8, of which
    every share pays half, and an impact of one spread for each hundredth of the daily volume that is traded; the same
    in multiples of any daily volatility.
    """
    value, shares, half, impact = np.array([5e6 * 50.0]), 50_000, np.array([1 / 16 / 50]), 1 / 8 / 50 / 0.01
    traded, daily = np.array([shares * 50 / EQUITY]), np.array([0.019])
    costs = participation_costs(half, np.array([impact]), value, EQUITY, per_year=1.0)
    assert costs.annual(traded) * EQUITY == pytest.approx(shares * (1 / 16 + 1 / 8))
    costs = impact_costs(half, daily, value, EQUITY, impact / 0.019, per_year=1.0)
    assert costs.annual(traded) * EQUITY == pytest.approx(shares * (1 / 16 + 1 / 8))
