"""What trading costs, assumed and learned, against backtrader, cvxportfolio, filterpy and statsmodels."""

import math

import numpy as np
import pytest

from domain.costs import BasisPoints, BasisPointSlippage, PerShare
from order_plane.execution_costs import CostOfSymbol, ImpactFit
from strategy_plane.optimizers.costs import impact_costs, participation_costs

pytestmark = pytest.mark.filterwarnings("ignore")
EQUITY = 1e7
SPREAD, VOLATILITY, VALUE = np.array([0.0005, 0.001, 0.0]), np.array([0.02, 0.01, 0.03]), np.array([1e8, 2e7, 3e6])


def test_commissions_are_those_of_backtrader(oracle):
    bt = oracle("backtrader").CommInfoBase
    percent = bt(commission=0.0002, commtype=bt.COMM_PERC, percabs=True, stocklike=True)
    each = bt(commission=0.005, commtype=bt.COMM_FIXED)
    for quantity, price in ((1.0, 0.5), (300.0, 41.25), (12_345.0, 7.0)):
        assert BasisPoints(2.0)(quantity, quantity * price) == pytest.approx(percent.getcommission(quantity, price))
        assert PerShare(0.005)(quantity, quantity * price) == pytest.approx(each.getcommission(quantity, price))


def test_slippage_is_that_of_backtrader(oracle):
    broker = oracle("backtrader").brokers.BackBroker(slip_perc=0.0003)
    for price in (0.35, 250.0):
        assert price + BasisPointSlippage(3.0)(price, price, price) == pytest.approx(broker._slip_up(1e9, price))


def cost_of_cvxportfolio(oracle, changes: np.ndarray, fixed: np.ndarray, impact: float, sigma: np.ndarray) -> float:
    """Their cost of one rebalance in fractions of equity; with an exponent of two impact is linear in size."""
    cvx, cp, pd = oracle("cvxportfolio"), oracle("cvxpy"), oracle("pandas")
    names, moment = pd.Index(["A", "B", "C", "cash"]), pd.Timestamp("2024-01-02")
    model = cvx.TransactionCost(
        a=pd.Series(fixed, names[:-1]),
        b=impact,
        volume_hat=pd.Series(VALUE, names[:-1]),
        sigma=pd.Series(sigma, names[:-1]),
        exponent=2,
    )
    model.initialize_estimator_recursive(universe=names, trading_calendar=pd.DatetimeIndex([moment]))
    traded = cp.Variable(4)
    cost = model.compile_to_cvxpy(w_plus=traded, z=traded, w_plus_minus_w_bm=traded)
    unread = dict.fromkeys(["past_returns", "past_volumes", "current_weights", "current_prices"])
    model.values_in_time_recursive(t=moment, current_portfolio_value=EQUITY, mpo_step=0, **unread)
    traded.value = np.append(changes, -changes.sum())
    return float(cost.value)


@pytest.mark.parametrize("changes", [[0.3, -0.1, 0.02], [0.0, 0.5, -0.5]])
def test_a_rebalance_costs_what_cvxportfolio_says(oracle, changes: list[float]):
    moved = np.array(changes)
    found = impact_costs(SPREAD, VOLATILITY, VALUE, EQUITY, impact=0.8, per_year=12.0)
    theirs = cost_of_cvxportfolio(oracle, moved, SPREAD, 0.8, VOLATILITY)
    assert found.annual(moved) == pytest.approx(12.0 * theirs, rel=1e-9)
    learned = participation_costs(SPREAD, np.array([0.1, 0.2, 0.0]), VALUE, EQUITY, per_year=4.0)
    theirs = cost_of_cvxportfolio(oracle, moved, SPREAD, 1.0, np.array([0.1, 0.2, 0.0]))
    assert learned.annual(moved) == pytest.approx(4.0 * theirs, rel=1e-9)


def executions(count: int = 300) -> tuple[list[float], list[float]]:
    generator = np.random.default_rng(2)
    shares = generator.uniform(0.001, 0.3, count)
    return shares.tolist(), (0.001 + 0.4 * shares + generator.normal(0.0, 0.002, count)).tolist()


@pytest.mark.parametrize("forgetting", [1.0, 0.995, 0.9])
def test_what_is_learned_is_what_a_kalman_filter_of_filterpy_learns(oracle, forgetting: float):
    """Recursive least squares is the filter of a state that stands still and whose covariance grows as fast as is
    forgotten (Sayed and Kailath 1994). Ours does not grow beyond where it began, which only the first steps show.
    """
    theirs, fit = oracle("filterpy.kalman").KalmanFilter(2, 1), ImpactFit(forgetting)
    theirs.x, theirs.P = np.zeros((2, 1)), np.eye(2) * 1e6
    for number, (share, cost) in enumerate(zip(*executions(), strict=True)):
        fit.learn(share, cost)
        theirs.update(cost, R=forgetting, H=np.array([[1.0, share]]))
        theirs.P /= forgetting
        if number > 200:
            assert [fit.fixed, fit.impact] == pytest.approx(theirs.x.ravel().tolist(), rel=1e-6)


@pytest.mark.parametrize("forgetting", [1.0, 0.995, 0.9])
def test_coefficients_and_their_error_are_those_of_weighted_least_squares(oracle, forgetting: float):
    """Statsmodels takes weights for precisions of whole observations and divides by their number less two; here they
    say how much of an observation is left, so it is their sum less two.
    """
    sm, fit = oracle("statsmodels.api"), ImpactFit(forgetting)
    shares, costs = executions()
    for pair in zip(shares, costs, strict=True):
        fit.learn(*pair)
    weights = forgetting ** np.arange(len(shares) - 1.0, -1.0, -1.0)
    theirs = sm.WLS(costs, sm.add_constant(shares), weights=weights).fit()
    assert [fit.fixed, fit.impact] == pytest.approx(theirs.params.tolist(), rel=1e-4)
    counted = math.sqrt((len(shares) - 2.0) / (weights.sum() - 2.0))
    assert fit.impact_error == pytest.approx(theirs.bse[1] * counted, rel=1e-3)


def test_mean_slippage_is_that_of_statsmodels(oracle):
    generator = np.random.default_rng(5)
    quantities, costs = generator.integers(1, 500, 60).astype(float), generator.normal(0.001, 0.002, 60)
    learned = CostOfSymbol(ImpactFit(0.97))
    for quantity, cost in zip(quantities.tolist(), costs.tolist(), strict=True):
        learned.learn(quantity, 1e4, cost)
    weights = quantities * 0.97 ** np.arange(59.0, -1.0, -1.0)
    theirs = oracle("statsmodels.stats.weightstats").DescrStatsW(costs, weights)
    assert learned.slippage == pytest.approx(float(theirs.mean))
