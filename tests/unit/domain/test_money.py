from hypothesis import given
from hypothesis import strategies as st

from domain.money import from_micros, to_micros

amounts = st.floats(-1e9, 1e9)


def test_an_amount_is_rounded_to_the_nearest_millionth():
    assert to_micros(1.0000004) == 1_000_000
    assert to_micros(-1.0000006) == -1_000_001
    assert to_micros(0.1) + to_micros(0.2) == to_micros(0.3)


@given(st.integers(-(10**15), 10**15))
def test_whole_micro_units_survive_the_way_to_currency_and_back(micros):
    assert to_micros(from_micros(micros)) == micros


@given(amounts)
def test_what_is_paid_is_what_is_received(amount):
    assert to_micros(-amount) == -to_micros(amount)


@given(amounts)
def test_rounding_loses_at_most_half_a_millionth(amount):
    assert abs(from_micros(to_micros(amount)) - amount) <= 0.5e-6 + abs(amount) * 1e-15


@given(st.lists(amounts, max_size=20).flatmap(lambda each: st.tuples(st.just(each), st.permutations(each))))
def test_a_sum_does_not_depend_on_its_order(lists):
    one, other = lists

    assert sum(map(to_micros, one)) == sum(map(to_micros, other))
