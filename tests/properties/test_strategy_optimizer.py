"""Mean-variance weights keep their limits, cannot be improved on, and follow their inputs' symmetries."""

from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strategy_plane.optimizers.mean_variance import GRID, MeanVariance, slack_of
from strategy_plane.optimizers.port import AllocationStatus, FactorRisk, Limits

OPTIMIZERS = {aversion: MeanVariance(aversion) for aversion in (0.5, 3.0, 50.0)}
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

seeds = st.integers(0, 2**32 - 1)
sizes = st.sampled_from([1, 2, 5, 12])
aversions = st.sampled_from(sorted(OPTIMIZERS))
limit_sets = st.builds(
    Limits,
    gross=st.floats(0.2, 3.0),
    net=st.sampled_from([0.0, 0.1, 1.0]),
    box=st.floats(0.05, 1.0),
    turnover=st.sampled_from([0.05, 0.5, 10.0]),
    long_only=st.booleans(),
)


def problem(seed: int, assets: int) -> tuple[np.ndarray, FactorRisk, np.ndarray]:
    generator = np.random.default_rng(seed)
    loadings = generator.normal(0.0, 0.15, (assets, min(assets, 3)))
    risk = FactorRisk(loadings, generator.uniform(0.005, 0.15, assets))
    return generator.normal(0.02, 0.1, assets), risk, generator.normal(0.0, 0.05, assets)


def feasible_points(
    current: np.ndarray, limits: Limits, generator: np.random.Generator, count: int = 200
) -> list[np.ndarray]:
    """Random points, shrunk towards a feasible anchor until they keep every limit."""
    anchors = [anchor for anchor in (current, current * 0.0) if not limits.breaches(anchor, current, 1e-12)]
    points = list(anchors)
    for _ in range(count if anchors else 0):
        step = generator.normal(0.0, limits.box, len(current))
        for size in (1.0, 0.3, 0.1, 0.01):
            point = anchors[0] + size * step
            if not limits.breaches(point, current, 0.0):
                points.append(point)
                break
    return points


@quick
@given(seed=seeds, assets=sizes, aversion=aversions, limits=limit_sets)
def test_limits_hold_or_current_weights_are_kept_with_a_reason(seed: int, assets: int, aversion: float, limits: Limits):
    expected, risk, current = problem(seed, assets)
    allocation = OPTIMIZERS[aversion](expected, risk, current, limits)
    if allocation.status is AllocationStatus.OPTIMAL:
        assert limits.breaches(allocation.weights, current, slack_of(assets)) == []
        np.testing.assert_array_equal(allocation.weights, np.round(allocation.weights, 6))
    else:
        assert allocation.diagnosis
        assert allocation.weights is current


@quick
@given(seed=seeds, assets=sizes, aversion=aversions, limits=limit_sets)
def test_no_feasible_point_is_better_and_the_first_order_condition_holds(
    seed: int, assets: int, aversion: float, limits: Limits
):
    expected, risk, current = problem(seed, assets)
    optimizer = OPTIMIZERS[aversion]
    allocation = optimizer(expected, risk, current, limits)
    points = feasible_points(current, limits, np.random.default_rng(seed))
    if allocation.status is AllocationStatus.KEPT:
        assert points == [], allocation.diagnosis
        return
    weights = allocation.weights
    slope = expected - aversion * (risk.loadings @ (risk.loadings.T @ weights) + risk.specific * weights)
    tolerance = 4.0 * slack_of(assets) * (np.abs(expected).max() + aversion * risk.variances.max())
    reached = optimizer.utility(weights, expected, risk)
    for point in points:
        assert slope @ (point - weights) <= tolerance
        assert optimizer.utility(point, expected, risk) <= reached + tolerance


@quick
@given(seed=seeds, assets=sizes, limits=limit_sets, factor=st.sampled_from([1e-3, 0.1, 7.0, 1e3]))
def test_scaling_views_and_risk_together_changes_nothing(seed: int, assets: int, limits: Limits, factor: float):
    expected, risk, current = problem(seed, assets)
    scaled = FactorRisk(risk.loadings * np.sqrt(factor), risk.specific * factor)
    plain = OPTIMIZERS[3.0](expected, risk, current, limits)
    other = OPTIMIZERS[3.0](expected * factor, scaled, current, limits)
    assert plain.status is other.status
    np.testing.assert_allclose(other.weights, plain.weights, atol=20 * GRID)


@quick
@given(seed=seeds, assets=sizes, limits=limit_sets)
def test_permuting_assets_permutes_weights(seed: int, assets: int, limits: Limits):
    expected, risk, current = problem(seed, assets)
    order = np.random.default_rng(seed).permutation(assets)
    plain = OPTIMIZERS[3.0](expected, risk, current, limits)
    permuted = OPTIMIZERS[3.0](
        expected[order], FactorRisk(risk.loadings[order], risk.specific[order]), current[order], limits
    )
    assert plain.status is permuted.status
    np.testing.assert_allclose(permuted.weights, plain.weights[order], atol=20 * GRID)


@quick
@given(seed=seeds, assets=sizes, limits=limit_sets, name=st.sampled_from(["gross", "net", "box", "turnover"]))
def test_a_tighter_limit_never_improves_the_objective(seed: int, assets: int, limits: Limits, name: str):
    expected, risk, current = problem(seed, assets)
    optimizer = OPTIMIZERS[3.0]
    loose = optimizer(expected, risk, current, limits)
    tight = optimizer(expected, risk, current, replace(limits, **{name: getattr(limits, name) * 0.7}))
    if AllocationStatus.KEPT in (loose.status, tight.status):
        assert tight.status is AllocationStatus.KEPT
        return
    tolerance = 4.0 * slack_of(assets) * (np.abs(expected).max() + 3.0 * risk.variances.max())
    assert optimizer.utility(tight.weights, expected, risk) <= (
        optimizer.utility(loose.weights, expected, risk) + tolerance
    )
