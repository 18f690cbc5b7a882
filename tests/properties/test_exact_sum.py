"""Sums that are rounded once."""

from math import fsum

from hypothesis import given
from hypothesis import strategies as st

from domain.exact_sum import ExactSum

TERMS = st.lists(st.floats(min_value=-1e15, max_value=1e15), max_size=40)


def total(terms):
    found = ExactSum()
    for term in terms:
        found.add(term)
    return found


@given(TERMS)
def test_it_is_the_exactly_rounded_sum(terms):
    assert total(terms).value == fsum(terms)


@given(TERMS, TERMS)
def test_what_was_added_can_be_taken_out_without_a_trace(kept, out):
    found = total([*kept, *out])
    for term in out:
        found.add(-term)
    assert found.value == fsum(kept)


def test_it_does_not_grow_with_the_number_of_terms():
    found = total([0.1] * 5_000)
    assert found.value == fsum([0.1] * 5_000)
    assert len(found._parts) <= 3
