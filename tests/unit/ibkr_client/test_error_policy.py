import pytest
from ibkr_codes import CERTAIN, FALSE_CANCELS, REFUSED, UNKNOWN, WARNINGS

from ibkr_client.error_policy import OnOrder, on_order


@pytest.mark.parametrize("verdict", OnOrder)
def test_every_code_says_of_an_order_what_is_written_out_and_no_other_code_says_it(verdict):
    said = [code for code in range(-1, 20_001) if on_order(code) is verdict]
    meant = {**dict.fromkeys(WARNINGS, OnOrder.NOTICE), **CERTAIN}
    assert said == [code for code in range(-1, 20_001) if meant.get(code, OnOrder.UNKNOWN) is verdict]


def test_no_code_that_falsely_cancels_is_a_refusal_but_the_size_limit():
    assert set(FALSE_CANCELS).intersection(REFUSED) == {382}
    assert {on_order(code) for code in UNKNOWN} == {OnOrder.UNKNOWN}
