"""Which farms are broken, told from the texts of the gateway."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_client.error_policy import FARM_BACK, FARM_BROKEN, Farm
from ibkr_client.farms import Farms
from ibkr_client.messages import Notice

INACTIVE = "Market data farm connection is inactive but should be available upon demand."


def told(code, text=""):
    return Notice(-1, code, text)


@pytest.fixture
def farms():
    return Farms(60.0, Farm.MARKET, Farm.HISTORY)


@pytest.mark.parametrize(
    ("broken", "back"),
    [
        (told(2103, "Market data farm connection is broken:usfarm"), told(2104, "... connection is OK:usfarm")),
        (told(2103, "Market data farm connection is broken:usfarm.nj"), told(2108, INACTIVE + "usfarm.nj")),
        (told(2105, "HMDS data farm connection is broken: ushmds"), told(2107, "... upon demand.USHMDS.")),
        (told(2103, "Market data farm connection is broken:usfarm"), told(2104, "Market data farm connection is OK")),
        (told(2103, "Market data farm connection is broken:usfarm"), told(2108, INACTIVE)),
        (told(2103, "broken for no reason"), told(2104, "Market data farm connection is OK:usfarm")),
        (told(2103), told(1102, "Connectivity has been restored - data maintained. All data farms are connected: a.")),
        (told(2103, "it is broken:usfarm"), told(1101, "The following farms are not connected: ushmds; usfarm.nj.")),
    ],
)
def test_a_farm_is_broken_until_it_is_back(farms, broken, back):
    assert farms.hear(broken, 1.0)
    assert farms.broken(2.0)
    assert farms.hear(back, 3.0)
    assert not farms.broken(3.0)


@pytest.mark.parametrize(
    "other",
    [
        told(2104, "Market data farm connection is OK:usfarm.nj"),
        told(2108, INACTIVE + "cashfarm"),
        told(2106, "HMDS data farm connection is OK:usfarm"),
        told(2107),
        told(2158),
        told(2119, "Market data farm is connecting:usfarm"),
        told(1102, "The following farms are connected: ushmds. The following farms are not connected: usfarm; eufarm."),
    ],
)
def test_what_is_said_of_others_does_not_end_it(farms, other):
    farms.hear(told(2103, "Market data farm connection is broken:usfarm"), 1.0)
    assert not farms.hear(other, 2.0)
    assert farms.broken(2.0)


def test_only_the_last_one_that_is_back_is_news(farms):
    for code in (2103, 2105):
        assert farms.hear(told(code), 1.0)
    assert not farms.hear(told(2106), 2.0)
    assert farms.hear(told(2104), 2.0)
    assert not farms.hear(told(2104), 2.0)


def test_nobody_waits_longer_than_the_patience_and_what_is_back_later_is_news(farms):
    farms.hear(told(2103, "it is broken:usfarm"), 1.0)
    farms.hear(told(2103, "it is broken:hfarm"), 31.0)
    assert farms.broken(90.0)
    assert not farms.broken(91.0)
    assert farms.hear(told(2104, "it is OK:usfarm"), 92.0)
    farms.forget()
    assert not farms.hear(told(2104, "it is OK:hfarm"), 93.0)


def test_a_farm_that_is_told_broken_again_and_again_is_waited_for_once_and_what_breaks_after_a_silence_is_news(farms):
    broken = told(2103, "it is broken:cashfarm")
    assert [farms.hear(broken, at) for at in (1.0, 31.0, 62.0, 93.0)] == [True, False, False, False]
    assert not farms.broken(62.0)
    assert farms.hear(broken, 153.0)
    assert farms.broken(154.0)


def test_farms_that_nobody_needs_are_no_news():
    farms = Farms(60.0, Farm.MARKET)
    assert not any(farms.hear(told(code), 1.0) for code in (2105, 2157, 2106, 2107, 2158, 1102))
    assert not farms.broken(1.0)


NAMES = st.sampled_from(["", ":usfarm", ":usfarm.nj", ":eufarm", ": no name at all"])


@given(st.lists(st.tuples(st.sampled_from([*FARM_BROKEN, *FARM_BACK, 1100, 2119]), NAMES)))
def test_texts_without_names_end_every_trouble(notices):
    farms = Farms(60.0, *Farm)
    for code, name in notices:
        farms.hear(told(code, f"it is so{name}"), 1.0)
    for code in FARM_BACK:
        farms.hear(told(code), 2.0)
    assert not farms.broken(2.0)
