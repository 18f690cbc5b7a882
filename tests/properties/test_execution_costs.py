"""What is learned of the cost of trading is what it costs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from order_plane.execution_costs import CostOfSymbol, ImpactFit

seeds = st.integers(0, 2**32 - 1)
fixed_costs = st.floats(-0.01, 0.01)
impacts = st.floats(0.0, 2.0)


def told(fit, chance, fixed, impact, noise, count):
    participations = chance.uniform(0.001, 0.3, count)
    costs = fixed + impact * participations + noise * chance.standard_normal(count)
    for participation, cost in zip(participations.tolist(), costs.tolist(), strict=True):
        fit.learn(participation, cost)
    return participations, costs


@given(seeds, fixed_costs, impacts)
def test_a_known_impact_is_recovered(seed, fixed, impact):
    fit = ImpactFit()
    told(fit, np.random.default_rng(seed), fixed, impact, 0.0, 60)
    assert fit.impact == pytest.approx(impact, abs=1e-4)
    assert fit.fixed == pytest.approx(fixed, abs=1e-5)


@given(seeds, fixed_costs, impacts)
def test_with_noise_the_truth_lies_within_the_error_it_states(seed, fixed, impact):
    fit = ImpactFit(forgetting=1.0)
    told(fit, np.random.default_rng(seed), fixed, impact, 0.005, 400)
    assert abs(fit.impact - impact) < 6 * fit.impact_error
    assert fit.impact_error < 0.01


@given(seeds, fixed_costs, impacts)
def test_without_forgetting_it_is_least_squares(seed, fixed, impact):
    fit = ImpactFit(forgetting=1.0)
    x, y = told(fit, np.random.default_rng(seed), fixed, impact, 0.01, 50)
    (expected_fixed, expected_impact), *_ = np.linalg.lstsq(np.column_stack([np.ones_like(x), x]), y, rcond=None)
    assert fit.impact == pytest.approx(expected_impact, abs=1e-4)
    assert fit.fixed == pytest.approx(expected_fixed, abs=1e-5)


@given(seeds, impacts, impacts)
def test_a_market_that_changed_is_followed(seed, before, after):
    chance = np.random.default_rng(seed)
    fit = ImpactFit(forgetting=0.95)
    told(fit, chance, 0.0, before, 0.0, 200)
    told(fit, chance, 0.0, after, 0.0, 400)
    assert fit.impact == pytest.approx(after, abs=1e-3)


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=50), seeds, impacts)
def test_numbers_that_are_none_teach_nothing(nonsense, seed, impact):
    fit = ImpactFit()
    for participation, cost in nonsense:
        if not (np.isfinite(participation) and np.isfinite(cost)):
            fit.learn(participation, cost)
    assert fit.observations == 0
    told(fit, np.random.default_rng(seed), 0.0, impact, 0.0, 60)
    assert fit.impact == pytest.approx(impact, abs=1e-4)


def test_orders_of_one_size_only_do_not_blow_it_up():
    fit = ImpactFit(forgetting=0.9)
    for _ in range(100_000):
        fit.learn(0.1, 0.001)
    assert fit.fixed + 0.1 * fit.impact == pytest.approx(0.001, rel=1e-3)
    assert np.isfinite([fit.fixed, fit.impact]).all()
    told(fit, np.random.default_rng(1), 0.0, 0.5, 0.0, 200)
    assert fit.impact == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("forgetting", [0.0, 0.5, 1.1])
def test_forgetting_has_bounds(forgetting):
    with pytest.raises(ValueError, match="forgetting"):
        ImpactFit(forgetting=forgetting)


def test_slippage_is_the_mean_by_quantity_and_needs_no_volume():
    cost = CostOfSymbol(ImpactFit(forgetting=1.0))
    assert cost.slippage == 0.0
    cost.learn(30.0, 0.0, 0.01)
    cost.learn(10.0, 100.0, -0.01)
    assert cost.slippage == pytest.approx(0.005)
    assert cost.fit.observations == 1
