"""The optimizer answers right, the same each time, and keeps current weights when anything is amiss."""

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

from strategy_plane.optimizers import mean_variance
from strategy_plane.optimizers.covariance import factor_form
from strategy_plane.optimizers.mean_variance import MeanVariance, slack_of
from strategy_plane.optimizers.port import AllocationStatus, FactorRisk, GroupLimit, Limits, TradingCosts
from strategy_plane.optimizers.quadratic_program import Program, Shape

LIMITS = Limits(gross=2.0, net=0.1, box=0.3, turnover=10.0)


def instance(assets: int = 12, seed: int = 0) -> tuple[np.ndarray, FactorRisk, np.ndarray]:
    generator = np.random.default_rng(seed)
    loadings = generator.normal(0.0, 0.2, (assets, 3))
    risk = FactorRisk(loadings, generator.uniform(0.01, 0.1, assets))
    return generator.normal(0.03, 0.1, assets), risk, np.zeros(assets)


def test_agrees_with_another_solver_on_the_plain_formulation():
    for seed in range(5):
        expected, risk, current = instance(seed=seed)
        allocation = MeanVariance(4.0)(expected, risk, current, LIMITS)
        weights = cp.Variable(len(expected))
        covariance = risk.loadings @ risk.loadings.T + np.diag(risk.specific)
        problem = cp.Problem(
            cp.Maximize(expected @ weights - 2.0 * cp.quad_form(weights, cp.psd_wrap(covariance))),
            [cp.norm1(weights) <= 2.0, cp.abs(cp.sum(weights)) <= 0.1, cp.abs(weights) <= 0.3],
        )
        problem.solve(solver=cp.OSQP, eps_abs=1e-9, eps_rel=1e-9, max_iter=200_000)
        assert allocation.status is AllocationStatus.OPTIMAL
        np.testing.assert_allclose(allocation.weights, weights.value, atol=1e-5)


def test_without_binding_limits_the_closed_form_holds():
    expected, risk, current = instance()
    covariance = risk.loadings @ risk.loadings.T + np.diag(risk.specific)
    loose = Limits(gross=90.0, net=90.0, box=50.0, turnover=90.0)
    allocation = MeanVariance(5.0)(expected, risk, current, loose)
    np.testing.assert_allclose(allocation.weights, np.linalg.solve(5.0 * covariance, expected), atol=2e-6)


def test_very_high_risk_aversion_is_still_answered_right():
    expected, risk, current = instance()
    covariance = risk.loadings @ risk.loadings.T + np.diag(risk.specific)
    allocation = MeanVariance(2000.0)(expected, risk, current, replace(LIMITS, net=2.0))
    np.testing.assert_allclose(allocation.weights, np.linalg.solve(2000.0 * covariance, expected), atol=1e-6)


def test_the_answer_does_not_depend_on_earlier_questions():
    used, asked = MeanVariance(2.0), [instance(seed=seed) for seed in range(6)]
    first = [used(*question, LIMITS).weights for question in asked]
    again = [used(*question, LIMITS).weights for question in reversed(asked)][::-1]
    fresh = [MeanVariance(2.0)(*question, LIMITS).weights for question in asked]
    for one, other, third in zip(first, again, fresh, strict=True):
        assert one.tobytes() == other.tobytes() == third.tobytes()


def test_the_problem_is_laid_out_once_per_shape(monkeypatch: pytest.MonkeyPatch):
    built = []
    monkeypatch.setattr(mean_variance, "Program", lambda shape: built.append(shape) or Program(shape))
    optimizer = MeanVariance(2.0)
    for seed in range(3):
        optimizer(*instance(12, seed), LIMITS)
        optimizer(*instance(7, seed), LIMITS)
        optimizer(*instance(7, seed), replace(LIMITS, volatility=0.1))
    assert built == [Shape(12, 3, False, False, ()), Shape(7, 3, False, False, ()), Shape(7, 3, False, True, ())]


@pytest.mark.parametrize("place", ["expected", "loadings", "specific", "current"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_keep_the_current_weights(place: str, bad: float):
    expected, risk, current = instance()
    loadings, specific = risk.loadings.copy(), risk.specific.copy()
    {"expected": expected, "loadings": loadings, "specific": specific, "current": current}[place].flat[3] = bad
    allocation = MeanVariance(2.0)(expected, FactorRisk(loadings, specific), current, LIMITS)
    assert allocation.status is AllocationStatus.KEPT
    assert "not finite" in allocation.diagnosis
    assert allocation.weights is current


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        (replace(LIMITS, turnover=0.2), "turnover: too small to bring the current weights within box, gross, net"),
        (replace(LIMITS, outside_gross=2.5), "gross"),
        (replace(LIMITS, box=-0.1), "a limit is negative"),
        (replace(LIMITS, outside_net=5.0), "net: what is held outside"),
        (replace(LIMITS, outside_net=0.5, long_only=True), "net: what is held outside"),
    ],
)
def test_limits_that_cannot_be_kept_are_named(limits: Limits, named: str):
    expected, risk, _ = instance()
    current = np.full(12, 0.5)
    allocation = MeanVariance(2.0)(expected, risk, current, limits)
    assert allocation.status is AllocationStatus.KEPT
    assert named in allocation.diagnosis
    assert allocation.weights is current


def test_limits_that_conflict_only_together_are_found_by_the_solver():
    expected, risk, _ = instance()
    current = np.array([0.5, -0.3, -0.3] + [0.0] * 9)  # selling 0.2 for the box needs buying 0.2 for net
    allocation = MeanVariance(2.0)(expected, risk, current, replace(LIMITS, turnover=0.3))
    assert allocation.status is AllocationStatus.KEPT
    assert "infeasible" in allocation.diagnosis


def test_misfitting_or_empty_input_keeps_the_current_weights():
    expected, risk, current = instance()
    assert "differ in length" in MeanVariance(2.0)(expected[:-1], risk, current, LIMITS).diagnosis
    nothing = np.empty(0)
    assert "nothing" in MeanVariance(2.0)(nothing, FactorRisk(np.empty((0, 1)), nothing), nothing, LIMITS).diagnosis
    no_risk = FactorRisk(risk.loadings, np.zeros(12))
    assert "positive" in MeanVariance(2.0)(expected, no_risk, current, LIMITS).diagnosis


def test_without_views_risk_is_brought_down():
    _, risk, current = instance()
    allocation = MeanVariance(2.0)(np.zeros(12), risk, np.full(12, 0.05), replace(LIMITS, net=1.0))
    assert allocation.weights.tolist() == current.tolist()


def test_what_is_held_outside_uses_up_gross_and_net():
    expected, risk, current = instance()
    limits = replace(LIMITS, net=0.5, outside_gross=1.0, outside_net=-1.0)
    allocation = MeanVariance(0.1)(-np.abs(expected), risk, current, limits)
    assert allocation.status is AllocationStatus.OPTIMAL
    assert np.abs(allocation.weights).sum() <= 1.0 + slack_of(12)
    assert allocation.weights.sum() == pytest.approx(0.5, abs=slack_of(12))


def test_long_only_weights_are_not_negative():
    expected, risk, current = instance()
    weights = MeanVariance(1.0)(expected, risk, current, replace(LIMITS, long_only=True, net=1.0)).weights
    assert weights.min() == 0.0
    assert weights.sum() > 0.5


def test_risk_aversion_must_be_positive():
    with pytest.raises(ValueError, match="risk_aversion"):
        MeanVariance(0.0)


def test_a_group_keeps_to_its_bounds():
    expected, risk, current = instance()
    free = replace(LIMITS, net=2.0)
    alone = MeanVariance(1.0)(np.abs(expected), risk, current, free).weights
    groups = (GroupLimit("tech", (0, 3, 4), high=0.1), GroupLimit("rest", (5, 6, 7, 8), low=-0.2, high=0.2, gross=0.3))
    weights = MeanVariance(1.0)(np.abs(expected), risk, current, replace(free, groups=groups)).weights
    assert alone[[0, 3, 4]].sum() > 0.3
    assert weights[[0, 3, 4]].sum() == pytest.approx(0.1, abs=slack_of(12))
    assert np.abs(weights[5:9]).sum() <= 0.3 + slack_of(12)


def test_a_net_floor_forces_investment():
    expected, risk, current = instance()
    limits = replace(LIMITS, net=1.0, net_floor=0.9)
    weights = MeanVariance(3.0)(-np.abs(expected), risk, current, limits).weights
    assert weights.sum() == pytest.approx(0.9, abs=slack_of(12))


def test_a_volatility_limit_gives_the_best_return_at_that_risk_not_a_scaled_portfolio():
    expected, risk, current = instance()
    free = replace(LIMITS, net=2.0)
    optimizer = MeanVariance(0.05)
    loose = optimizer(expected, risk, current, free).weights
    limits = replace(free, volatility=0.10)
    allocation = optimizer(expected, risk, current, limits)
    assert allocation.status is AllocationStatus.OPTIMAL
    assert np.sqrt(risk.variance(allocation.weights)) == pytest.approx(0.10, abs=1e-5)
    scaled = loose * 0.10 / np.sqrt(risk.variance(loose))
    assert expected @ allocation.weights > expected @ scaled + 1e-3


@pytest.mark.parametrize(
    ("correlation", "weights"), [(0.6, [23.96, 6.43, 16.92, 28.73, 23.96]), (0.5, [26.46, 0.00, 6.97, 40.11, 26.46])]
)
def test_the_published_portfolios_of_ten_percent_volatility(correlation: float, weights: list[float]):
    """Maillard, Roncalli and Teiletche (2008), slides on the sensitivity of Markowitz' solution, in percent."""
    expected, deviations = np.array([8.0, 7.0, 7.5, 8.5, 8.0]) / 100, np.array([12.0, 10.0, 11.0, 13.0, 12.0]) / 100
    correlations = np.full((5, 5), correlation) + (1.0 - correlation) * np.eye(5)
    risk = factor_form(correlations * np.outer(deviations, deviations))
    limits = Limits(gross=1.0, net=1.0, box=1.0, turnover=9.0, long_only=True, net_floor=1.0, volatility=0.1)
    found = MeanVariance(1e-6)(expected, risk, np.zeros(5), limits)
    assert (100 * found.weights).tolist() == pytest.approx(weights, abs=0.05)


def test_costs_leave_small_changes_undone():
    expected, risk, _ = instance()
    optimizer, free = MeanVariance(3.0), replace(LIMITS, net=2.0)
    best = optimizer(expected, risk, np.zeros(12), free).weights
    near = np.clip(best + 0.002, -0.3, 0.3)
    dear = TradingCosts(np.full(12, 0.05), np.zeros(12), per_year=12.0)
    kept = optimizer(expected, risk, near * 0.99, free, dear)
    np.testing.assert_allclose(kept.weights, near * 0.99, atol=2e-6)
    free_of_charge = TradingCosts(np.zeros(12), np.zeros(12))
    np.testing.assert_allclose(optimizer(expected, risk, near * 0.99, free, free_of_charge).weights, best, atol=3e-6)


def test_impact_has_the_closed_form():
    """Without binding limits ``(A Sigma + 2 m Q) w = mu + 2 m Q w0`` for m rebalances a year."""
    expected, risk, _ = instance()
    current = np.linspace(-0.1, 0.1, 12)
    loose = Limits(gross=90.0, net=90.0, box=50.0, turnover=90.0)
    impact = np.linspace(0.01, 0.2, 12)
    costs = TradingCosts(np.zeros(12), impact, per_year=4.0)
    weights = MeanVariance(5.0)(expected, risk, current, loose, costs).weights
    curvature = 5.0 * risk.covariance + np.diag(8.0 * impact)
    np.testing.assert_allclose(weights, np.linalg.solve(curvature, expected + 8.0 * impact * current), atol=3e-6)


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        (replace(LIMITS, net_floor=0.2), "net: net_floor is above net"),
        (replace(LIMITS, net=9.0, net_floor=3.0), "net"),
        (replace(LIMITS, volatility=0.0), "volatility: it must be positive"),
        (replace(LIMITS, volatility=1e-4, net=1.0, net_floor=0.9), "any one of net, volatility"),
        (replace(LIMITS, groups=(GroupLimit("tech", (0, 1), low=0.9),)), "group tech: its bounds cannot be reached"),
        (replace(LIMITS, groups=(GroupLimit("tech", (1, 0)),)), "group tech: members"),
        (replace(LIMITS, groups=(GroupLimit("tech", (0, 99)),)), "group tech: members"),
        (replace(LIMITS, groups=(GroupLimit("tech", (0, 1), low=0.2, high=0.1),)), "group tech: low is above"),
        (
            replace(LIMITS, groups=(GroupLimit("a", (0, 1), low=0.3), GroupLimit("b", (0, 1, 2), high=-0.2))),
            "any one of box, group a, group b",
        ),
        (replace(LIMITS, turnover=0.3, net=1.0, net_floor=0.4), "turnover: too small"),
    ],
)
def test_every_kind_of_limit_is_named_when_it_cannot_be_kept(limits: Limits, named: str):
    expected, risk, current = instance()
    allocation = MeanVariance(2.0)(expected, risk, current, limits)
    assert allocation.status is AllocationStatus.KEPT
    assert named in allocation.diagnosis


@pytest.mark.parametrize(
    ("costs", "named"),
    [
        (TradingCosts(np.full(12, np.nan), np.zeros(12)), "linear costs are not finite"),
        (TradingCosts(np.zeros(12), np.full(12, -1.0)), "negative"),
        (TradingCosts(np.zeros(11), np.zeros(12)), "differ in length"),
    ],
)
def test_costs_that_make_no_sense_keep_the_current_weights(costs: TradingCosts, named: str):
    expected, risk, current = instance()
    assert named in MeanVariance(2.0)(expected, risk, current, LIMITS, costs).diagnosis


def test_programs_of_shapes_long_unused_are_dropped():
    optimizer = MeanVariance(2.0)
    for assets in range(2, 30):
        optimizer(*instance(assets), LIMITS)
    assert len(optimizer._programs) == mean_variance.KEPT_PROGRAMS


@pytest.mark.parametrize(
    ("answer", "status", "limits", "named"),
    [
        (None, "MaxIterations", LIMITS, "solver ended with status MaxIterations"),
        (None, "AlmostSolved", LIMITS, "solver ended with status AlmostSolved"),
        (np.full(12, 0.2), "Solved", LIMITS, "the solver's weights break net"),
        (np.full(12, 0.1), "Solved", replace(LIMITS, net=2.0, volatility=0.01), "break volatility"),
        (np.array([-0.05, 0.05] * 6), "Solved", LIMITS, "worse than the current ones"),
    ],
)
def test_a_solver_that_errs_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, answer: np.ndarray | None, status: str, limits: Limits, named: str
):
    """Only its status "Solved" counts, and then limits and objective are held against the current weights."""

    class Erring:
        def __init__(self, shape: Shape) -> None:
            self.shape = shape

        def solve(self, question: object) -> tuple[np.ndarray | None, str]:
            return answer, status

    expected, risk, _ = instance()
    current = np.array([0.01, -0.01] * 6)
    monkeypatch.setattr(mean_variance, "Program", Erring)
    if named.startswith("worse"):
        expected = np.array([1.0, -1.0] * 6)
    allocation = MeanVariance(2.0)(expected, risk, current, limits)
    assert allocation.status is AllocationStatus.KEPT
    assert named in allocation.diagnosis
    assert allocation.weights is current
