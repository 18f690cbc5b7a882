"""The public validators take bytes, text and mappings, and can ask the JSON Schema too."""

from datetime import UTC, datetime
from types import MappingProxyType
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator

from contracts import schema_validator
from contracts.codec import ErrorCode, FieldError, encode
from contracts.schema_validator import (
    validate_execution_report,
    validate_message,
    validate_order_intent,
    validate_tick_event,
)
from contracts.trading import OrderIntent, OrderType, Side

FIELDS = {
    "event_type": "order_intent",
    "intent_id": UUID("3f2504e0-4f89-5d1a-9a0c-0305e82c3301"),
    "symbol": "AAPL",
    "direction": Side.BUY,
    "quantity": 10,
    "order_type": OrderType.MARKET,
    "timestamp": datetime(2024, 1, 2, 21, tzinfo=UTC),
}


def test_a_mapping_may_hold_the_values_of_a_message() -> None:
    result = validate_order_intent(FIELDS)
    assert result.validated_data == OrderIntent(**FIELDS)
    assert validate_order_intent(MappingProxyType(FIELDS)) == result
    assert validate_order_intent(OrderIntent(**FIELDS).model_dump()) == result
    assert validate_order_intent(OrderIntent(**FIELDS).model_dump(mode="json")) == result


def test_a_message_is_what_it_was_after_its_bytes_are_validated() -> None:
    intent = OrderIntent(**FIELDS)
    for data in (encode(intent), encode(intent).decode(), bytearray(encode(intent)), memoryview(encode(intent))):
        assert validate_message(data, json_schema=True).validated_data == intent


def test_a_result_is_true_when_valid() -> None:
    assert validate_order_intent(FIELDS)
    assert not validate_tick_event(FIELDS)
    assert not validate_execution_report({})


def test_errors_name_the_pointer_and_the_rule() -> None:
    result = validate_order_intent({**FIELDS, "quantity": 0, "order_type": "LIMIT"})
    assert result.errors == (FieldError("/quantity", "Input should be greater than 0", ErrorCode.OUT_OF_RANGE),)
    result = validate_order_intent({**FIELDS, "order_type": "LIMIT"})
    assert [str(error) for error in result.errors] == [
        "the message: limit_price is required for LIMIT and STOP_LIMIT [SCHEMA_INVALID]"
    ]


@pytest.fixture
def stricter_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """A committed schema that knows a rule the model does not have."""
    strict = Draft202012Validator({"properties": {"quantity": {"maximum": 5}, "symbol": {"maxLength": 2}}})
    monkeypatch.setattr(schema_validator, "_schema_validator", {"order_intent": strict}.__getitem__)


@pytest.mark.usefixtures("stricter_schema")
def test_the_committed_schema_has_a_say_when_asked() -> None:
    assert validate_order_intent(FIELDS)
    result = validate_order_intent(FIELDS, json_schema=True)
    assert result.validated_data is None
    assert [(error.path, error.rule) for error in result.errors] == [
        ("/quantity", "breaks the rule 'maximum' of the JSON Schema"),
        ("/symbol", "breaks the rule 'maxLength' of the JSON Schema"),
    ]


def test_mappings_inside_lists_are_held_to_the_same_rules() -> None:
    trade = {"symbol": "A", "direction": Side.BUY, "quantity": 1, "current_weight": 0, "target_weight": 0}
    plan = {
        "event_type": "rebalance_plan",
        "plan_id": FIELDS["intent_id"],
        "strategy_id": "s",
        "timestamp": FIELDS["timestamp"],
        "valid_until": datetime(2024, 1, 3, tzinfo=UTC),
        "trades": (MappingProxyType(trade),),
        "content_hash": "a" * 64,
    }
    assert validate_message(plan)
    (error,) = validate_message({**plan, "trades": [{**trade, 1: 2}]}).errors
    assert error.code is ErrorCode.NOT_JSON
