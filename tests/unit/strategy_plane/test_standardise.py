import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategy_plane.signals.standardise import against_past, blend, cross_section

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)


def test_scores_agree_with_winsorised_z_scores_of_scipy():
    from scipy import stats

    raw = np.random.default_rng(1).standard_t(2, 200)
    cut = np.clip(raw, *np.quantile(raw, [0.05, 0.95]))
    expected = np.clip(stats.zscore(cut), -3, 3)
    scores = cross_section({f"S{i}": value for i, value in enumerate(raw.tolist())})
    assert np.array(list(scores.values())) == pytest.approx(expected, rel=1e-12)


@given(values=VALUES, seed=st.integers(0, 100))
def test_the_order_of_the_symbols_does_not_matter_to_the_last_bit(values: list[float], seed: int):
    raw = {f"S{number}": value for number, value in enumerate(values)}
    names = np.random.default_rng(seed).permutation(list(raw))
    assert cross_section({str(name): raw[str(name)] for name in names}) == cross_section(raw)


@given(values=VALUES, power=st.integers(-20, 20))
def test_a_change_of_unit_by_a_power_of_two_changes_nothing(values: list[float], power: int):
    values = [value for value in values if value == 0.0 or abs(value) > 1e-100]
    raw = {f"S{number}": value for number, value in enumerate(values)}
    assert cross_section({name: value * 2.0**power for name, value in raw.items()}) == cross_section(raw)


def test_one_outlier_moves_the_others_little_and_itself_not_beyond_the_tail():
    raw = {f"S{number}": float(number) for number in range(100)}
    scores = cross_section(raw | {"S99": 1e9})
    assert scores["S99"] == scores["S98"] == max(scores.values())
    assert abs(scores["S50"] - cross_section(raw)["S50"]) < 0.05


def test_missing_values_are_left_out_and_equal_ones_score_zero():
    assert cross_section({"A": 1.0, "B": math.nan, "C": 3.0}).keys() == {"A", "C"}
    assert cross_section({"A": 1.0, "B": math.nan}) == {}
    assert cross_section({"A": 1.0, "B": 1.0}) == {"A": 0.0, "B": 0.0}


def test_a_series_is_held_against_its_own_past_alone():
    past = np.random.default_rng(3).normal(10.0, 2.0, 300)
    cut = np.clip(past, *np.quantile(past, [0.05, 0.95]))
    expected = (13.0 - cut.mean()) / cut.std(ddof=1)
    assert against_past(np.append(past, 13.0)) == pytest.approx(expected, rel=1e-12)
    assert against_past(np.append(past, 1e9)) == 3.0  # the last value does not soften its own yardstick


@pytest.mark.parametrize("series", [[1.0, 2.0], [1.0, 1.0, 2.0], [1.0, 2.0, math.nan], [math.nan] * 5])
def test_a_past_that_is_too_short_or_never_moved_gives_no_score(series: list[float]):
    assert math.isnan(against_past(np.array(series)))


def test_a_blend_is_the_weighted_mean_of_what_is_known():
    scores = blend([(1.0, {"A": 1.0, "B": 2.0}), (3.0, {"A": -1.0}), (0.0, {"C": 9.0})])
    assert scores == {"A": -0.5, "B": 2.0}
    assert blend([(1.0, {"A": 9.0})]) == {"A": 3.0}
    assert blend([]) == {}
