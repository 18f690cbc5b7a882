"""Messages are frozen, closed and strict in Python as they are on the wire."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from contracts.codec import MESSAGE_TYPES, encode
from contracts.market import BarEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus, OrderType, Side

CLOSE = datetime(2024, 1, 2, 21, tzinfo=UTC)


def bar(**changes: Any) -> BarEvent:
    fields = {
        "symbol": "AAPL",
        "timestamp": CLOSE,
        "open": 10.0,
        "high": 11.0,
        "low": 9.0,
        "close": 10.5,
        "volume": 5.0,
    }
    return BarEvent(**{**fields, **changes})


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        bar().close = 10.0  # type: ignore[misc]


@pytest.mark.parametrize(
    "changes",
    [
        {"open": "10"},
        {"volume": True},
        {"open": float("nan")},
        {"timestamp": "2024-01-02T21:00:00Z"},
        {"timestamp": datetime(2024, 1, 2)},  # noqa: DTZ001
        {"timestamp": 1704229200},
        {"symbol": "A B"},
        {"note": 1},
        {"high": 10.0},
    ],
)
def test_python_callers_get_no_conversion_either(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        bar(**changes)


def test_whole_numbers_are_prices_too() -> None:
    assert bar(open=10) == bar(open=10.0)


def test_a_copy_with_updates_is_validated() -> None:
    assert bar().model_copy(update={"close": 10.75}) == bar(close=10.75)
    with pytest.raises(ValidationError, match="high must be at least"):
        bar().model_copy(update={"close": 12.0})
    with pytest.raises(ValidationError):
        bar().model_copy(update={"close": float("nan")})
    with pytest.raises(ValidationError):
        bar().model_copy(update={"clsoe": 10.0})


def test_a_plain_copy_is_equal_and_another_object() -> None:
    original = BarEvent.trusted(dict(bar().__dict__))
    for copy in (original.model_copy(), original.model_copy(deep=True)):
        assert copy == original
        assert copy is not original


def test_errors_do_not_quote_the_input() -> None:
    with pytest.raises(ValidationError) as refusal:
        bar(symbol="Zq7 Canary")
    assert "Canary" not in str(refusal.value)


def test_messages_of_one_symbol_share_a_key() -> None:
    intent = OrderIntent(
        intent_id=UUID(int=1),
        symbol="AAPL",
        direction=Side.BUY,
        quantity=1,
        order_type=OrderType.MARKET,
        timestamp=CLOSE,
    )
    report = ExecutionReport(
        intent_id=UUID(int=1),
        order_id="1",
        symbol="AAPL",
        status=OrderStatus.SUBMITTED,
        filled_quantity=0,
        timestamp=CLOSE,
    )
    assert {message.partition_key for message in (bar(), intent, report)} == {"AAPL"}


def test_the_wire_has_the_names_of_the_contract() -> None:
    assert encode(bar()) == (
        b'{"event_type":"bar_event","symbol":"AAPL","timestamp":"2024-01-02T21:00:00Z","open":10.0,"high":11.0,'
        b'"low":9.0,"close":10.5,"volume":5.0,"bar_size":"1min"}'
    )


@pytest.mark.parametrize("event_type", ["bar_event", "tick_event", "ofi_event", "order_intent", "execution_report"])
def test_the_five_contracts_are_known_by_their_event_type(event_type: str) -> None:
    assert MESSAGE_TYPES[event_type].model_fields["event_type"].default == event_type
