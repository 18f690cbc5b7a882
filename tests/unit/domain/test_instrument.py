import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.instrument import Instrument, round_down, round_up

GRID = Instrument("AAPL", tick_size=0.01, lot_size=10.0)
FREE = Instrument("AAPL")


def test_prices_move_to_the_tick_on_the_side_asked_for():
    assert GRID.tick_at_most(10.019) == 10.01
    assert GRID.tick_at_least(10.011) == 10.02


def test_a_binary_fraction_that_means_a_tick_stays_on_it():
    assert GRID.tick_at_most(0.1 + 0.2) == 0.3
    assert GRID.tick_at_least(1.1 * 3) == 3.3
    assert GRID.is_on_tick(0.1 + 0.2)


def test_quantities_are_cut_to_whole_lots():
    assert GRID.whole_lots(29.9) == 20.0
    assert GRID.is_whole_lots(30.0)
    assert not GRID.is_whole_lots(31.0)


def test_without_rules_everything_is_allowed_and_unchanged():
    assert FREE.is_on_tick(1 / 3)
    assert FREE.is_whole_lots(1 / 3)
    assert FREE.tick_at_most(1 / 3) == FREE.tick_at_least(1 / 3) == FREE.whole_lots(1 / 3) == 1 / 3


@given(st.floats(0.01, 1e6), st.sampled_from([0.01, 0.05, 0.25, 1.0]))
def test_rounding_stays_within_one_step_and_on_its_side(value, step):
    down, up = round_down(value, step), round_up(value, step)
    slack = step * 1e-5
    assert value - step - slack <= down <= value + slack
    assert value - slack <= up <= value + step + slack
    assert round_down(down, step) == pytest.approx(down)
