"""Allocation rules, blended views and estimates of risk against PyPortfolioOpt and skfolio."""

import numpy as np
import pytest

from strategy_plane.optimizers.black_litterman import View, equilibrium_returns, posterior, uncertainty_of
from strategy_plane.optimizers.covariance import ewma_covariance, factor_form, repaired, sample_covariance
from strategy_plane.optimizers.factor_risk import factor_count, principal_factor_risk
from strategy_plane.optimizers.hierarchical_risk_parity import hierarchical_risk_parity
from strategy_plane.optimizers.mean_variance import MeanVariance
from strategy_plane.optimizers.minimum_variance import MinimumVariance
from strategy_plane.optimizers.port import AllocationStatus, Limits
from strategy_plane.optimizers.risk_based import equal_weight, inverse_volatility
from strategy_plane.optimizers.risk_parity import risk_parity
from strategy_plane.sizing import invested, units_of, whole_lots

pytestmark = pytest.mark.filterwarnings("ignore")
LONG = Limits(gross=1.0, net=1.0, box=0.35, turnover=10.0, long_only=True)


@pytest.fixture(params=[1, 2, 3])
def returns(request: pytest.FixtureRequest) -> np.ndarray:
    """Daily returns of eight assets with a common part."""
    generator = np.random.default_rng(request.param)
    scale = generator.uniform(0.005, 0.03, 8)
    return (generator.normal(0.0, 1.0, (400, 1)) + generator.normal(0.0, 1.0, (400, 8))) * scale + 0.0005


@pytest.fixture
def covariance(returns: np.ndarray) -> np.ndarray:
    return np.cov(returns, rowvar=False) * 252.0


def frame(oracle, values: np.ndarray, prefix: str = "A"):
    names = [f"{prefix}{place}" for place in range(values.shape[1])]
    return oracle("pandas").DataFrame(values, columns=names)


def squared(oracle, covariance: np.ndarray):
    found = frame(oracle, covariance)
    found.index = found.columns
    return found


def test_hierarchical_risk_parity_where_the_tree_leaves_no_choice(oracle):
    """Conventions differ in how they cluster; pairs of pairs that hardly resemble others look the same to all."""
    generator = np.random.default_rng(9)
    common, pairs = generator.normal(0.0, 1.0, (5000, 2)), generator.normal(0.0, 1.0, (5000, 4))
    parts = [common[:, [0, 0, 1, 1]] + 0.6 * pairs]
    base = np.repeat(parts[0], 2, axis=1) + 0.15 * generator.normal(0.0, 1.0, (5000, 8))
    moves = base * generator.uniform(0.005, 0.03, 8)
    cluster = oracle("skfolio.cluster")
    single = cluster.HierarchicalClustering(linkage_method=cluster.LinkageMethod.SINGLE)
    rule = oracle("skfolio.optimization").HierarchicalRiskParity(hierarchical_clustering_estimator=single)
    expected = rule.fit(frame(oracle, moves)).weights_
    found = hierarchical_risk_parity(factor_form(np.cov(moves, rowvar=False)))
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-6)


@pytest.mark.parametrize("tau", [0.05, 0.3])
def test_blended_returns_are_those_of_pypfopt(oracle, covariance: np.ndarray, tau: float):
    market = np.arange(1.0, 9.0) / 36.0
    picks = np.array([[1.0, 0, 0, -1.0, 0, 0, 0, 0], [0, 0.5, 0.5, 0, 0, 0, 0, -1.0]])
    values, confidences = np.array([0.03, -0.01]), [0.3, 0.8]
    implied = equilibrium_returns(2.5, covariance, market)
    sizes = oracle("pandas").Series(7e9 * market, [f"A{place}" for place in range(8)])
    prior = oracle("pypfopt.black_litterman").market_implied_prior_returns(sizes, 2.5, squared(oracle, covariance))
    assert implied.tolist() == pytest.approx(prior.tolist())
    model = oracle("pypfopt").BlackLittermanModel(
        squared(oracle, covariance),
        pi=implied.reshape(-1, 1),
        Q=values,
        P=picks,
        omega="idzorek",
        view_confidences=confidences,
        tau=tau,
    )
    views = [
        View(pick, value, uncertainty_of(confidence, pick, covariance, tau))
        for pick, value, confidence in zip(picks, values.tolist(), confidences, strict=True)
    ]
    found = posterior(implied, covariance, views, tau)
    assert found.expected.tolist() == pytest.approx(model.bl_returns().tolist())
    np.testing.assert_allclose(found.covariance, model.bl_cov().to_numpy(), rtol=1e-8)


def test_minimum_variance_is_that_of_pypfopt(oracle, covariance: np.ndarray):
    theirs = oracle("pypfopt").EfficientFrontier(None, squared(oracle, covariance), weight_bounds=(0.0, 0.35))
    theirs.min_volatility()
    found = MinimumVariance()(np.zeros(8), factor_form(covariance), np.zeros(8), LONG)
    assert found.status is AllocationStatus.OPTIMAL
    least = theirs.weights @ covariance @ theirs.weights
    assert found.weights @ covariance @ found.weights == pytest.approx(least, rel=1e-5)
    assert found.weights.tolist() == pytest.approx(list(theirs.weights), abs=2e-4)


@pytest.mark.parametrize("aversion", [1.0, 6.0])
def test_mean_variance_reaches_the_utility_of_pypfopt(oracle, covariance: np.ndarray, aversion: float):
    expected = np.random.default_rng(5).normal(0.05, 0.1, 8)
    theirs = oracle("pypfopt").EfficientFrontier(expected, squared(oracle, covariance), weight_bounds=(0.0, 0.35))
    theirs.max_quadratic_utility(risk_aversion=aversion)  # all of it invested, as the floor asks of ours
    optimizer = MeanVariance(aversion)
    invested = Limits(gross=1.0, net=1.0, box=0.35, turnover=10.0, long_only=True, net_floor=1.0)
    found = optimizer(expected, factor_form(covariance), np.zeros(8), invested)
    assert found.status is AllocationStatus.OPTIMAL
    reached = [w @ expected - aversion / 2 * w @ covariance @ w for w in (found.weights, theirs.weights)]
    assert reached[0] == pytest.approx(reached[1], abs=1e-5)


def test_risk_parity_and_inverse_volatility_are_those_of_skfolio(oracle, returns: np.ndarray):
    rules = oracle("skfolio.optimization")
    risk = factor_form(np.cov(returns, rowvar=False))
    data = frame(oracle, returns)
    assert risk_parity(risk).tolist() == pytest.approx(rules.RiskBudgeting().fit(data).weights_.tolist(), abs=5e-5)
    assert inverse_volatility(risk).tolist() == pytest.approx(rules.InverseVolatility().fit(data).weights_.tolist())
    assert equal_weight(risk).tolist() == pytest.approx(rules.EqualWeighted().fit(data).weights_.tolist())


def test_the_weighted_covariance_is_that_of_pandas(oracle, returns: np.ndarray):
    """Pandas demeans; around zero the two halves of mirrored returns make its mean vanish."""
    pd = oracle("pandas")
    found = ewma_covariance(returns, 252.0, half_life=30.0)
    ages = np.arange(len(returns) - 1, -1, -1)
    mirrored = pd.DataFrame(np.repeat(returns, 2, axis=0) * np.tile([1.0, -1.0], len(returns))[:, None])
    weights = np.repeat(0.5 ** (ages / 30.0), 2)
    expected = np.cov(mirrored.to_numpy(), rowvar=False, aweights=weights, ddof=0) * 252.0
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    single = pd.Series(returns[:, 0] ** 2).ewm(halflife=30.0).mean().iloc[-1] * 252.0
    assert found[0, 0] == pytest.approx(single)


def test_the_factor_model_has_the_common_part_of_scikit_learn(oracle):
    generator = np.random.default_rng(6)
    returns = 0.01 * (generator.normal(0.0, 0.5, (400, 1)) + generator.normal(0.0, 1.0, (400, 30)))
    found, kept = principal_factor_risk(returns, 1.0), factor_count(30, len(returns))
    theirs = oracle("sklearn.decomposition").PCA(kept).fit(returns)
    common = (theirs.components_.T * theirs.explained_variance_) @ theirs.components_
    np.testing.assert_allclose(found.loadings @ found.loadings.T, common, atol=1e-9)


def test_whole_units_of_a_weight_are_those_of_pypfopt(oracle):
    """Their greedy allocation of one asset buys what its weight pays for; cash kept back is a smaller portfolio."""
    allocate, pd = oracle("pypfopt").DiscreteAllocation, oracle("pandas")
    generator = np.random.default_rng(7)
    for _ in range(50):
        equity, price = generator.uniform([1e3, 1.0], [1e6, 800.0]).tolist()
        theirs, _ = allocate(
            {"A": 1.0}, pd.Series({"A": price}), total_portfolio_value=0.95 * equity
        ).greedy_portfolio()
        weight = invested({"A": 1.0}, 0.05)["A"]
        assert whole_lots(units_of(weight, equity, price), 1.0) == theirs.get("A", 0)


def test_a_repair_is_that_of_pypfopt(oracle, covariance: np.ndarray):
    """They raise negative eigenvalues to zero, ours to a hundred millionth of the largest."""
    values, vectors = np.linalg.eigh(covariance)
    values[0] = -0.002 * values[-1]
    broken = (vectors * values) @ vectors.T
    theirs = oracle("pypfopt.risk_models").fix_nonpositive_semidefinite(squared(oracle, broken))
    np.testing.assert_allclose(repaired(broken).covariance, theirs.to_numpy(), atol=2e-8 * values[-1])


def test_the_sample_covariance_is_that_of_pypfopt(oracle, returns: np.ndarray):
    theirs = oracle("pypfopt.risk_models").sample_cov(frame(oracle, returns), returns_data=True, frequency=252)
    np.testing.assert_allclose(sample_covariance(returns, 252.0), theirs.to_numpy(), rtol=1e-9)
