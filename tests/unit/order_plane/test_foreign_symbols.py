"""Limits are in account currency, whatever a symbol is quoted in; without a rate nothing passes."""

import pytest

from contracts.trading import OrderType
from order_plane.composition import build_simulation
from order_plane.settings import OrderSettings


@pytest.fixture
def judged(make_intent, make_bar):
    """What becomes of buying 10 units at 50,000 won each, with the rates given."""

    def judge(rates, at=0, intent=None, **limits):
        settings = {"mode": "simulation", "instruments": {"KRX": {"currency": "KRW"}}, "limits": limits}
        desk = build_simulation(OrderSettings.model_validate(settings)).desk
        for pair, (minutes, price) in rates.items():
            desk.mark(make_bar(minutes, price, symbol=pair, low=price / 2))
        desk.mark(make_bar(at, 50_000.0, symbol="KRX"))
        answer = desk.decide(make_intent(symbol="KRX", **(intent or {})))
        return getattr(answer, "reject_reason", None)

    return judge


RATE = {"USDKRW": (0, 1250.0)}


def test_an_order_is_worth_what_its_currency_is(judged):
    assert judged(RATE, max_order_value=400.0) is None
    assert judged({"KRWUSD": (0, 0.0008)}, max_order_value=400.0) is None
    assert judged(RATE, max_order_value=399.0).startswith("NOTIONAL_EXCEEDS_MAX_PER_ORDER")


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ("max_symbol_notional", "SYMBOL_NOTIONAL_EXCEEDED"),
        ("max_gross_exposure", "EXPOSURE_EXCEEDED"),
        ("max_net_exposure", "NET_EXPOSURE_EXCEEDED"),
        ("max_strategy_notional", "STRATEGY_NOTIONAL_EXCEEDED"),
    ],
)
def test_exposure_is_counted_in_account_currency(judged, limit, code):
    assert judged(RATE, **{limit: 400.0}) is None
    assert judged(RATE, **{limit: 399.0}).startswith(code)


def test_a_collar_compares_prices_of_the_same_currency(judged):
    near = {"order_type": OrderType.LIMIT, "limit_price": 51_000.0}
    far = {"order_type": OrderType.LIMIT, "limit_price": 60_000.0}
    assert judged(RATE, intent=near, price_collar=0.1) is None
    assert judged(RATE, intent=far, price_collar=0.1).startswith("PRICE_COLLAR")


def test_without_a_rate_nothing_passes(judged):
    assert judged({}) == "NO_REFERENCE: nothing says what the currency of the symbol is worth"
    assert judged({"USDJPY": (0, 150.0)}).startswith("NO_REFERENCE")


def test_a_rate_as_old_as_a_price_may_not_be_is_none(judged):
    old = {"USDKRW": (-60 * 24, 1250.0)}
    assert judged(old, reference_max_age="PT1H").startswith("NO_REFERENCE: the exchange rate")
    assert judged(old, reference_max_age="P2D") is None
    for minutes, refused in ((-60, False), (-61, True)):
        answer = judged({"USDKRW": (minutes, 1250.0)}, reference_max_age="PT1H")
        assert (answer is not None) is refused


def test_the_gateway_must_trade_what_the_books_are_kept_in():
    korean = {"instruments": {"KRX": {"currency": "KRW"}}, "broker": "ibkr"}
    with pytest.raises(ValueError, match=r"instruments.KRX.currency and ibkr.contracts.KRX.currency \(USD\)"):
        OrderSettings.model_validate(korean)
    found = OrderSettings.model_validate(korean | {"ibkr": {"contracts": {"KRX": {"currency": "KRW"}}}})
    assert found.currencies.of == {"KRX": "KRW"}
