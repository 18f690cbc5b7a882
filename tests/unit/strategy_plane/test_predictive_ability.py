"""The test of superior predictive ability tells skill from luck and says what it lacks."""

import sys

import numpy as np
import pytest

from strategy_plane.validation.predictive_ability import ValidationExtraMissing, superior_predictive_ability


def test_without_its_package_the_fix_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "arch", None)
    with pytest.raises(ValidationExtraMissing, match=r"pip install 'algo-trade\[validate\]'"):
        superior_predictive_ability(np.random.default_rng(0).normal(0, 0.01, (50, 2)))


def test_skill_is_found_and_luck_is_not():
    pytest.importorskip("arch")
    generator = np.random.default_rng(3)
    luck = generator.normal(0.0, 0.01, (400, 10))
    skill = luck.copy()
    skill[:, 4] += 0.002
    assert superior_predictive_ability(luck, repetitions=300).consistent > 0.2
    found = superior_predictive_ability(skill, repetitions=300)
    assert found.consistent < 0.02
    assert found.lower <= found.consistent <= found.upper
    assert found == superior_predictive_ability(skill, repetitions=300)


def test_who_does_what_the_benchmark_does_has_not_beaten_it():
    held = np.random.default_rng(1).normal(0.0, 0.01, 100)
    assert superior_predictive_ability(held[:, None].repeat(3, axis=1), held).consistent == 1.0


@pytest.mark.parametrize("returns", [np.zeros(5), np.full((5, 2), np.nan)])
def test_misfitting_input_is_refused(returns: np.ndarray):
    with pytest.raises(ValueError, match=r"shape|finite"):
        superior_predictive_ability(returns)
