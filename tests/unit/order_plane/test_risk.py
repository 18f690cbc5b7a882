"""Every control: just under passes, at the limit is defined, just over is refused with its code, missing is refused."""

from datetime import UTC, date, datetime, timedelta
from math import inf, nan

import pytest

from contracts.trading import OrderType, Side, TimeInForce
from domain.calendar import SessionCalendar
from domain.instrument import Instrument
from order_plane.risk.duplicates import RepeatedOrder
from order_plane.risk.exposure import max_gross_exposure, max_symbol_notional
from order_plane.risk.halt import not_halted, not_in_doubt
from order_plane.risk.instrument_rules import ticks_and_lots
from order_plane.risk.order_size import max_order_quantity, max_order_value
from order_plane.risk.price import fresh_reference, price_collar
from order_plane.risk.rate import message_rate
from order_plane.risk.session import market_hours, not_expired
from order_plane.throttle import TokenBucket


def code_of(refusal):
    return None if refusal is None else refusal.code


@pytest.mark.parametrize(("quantity", "code"), [(99.999, None), (100.0, None), (100.001, "QUANTITY_EXCEEDS_MAXIMUM")])
def test_order_quantity(make_intent, make_view, quantity, code):
    assert code_of(max_order_quantity(100.0)(make_intent(quantity=quantity), make_view())) == code


@pytest.mark.parametrize(
    ("price", "code"),
    [
        (99.99, None),
        (100.0, None),
        (100.01, "NOTIONAL_EXCEEDS_MAX_PER_ORDER"),
        (nan, "NOTIONAL_EXCEEDS_MAX_PER_ORDER"),
        (inf, "NOTIONAL_EXCEEDS_MAX_PER_ORDER"),
    ],
)
def test_order_value(make_intent, make_view, price, code):
    assert code_of(max_order_value(1_000.0)(make_intent(quantity=10.0), make_view(price=price))) == code


@pytest.mark.parametrize(
    ("after", "code"),
    [
        (9.99, None),
        (10.0, None),
        (10.01, "SYMBOL_NOTIONAL_EXCEEDED"),
        (nan, "SYMBOL_NOTIONAL_EXCEEDED"),
    ],
)
def test_symbol_notional(make_intent, make_view, after, code):
    view = make_view(units_before=5.0, units_after=after)
    assert code_of(max_symbol_notional(1_000.0)(make_intent(), view)) == code


def test_symbol_notional_needs_a_reference(make_intent, make_view):
    check = max_symbol_notional(1_000.0)
    assert code_of(check(make_intent(), make_view(reference=nan))) == "SYMBOL_NOTIONAL_EXCEEDED"


@pytest.mark.parametrize(
    ("gross", "code"),
    [(499.9, None), (500.0, None), (500.1, "EXPOSURE_EXCEEDED"), (nan, "EXPOSURE_EXCEEDED")],
)
def test_gross_exposure(make_intent, make_view, gross, code):
    view = make_view(gross_before=gross, units_before=5.0, units_after=10.0)
    assert code_of(max_gross_exposure(1_000.0)(make_intent(), view)) == code


@pytest.mark.parametrize("control", [max_symbol_notional, max_gross_exposure])
def test_an_order_that_adds_no_exposure_passes_even_above_the_limit(make_intent, make_view, control):
    view = make_view(gross_before=9_999.0, units_before=90.0, units_after=80.0)
    assert control(1_000.0)(make_intent(), view) is None


@pytest.mark.parametrize(("seconds", "code"), [(59, None), (60, None), (60.001, "NO_REFERENCE")])
def test_age_of_the_reference(make_intent, make_view, noon, seconds, code):
    view = make_view(reference_at=noon - timedelta(seconds=seconds))
    assert code_of(fresh_reference(timedelta(seconds=60))(make_intent(), view)) == code


@pytest.mark.parametrize("broken", [{"reference_at": None}, {"reference": nan}, {"reference": inf}, {"reference": 0.0}])
def test_a_reference_that_cannot_be_read_is_refused(make_intent, make_view, broken):
    assert code_of(fresh_reference(timedelta(hours=1))(make_intent(), make_view(**broken))) == "NO_REFERENCE"


@pytest.mark.parametrize(
    ("side", "limit", "code"),
    [
        (Side.BUY, 109.99, None),
        (Side.BUY, 110.0, None),
        (Side.BUY, 110.01, "PRICE_COLLAR"),
        (Side.BUY, 1.0, None),
        (Side.SELL, 90.01, None),
        (Side.SELL, 90.0, None),
        (Side.SELL, 89.99, "PRICE_COLLAR"),
        (Side.SELL, 1_000.0, None),
    ],
)
def test_price_collar(make_intent, make_view, side, limit, code):
    # 100 * 1.1 is not exactly 110 in binary, so the reference is one whose collar is
    reference = 110.0 / 1.1 if side is Side.BUY else 100.0
    intent = make_intent(direction=side, order_type=OrderType.LIMIT, limit_price=limit)
    assert code_of(price_collar(0.1)(intent, make_view(reference=reference))) == code


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_price_collar_needs_a_reference(make_intent, make_view, side):
    intent = make_intent(direction=side, order_type=OrderType.LIMIT, limit_price=100.0)
    assert code_of(price_collar(0.1)(intent, make_view(reference=nan))) == "PRICE_COLLAR"


def test_a_market_order_asks_for_no_price_to_collar(make_intent, make_view):
    assert price_collar(0.1)(make_intent(), make_view(reference=nan)) is None


SESSION = SessionCalendar(
    "TEST",
    date(2024, 1, 2),
    date(2024, 1, 3),
    (date(2024, 1, 2),),
    (datetime(2024, 1, 2, 14, 30, tzinfo=UTC),),
    (datetime(2024, 1, 2, 21, tzinfo=UTC),),
)


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (datetime(2024, 1, 2, 14, 29, 59, tzinfo=UTC), "MARKET_CLOSED"),
        (datetime(2024, 1, 2, 14, 30, tzinfo=UTC), None),
        (datetime(2024, 1, 2, 21, tzinfo=UTC), None),
        (datetime(2024, 1, 2, 21, 0, 1, tzinfo=UTC), "MARKET_CLOSED"),
        (datetime(2031, 1, 2, 17, tzinfo=UTC), "MARKET_CLOSED"),
    ],
)
def test_market_hours(make_intent, make_view, at, code):
    assert code_of(market_hours(SESSION)(make_intent(), make_view(now=at))) == code


def test_market_hours_are_asked_anew_when_time_steps_back(make_intent, make_view):
    check = market_hours(SESSION)
    begin = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
    times = [begin, begin + timedelta(hours=1), begin - timedelta(minutes=1), begin]
    assert [code_of(check(make_intent(), make_view(now=at))) for at in times] == [None, None, "MARKET_CLOSED", None]


@pytest.mark.parametrize(("late", "code"), [(-1, None), (0, None), (1, "INTENT_EXPIRED")])
def test_validity_of_an_intent(make_intent, make_view, noon, late, code):
    intent = make_intent(valid_until=noon)
    assert code_of(not_expired(intent, make_view(now=noon + timedelta(milliseconds=late)))) == code


def test_good_till_date_needs_a_date(make_intent, make_view, noon):
    assert code_of(not_expired(make_intent(time_in_force=TimeInForce.GTD), make_view())) == "NO_EXPIRY"
    assert not_expired(make_intent(time_in_force=TimeInForce.GTD, valid_until=noon), make_view()) is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": 20.0}, None),
        ({"quantity": 15.0}, "LOT_SIZE"),
        ({"order_type": OrderType.LIMIT, "limit_price": 100.05}, None),
        ({"order_type": OrderType.LIMIT, "limit_price": 100.051}, "TICK_SIZE"),
        ({"order_type": OrderType.STOP, "stop_price": 100.051}, "TICK_SIZE"),
        ({"quantity": 15.0, "symbol": "FREE"}, None),
    ],
)
def test_ticks_and_lots(make_intent, make_view, changes, code):
    check = ticks_and_lots({"AAPL": Instrument("AAPL", tick_size=0.05, lot_size=10.0)})
    assert code_of(check(make_intent(**changes), make_view())) == code


def test_trading_that_is_halted(make_intent, make_view):
    assert not_halted(make_intent(), make_view()) is None
    refusal = not_halted(make_intent(), make_view(halted="kill switch engaged by ada"))
    assert str(refusal) == "TRADING_HALTED: kill switch engaged by ada"


def test_an_order_in_doubt_blocks_its_symbol_and_side(make_intent, make_view):
    assert not_in_doubt(make_intent(), make_view()) is None
    assert code_of(not_in_doubt(make_intent(), make_view(in_doubt=True))) == "IN_DOUBT_BLOCK"


@pytest.mark.parametrize(("seconds", "code"), [(0.999, "DUPLICATE"), (1.0, None), (1.001, None)])
def test_the_same_order_again(make_intent, make_view, noon, seconds, code):
    check = RepeatedOrder(timedelta(seconds=1))
    assert check(make_intent(1), make_view()) is None
    later = make_view(now=noon + timedelta(seconds=seconds))
    assert code_of(check(make_intent(2), later)) == code


@pytest.mark.parametrize(
    "changes",
    [{"quantity": 11.0}, {"direction": Side.SELL}, {"symbol": "MSFT"}, {"strategy_id": "other"}],
)
def test_another_order_is_no_repetition(make_intent, make_view, changes):
    check = RepeatedOrder(timedelta(seconds=1))
    assert check(make_intent(1), make_view()) is None
    assert check(make_intent(2, **changes), make_view()) is None


def test_a_window_of_nothing_allows_repetition(make_intent, make_view):
    check = RepeatedOrder(timedelta(0))
    assert check(make_intent(1), make_view()) is None
    assert check(make_intent(2), make_view()) is None


def test_old_terms_are_forgotten_and_young_ones_are_not(make_intent, make_view, noon):
    check = RepeatedOrder(timedelta(seconds=1))
    for number in range(1, 1_500):
        at = noon + timedelta(milliseconds=number)
        assert check(make_intent(number, quantity=float(number)), make_view(now=at)) is None
    at = noon + timedelta(milliseconds=1_500)
    assert check(make_intent(9_998, quantity=100.0), make_view(now=at)) is None
    assert code_of(check(make_intent(9_999, quantity=1_400.0), make_view(now=at))) == "DUPLICATE"


def test_message_rate(make_intent, make_view, noon):
    check = message_rate(TokenBucket(rate=1.0, burst=2.0))
    verdicts = [code_of(check(make_intent(number), make_view())) for number in range(3)]
    assert verdicts == [None, None, "RATE_LIMIT_EXCEEDED"]
    assert check(make_intent(4), make_view(now=noon + timedelta(seconds=1))) is None
