"""Limits by what the market did before, by what is held, and by strategy: under, at and over, and broken inputs."""

from datetime import timedelta
from itertools import product
from math import inf, isfinite, isnan, nan

import pytest

from contracts.trading import OrderType, Side
from domain.calendar import always_open
from order_plane.controls import Controls, LooserLimit
from order_plane.limit_settings import LimitSettings, loosened
from order_plane.risk.drift import PriceWindow, period_collar
from order_plane.risk.port import NoBooks
from order_plane.risk.rate import StrategyRate
from order_plane.risk.short_sale import short_sale
from order_plane.risk.volume import DailyVolumes, max_volume_share
from order_plane.settings import OrderSettings

DAY = 24 * 60


def code_of(refusal):
    return None if refusal is None else refusal.code


class Holding(NoBooks):
    """Books that say how low the position can get."""

    def __init__(self, lowest):
        self.lowest = lambda symbol: lowest


@pytest.mark.parametrize(
    ("lowest", "quantity", "code"),
    [
        (10.0, 9.9, None),
        (10.0, 10.0, None),
        (0.1 + 0.2, 0.3, None),
        (0.3, 0.1 + 0.2, None),
        (10.0, 10.1, "SHORT_SALE"),
        (0.0, 0.1, "SHORT_SALE"),
        (-5.0, 0.1, "SHORT_SALE"),
        (nan, 0.1, "SHORT_SALE"),
        (-inf, 0.1, "SHORT_SALE"),
    ],
)
def test_a_sale_of_what_is_not_held(make_intent, make_view, lowest, quantity, code):
    check = short_sale(allowed=False, located={})
    intent = make_intent(direction=Side.SELL, quantity=quantity)
    assert code_of(check(intent, make_view(books=Holding(lowest)))) == code
    assert check(make_intent(quantity=1e9), make_view(books=Holding(lowest))) is None, "a purchase is no sale"


@pytest.mark.parametrize(("lowest", "code"), [(-489.9, None), (-490.0, None), (-490.1, "SHORT_SALE")])
@pytest.mark.parametrize("allowed", [True, False])
def test_a_short_sale_of_what_was_located(make_intent, make_view, lowest, code, allowed):
    check = short_sale(allowed, {"AAPL": 500.0})
    assert code_of(check(make_intent(direction=Side.SELL), make_view(books=Holding(lowest)))) == code
    other = check(make_intent(direction=Side.SELL, symbol="MSFT"), make_view(books=Holding(lowest)))
    assert code_of(other) == (None if allowed else "SHORT_SALE")


def test_a_symbol_may_be_kept_from_being_sold_short(make_intent, make_view):
    check = short_sale(allowed=True, located={"AAPL": 0.0})
    assert code_of(check(make_intent(direction=Side.SELL), make_view(books=Holding(0.0)))) == "SHORT_SALE"


def volumes_of(make_bar, *volumes, days=3, **changes):
    """A memory that has seen a bar a day with these volumes, and one of the day after."""
    found = DailyVolumes(days)
    for day, volume in enumerate((*volumes, 1.0)):
        found.hear(make_bar(day * DAY, volume=volume, **changes))
    return found


@pytest.mark.parametrize(
    ("quantity", "code"), [(19.9, None), (20.0, None), (20.1, "VOLUME_SHARE_EXCEEDED"), (1e9, "VOLUME_SHARE_EXCEEDED")]
)
def test_a_share_of_the_volume_of_a_day(make_intent, make_view, make_bar, noon, quantity, code):
    check = max_volume_share(0.1, volumes_of(make_bar, 9e9, 100.0, 200.0, 300.0))
    view = make_view(now=noon + timedelta(days=4))
    assert code_of(check(make_intent(quantity=quantity), view)) == code


def test_a_volume_that_cannot_be_known_refuses(make_intent, make_view, make_bar, noon):
    later = make_view(now=noon + timedelta(days=4))
    known = (100.0, 200.0, 300.0)
    for broken, view in [
        (volumes_of(make_bar, symbol="MSFT"), later),
        (volumes_of(make_bar, 100.0, 200.0), later),
        (volumes_of(make_bar, *known), make_view(now=noon + timedelta(days=18))),
        (volumes_of(make_bar, 0.0, 0.0, 0.0), later),
    ]:
        assert code_of(max_volume_share(0.1, broken)(make_intent(quantity=0.1), view)) == "VOLUME_SHARE_EXCEEDED"
    assert (
        max_volume_share(0.1, volumes_of(make_bar, *known))(make_intent(), make_view(now=noon + timedelta(17))) is None
    )


@pytest.mark.parametrize("volume", [nan, inf])
def test_a_volume_that_is_no_number_refuses_while_its_day_counts(make_intent, make_view, make_bar, noon, volume):
    bars = [make_bar(day * DAY, volume=100.0) for day in range(4)]
    bars[1] = type(bars[1]).trusted({**bars[1].__dict__, "volume": volume})
    volumes = DailyVolumes(3)
    for bar in bars:
        volumes.hear(bar)
    check, view = max_volume_share(0.1, volumes), make_view(now=noon + timedelta(days=4))
    assert code_of(check(make_intent(quantity=1.0), view)) == "VOLUME_SHARE_EXCEEDED"
    for day in (4, 5):
        volumes.hear(make_bar(day * DAY, volume=100.0))
    assert check(make_intent(quantity=1.0), view) is None


def test_bars_told_again_late_or_in_another_size_do_not_raise_a_volume(make_bar, noon):
    volumes = DailyVolumes(1)
    for minutes, size in ((0, "1min"), (1, "1min"), (1, "1min"), (0, "1min"), (2, "1d"), (2, "1min"), (DAY, "1min")):
        volumes.hear(make_bar(minutes, volume=10.0, bar_size=size))
    assert volumes.average("AAPL", noon + timedelta(days=1)) == 30.0


def test_days_come_back_from_notes_and_count_once(make_bar, noon):
    first = volumes_of(make_bar, 100.0, 200.0, 300.0)
    notes = first.changed()
    assert (list(notes), first.changed()) == (["volume AAPL"], {})
    second = DailyVolumes(3)
    for day, volume in ((1, 50.0), (2, 300.0), (3, 1.0)):  # told again, the first of them only in part
        second.hear(make_bar(day * DAY, volume=volume))
    second.restore(notes)
    assert second.average("AAPL", noon + timedelta(days=3)) == 200.0


@pytest.mark.parametrize("text", ["{", "3", "null", '[["x", 1]]', '[["2024-01-01", "many"]]', "[[1]]", "[null]"])
def test_notes_that_cannot_be_read_are_unknown(text, noon):
    volumes = DailyVolumes(1)
    volumes.restore({"volume AAPL": text})
    assert isnan(volumes.average("AAPL", noon))


def a_window(noon, *prices, minutes=5):
    """A memory of a price a minute, the last of them at noon."""
    window = PriceWindow(timedelta(minutes=minutes))
    for number, price in enumerate(prices):
        window.hear("AAPL", price, noon - timedelta(minutes=len(prices) - 1 - number))
    return window


@pytest.mark.parametrize(
    ("side", "price", "code"),
    [
        (Side.BUY, 109.9, None),
        (Side.BUY, 110.0, None),
        (Side.BUY, 110.1, "PERIOD_COLLAR"),
        (Side.SELL, 108.1, None),
        (Side.SELL, 108.0, None),
        (Side.SELL, 107.9, "PERIOD_COLLAR"),
        (Side.BUY, nan, "PERIOD_COLLAR"),
        (Side.SELL, nan, "PERIOD_COLLAR"),
        (Side.BUY, inf, "PERIOD_COLLAR"),
    ],
)
def test_a_collar_over_a_period(make_intent, make_view, noon, side, price, code):
    window = a_window(noon, 110.0 / 1.1, 105.0, 120.0, 118.0, 117.0, 112.0)
    check = period_collar(0.1, window)
    view = make_view(reference=price, market_at=noon)
    assert code_of(check(make_intent(direction=side), view)) == code
    if isfinite(price):
        limit = make_intent(direction=side, order_type=OrderType.LIMIT, limit_price=price)
        assert code_of(check(limit, make_view(reference=112.0, market_at=noon))) == code


def test_a_window_that_was_not_watched_whole_refuses(make_intent, make_view, noon):
    for window in (a_window(noon), a_window(noon, *[100.0] * 5), a_window(noon, 100.0, 100.0, nan, *[100.0] * 5)):
        assert code_of(period_collar(0.1, window)(make_intent(), make_view(market_at=noon))) == "PERIOD_COLLAR"
    watched = a_window(noon, *[100.0] * 6)
    assert period_collar(0.1, watched)(make_intent(), make_view(market_at=noon)) is None
    other = make_intent(symbol="MSFT")
    assert code_of(period_collar(0.1, watched)(other, make_view(market_at=noon))) == "PERIOD_COLLAR"


def test_an_intent_that_claims_a_later_time_does_not_lose_the_window(make_intent, make_view, noon):
    check = period_collar(0.1, a_window(noon, 100.0, *[120.0] * 5))
    late = make_view(now=noon + timedelta(hours=1), reference=120.0, market_at=noon)
    assert code_of(check(make_intent(), late)) == "PERIOD_COLLAR"


def test_a_longer_window_is_not_known_before_it_was_watched(noon):
    window = a_window(noon, *range(100, 120))
    window.widen(timedelta(minutes=10))
    assert all(map(isnan, window.extremes("AAPL", noon)))
    assert window.extremes("AAPL", noon + timedelta(minutes=5)) == (114.0, 119.0)


def test_a_strategy_that_is_too_fast_waits_alone(make_intent, make_view, noon):
    check = StrategyRate(rate=1.0, burst=2.0)
    said = [code_of(check(make_intent(number), make_view(market_at=noon))) for number in range(3)]
    assert said == [None, None, "STRATEGY_RATE_EXCEEDED"]
    ahead = make_view(now=noon + timedelta(hours=1), market_at=noon)
    assert code_of(check(make_intent(4), ahead)) == "STRATEGY_RATE_EXCEEDED"
    assert check(make_intent(5, strategy_id="other"), make_view(market_at=noon)) is None
    assert check(make_intent(6), make_view(market_at=noon + timedelta(seconds=1))) is None


def test_a_strategy_may_be_slowed_down_while_it_runs(make_intent, make_view, noon):
    check = StrategyRate(rate=1.0, burst=10.0)
    assert check(make_intent(), make_view(market_at=noon)) is None
    check.slow(0.5, 1.0)
    later = [noon, noon, noon + timedelta(seconds=1), noon + timedelta(seconds=2)]
    said = [code_of(check(make_intent(), make_view(market_at=at))) for at in later]
    assert said == [None, "STRATEGY_RATE_EXCEEDED", "STRATEGY_RATE_EXCEEDED", None]


def test_names_that_are_made_up_are_forgotten_and_one_that_waits_is_not(make_intent, make_view, noon):
    check = StrategyRate(rate=1.0, burst=1.0)
    for number in range(2_500):
        assert (
            check(make_intent(strategy_id=f"s{number}"), make_view(market_at=noon + timedelta(seconds=number))) is None
        )
    assert len(check._buckets) <= 1_000
    at = make_view(market_at=noon + timedelta(seconds=2_499))
    assert code_of(check(make_intent(strategy_id="s2499"), at)) == "STRATEGY_RATE_EXCEEDED"


@pytest.mark.parametrize(
    ("before", "after", "looser"),
    [
        ({}, {"short_selling": False, "located": {"A": 5}}, []),
        ({"short_selling": False}, {}, ["short_selling"]),
        ({"short_selling": False}, {"short_selling": False, "located": {"A": 5}}, ["located"]),
        ({"located": {"A": 5}}, {}, ["located"]),
        ({"located": {"A": 5}}, {"located": {"A": 4, "B": 1}}, []),
        ({"located": {"A": 5}}, {"short_selling": False}, []),
        ({"max_volume_share": 0.1}, {"max_volume_share": 0.2}, ["max_volume_share"]),
        ({}, {"volume_days": 5}, ["volume_days"]),
        ({}, {"volume_days": 50}, ["volume_days"]),
        ({"period_collar": 0.1}, {"collar_period": 600}, ["period_collar"]),
        ({"period_collar": 0.1}, {"period_collar": 0.1, "collar_period": 600}, []),
        ({"period_collar": 0.1}, {"period_collar": 0.1, "collar_period": 60}, ["collar_period"]),
        ({"max_strategy_rate": 1}, {"max_strategy_rate": 1, "strategy_burst": 101}, ["strategy_burst"]),
    ],
)
def test_which_of_these_limits_are_looser(before, after, looser):
    assert loosened(LimitSettings.model_validate(before), LimitSettings.model_validate(after)) == looser


@pytest.mark.parametrize("limit", ["max_volume_share", "period_collar"])
def test_what_nobody_remembers_cannot_become_a_limit_before_a_restart(limit):
    controls = Controls(OrderSettings(mode="simulation"), always_open())
    with pytest.raises(LooserLimit, match="restart"):
        controls.tighten(LimitSettings.model_validate({limit: 0.1}))
    assert getattr(controls.limits, limit) is None


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        *product(
            ("max_volume_share", "period_collar", "max_strategy_rate", "strategy_burst", "volume_days"),
            (nan, inf, -1.0, "many", {}, True),
        ),
        *product(("collar_period",), (nan, inf, -1.0, 0.0, "many", {})),
    ],
)
def test_such_a_limit_that_cannot_be_read_refuses_to_start(limit, value):
    with pytest.raises(ValueError, match=limit):
        LimitSettings.model_validate({limit: value})


@pytest.mark.parametrize("located", [{"A": nan}, {"A": inf}, {"A": -1.0}, {"A": True}, {"a b": 1.0}, 5, {"A": "many"}])
def test_what_was_located_and_cannot_be_read_refuses_to_start(located):
    with pytest.raises(ValueError, match="located"):
        LimitSettings.model_validate({"located": located})
