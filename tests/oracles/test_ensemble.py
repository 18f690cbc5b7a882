"""How signals are trusted and sized, against pandas and statsmodels; weights under caps and targets against solvers."""

import math

import numpy as np
import pytest

from strategy_plane.ensemble.information import Outcome
from strategy_plane.ensemble.weighting import ScoreCorrelation, ScoreScale, Trust, grinold, shrunk_ic
from strategy_plane.optimizers.port import FactorRisk
from strategy_plane.regime.gate import Exposure, curbed
from strategy_plane.sizing import ewma_volatility, volatility_scale
from strategy_plane.strategies.dual_momentum import capped_equal_weights
from strategy_plane.strategies.momentum_mean_variance import Conversion

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("half_life", [4.0, 20.0])
def test_what_shrinks_an_ic_is_the_number_of_outcomes_that_pandas_counts(oracle, half_life: float):
    """Its unbiased variance is the biased one times n / (n - 1), with n the effective number of observations."""
    ics = np.random.default_rng(1).normal(0.03, 0.1, 30)
    faded = oracle("pandas").Series(ics).ewm(halflife=half_life)
    unbiased = float(faded.var(bias=False).iloc[-1] / faded.var(bias=True).iloc[-1])
    count, mean = unbiased / (unbiased - 1.0) / 3.0, float(faded.mean().iloc[-1])
    trust = Trust(half_life=half_life, prior_ic=0.02, prior_weight=8.0, floor=-1.0)
    found = shrunk_ic([Outcome(ic, 0.0, 0.0, 1.0) for ic in ics.tolist()], trust, overlap=3.0)
    assert found == pytest.approx((mean * count + 0.02 * 8.0) / (count + 8.0))


def test_shrinking_is_the_mixed_regression_of_theil_and_goldberger_in_statsmodels(oracle):
    """A prior as sure as eight outcomes is worth eight outcomes that say so; nothing fades here."""
    linear = oracle("statsmodels.regression.linear_model")
    ics = np.random.default_rng(2).normal(0.03, 0.1, 40)
    seen = np.append(ics, 0.02)
    theirs = linear.WLS(seen, np.ones(41), weights=np.append(np.ones(40), 8.0)).fit().params[0]
    trust = Trust(half_life=1e12, prior_ic=0.02, prior_weight=8.0, floor=-1.0)
    found = shrunk_ic([Outcome(ic, 0.0, 0.0, 1.0) for ic in ics.tolist()], trust, overlap=1.0)
    assert found == pytest.approx(float(theirs))


def spoken() -> list[np.ndarray]:
    generator = np.random.default_rng(3)
    return [
        generator.normal(0.0, 1.0, (6, 3)) @ np.array([[1.0, 0.5, 0], [0, 0.4, 0], [0, 0.2, 0.1]]) for _ in range(9)
    ]


def test_correlations_of_scores_are_those_of_numpys_weighted_covariance():
    """Around zero: the mirrored scores of a moment, too, weighing as much, take the mean away."""
    found, rows, weights = ScoreCorrelation("abc", Trust(half_life=4.0, prior_weight=0.0), shrinkage=0.0), [], []
    for moment, scores in enumerate(spoken()):
        found.add({name: dict(zip("UVWXYZ", scores[:, place], strict=True)) for place, name in enumerate("abc")})
        rows.append(np.vstack([scores, -scores]))
        weights.append(np.full(12, 0.5 ** ((8 - moment) / 4.0)))
    covariance = np.cov(np.vstack(rows), rowvar=False, aweights=np.concatenate(weights))
    deviations = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(found.matrix(), covariance / np.outer(deviations, deviations), rtol=1e-9)


def test_the_size_of_scores_is_that_of_pandas(oracle):
    scale, squares = ScoreScale(["s"], half_life=4.0, limit=math.inf), []
    for scores in spoken():
        scale.add({"s": dict(zip("UVWXYZ", scores[:, 0], strict=True))})
        squares.append(float(np.mean(scores[:, 0] ** 2)))
    size = math.sqrt(oracle("pandas").Series(squares).ewm(halflife=4.0).mean().iloc[-1])
    assert scale.standard({"s": {"U": 1.5}})["s"]["U"] == pytest.approx(1.5 / size)


def test_a_forecast_is_the_regression_of_returns_on_scores_in_statsmodels(oracle):
    """With the IC of the sample, alpha = IC sigma z is what least squares fit; a score says it for one horizon."""
    sm, generator = oracle("statsmodels.api"), np.random.default_rng(4)
    scores = generator.normal(0.0, 1.0, 300)
    scores = (scores - scores.mean()) / scores.std()
    returns = 0.01 * scores + generator.normal(0.0, 0.08, 300)
    returns -= returns.mean()
    expected = sm.OLS(returns, scores).fit().fittedvalues
    ic = float(np.corrcoef(scores, returns)[0, 1])
    annual = np.full(300, returns.std() * math.sqrt(252 / 21))
    assert grinold(ic * scores, annual, 21, 252.0) / 12.0 == pytest.approx(expected)
    yearly = Conversion(ic).expected(scores, FactorRisk(np.zeros((300, 1)), np.full(300, returns.var())))
    assert yearly == pytest.approx(expected)  # there the horizon is a year


@pytest.mark.parametrize("sizes", [(1, 3, 1), (4, 2, 1), (1, 1, 1), (2, 5, 3)])
def test_capped_weights_are_those_of_a_solver(oracle, sizes: tuple[int, ...]):
    """As much as the caps let, and then as equal as they let: the least sum of squares."""
    cp = oracle("cvxpy")
    markets = np.repeat(np.arange(len(sizes)), sizes)
    weights = cp.Variable(len(markets), nonneg=True)
    caps = [weights <= 0.3, *(cp.sum(weights[markets == m]) <= 0.45 for m in range(len(sizes))), cp.sum(weights) <= 1]
    most = cp.Problem(cp.Maximize(cp.sum(weights)), caps).solve(solver=cp.CLARABEL)
    cp.Problem(cp.Minimize(cp.sum_squares(weights)), [*caps, cp.sum(weights) >= most - 1e-9]).solve(solver=cp.CLARABEL)
    names = {f"M{m}": [f"{m}-{place}" for place in range(size)] for m, size in enumerate(sizes)}
    found = capped_equal_weights(names, cap=0.3, market_cap=0.45)
    assert [found[symbol] for symbols in names.values() for symbol in symbols] == pytest.approx(
        weights.value.tolist(), abs=1e-5
    )


def test_what_a_regime_leaves_is_as_much_in_proportion_as_a_solver_finds(oracle):
    cp, held = oracle("cvxpy"), {"A": 0.9, "B": -0.4, "C": 0.7}
    share, weights = cp.Variable(), np.array(list(held.values()))
    bounds = [cp.norm1(share * weights) <= 1.0, cp.abs(cp.sum(share * weights)) <= 0.4, share <= 1.0]
    most = cp.Problem(cp.Maximize(share), bounds).solve(solver=cp.CLARABEL)
    found = curbed(held, Exposure(1.0, 0.4), slack=0.0)
    assert found is not None
    assert list(found.values()) == pytest.approx((most * weights).tolist(), abs=1e-6)


def test_scaled_returns_have_the_wanted_volatility_in_pandas(oracle):
    returns = np.random.default_rng(5).normal(0.0, 0.012, 200)
    scale = volatility_scale(0.1, ewma_volatility(returns, 20.0), largest=5.0)
    squares = oracle("pandas").Series(scale * returns).pow(2).ewm(halflife=20.0).mean()
    assert math.sqrt(squares.iloc[-1] * 252.0) == pytest.approx(0.1)
