"""Risk-based weights follow the symmetries of their inputs and keep every limit they are given."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategy_plane.optimizers.hierarchical_risk_parity import hierarchical_risk_parity
from strategy_plane.optimizers.mean_variance import slack_of
from strategy_plane.optimizers.minimum_variance import MinimumVariance
from strategy_plane.optimizers.port import AllocationStatus, FactorRisk, Limits
from strategy_plane.optimizers.risk_based import RiskBased, equal_weight, inverse_volatility
from strategy_plane.optimizers.risk_parity import risk_parity

quick = settings(max_examples=60, deadline=None)
seeds, sizes = st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 5, 13])
RULES = [equal_weight, inverse_volatility, risk_parity, hierarchical_risk_parity]
OPEN = Limits(gross=1.0, net=1.0, box=1.0, turnover=10.0, long_only=True)


def market(seed: int, assets: int) -> FactorRisk:
    generator = np.random.default_rng(seed)
    return FactorRisk(generator.normal(0.05, 0.15, (assets, 2)), generator.uniform(0.005, 0.15, assets))


@pytest.mark.parametrize("rule", RULES)
@quick
@given(seed=seeds, assets=sizes)
def test_a_rule_gives_weights_of_a_fully_invested_long_portfolio(rule, seed: int, assets: int):
    weights = rule(market(seed, assets))
    assert weights.min() >= 0.0
    assert weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("rule", [equal_weight, inverse_volatility, risk_parity])
@quick
@given(seed=seeds, assets=sizes)
def test_permuting_assets_permutes_weights(rule, seed: int, assets: int):
    risk, order = market(seed, assets), np.random.default_rng(seed).permutation(assets)
    permuted = rule(FactorRisk(risk.loadings[order], risk.specific[order]))
    np.testing.assert_allclose(permuted, rule(risk)[order], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("rule", RULES)
@quick
@given(seed=seeds, assets=sizes, factor=st.sampled_from([1e-3, 0.2, 50.0]))
def test_the_unit_of_risk_does_not_matter(rule, seed: int, assets: int, factor: float):
    risk = market(seed, assets)
    scaled = FactorRisk(risk.loadings * np.sqrt(factor), risk.specific * factor)
    np.testing.assert_allclose(rule(scaled), rule(risk), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("rule", RULES)
@quick
@given(
    seed=seeds,
    assets=sizes,
    box=st.floats(0.05, 1.0),
    gross=st.floats(0.1, 2.0),
    turnover=st.sampled_from([0.1, 0.6, 10.0]),
    volatility=st.sampled_from([None, 0.05, 0.3]),
)
def test_limits_hold_or_the_current_weights_are_kept(rule, seed, assets, box, gross, turnover, volatility):
    risk, current = market(seed, assets), np.full(assets, 0.02)
    limits = replace(OPEN, box=box, gross=gross, turnover=turnover, volatility=volatility)
    found = RiskBased(rule)(np.zeros(assets), risk, current, limits)
    if found.status is AllocationStatus.OPTIMAL:
        assert limits.breaches(found.weights, current, slack_of(assets)) == []
        assert volatility is None or np.sqrt(risk.variance(found.weights)) <= volatility + 2 * slack_of(assets)
    else:
        assert found.diagnosis
        assert found.weights is current


@quick
@given(seed=seeds, assets=sizes)
def test_no_rule_is_calmer_than_minimum_variance(seed: int, assets: int):
    risk = market(seed, assets)
    calmest = MinimumVariance()(np.zeros(assets), risk, np.zeros(assets), OPEN)
    assert calmest.status is AllocationStatus.OPTIMAL
    for rule in RULES:
        assert risk.variance(calmest.weights) <= risk.variance(rule(risk)) + 1e-6
