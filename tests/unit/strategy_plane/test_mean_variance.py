"""The optimizer answers right, the same each time, and keeps current weights when anything is amiss."""

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

from strategy_plane.optimizers import mean_variance
from strategy_plane.optimizers.mean_variance import MeanVariance, slack_of
from strategy_plane.optimizers.port import AllocationStatus, FactorRisk, Limits
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
