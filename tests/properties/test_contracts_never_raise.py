"""Whatever is handed to a public validator, it answers."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from typing import Any, NoReturn
from uuid import UUID

import numpy as np
import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts import schema_validator
from contracts.codec import MESSAGE_TYPES, ContractViolation, decode
from contracts.schema_validator import ValidationResult

Validate = Callable[..., ValidationResult]
VALIDATORS: tuple[Validate, ...] = tuple(
    getattr(schema_validator, name) for name in sorted(vars(schema_validator)) if name.startswith("validate_")
)
NAMES = st.sampled_from(sorted({name for message in MESSAGE_TYPES.values() for name in message.model_fields}))
WORDS = st.sampled_from([*MESSAGE_TYPES, "AAPL", "2024-01-02T21:00:00Z", "BUY", "MARKET", "FILLED", "TRADE", "1min"])

odd_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.fractions()
    | st.complex_numbers()
    | st.binary(max_size=8)
    | st.text(max_size=20)
    | st.text(st.characters(), max_size=5)
    | st.datetimes()
    | st.dates()
    | st.timedeltas()
    | st.uuids()
    | WORDS
)
odd_keys = NAMES | st.text(max_size=5) | st.none() | st.integers() | st.floats() | st.binary(max_size=3) | st.uuids()
odd_trees = st.recursive(
    odd_scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(odd_keys, inner, max_size=4)
        | st.frozensets(st.integers(), max_size=2)
    ),
    max_leaves=12,
)
odd_messages = st.dictionaries(odd_keys, odd_trees, max_size=8) | st.builds(
    lambda fields, event_type: {**fields, "event_type": event_type},
    st.dictionaries(NAMES, odd_trees, max_size=12),
    st.sampled_from(sorted(MESSAGE_TYPES)),
)


def assert_answers(data: Any) -> None:
    for validate in VALIDATORS:
        for json_schema in (False, True):
            result = validate(data, json_schema=json_schema)
            assert result.is_valid is (result.validated_data is not None)
            assert result.is_valid is (not result.errors)


def test_there_is_a_validator_for_each_message_of_a_market_and_an_order() -> None:
    assert {validate.__name__ for validate in VALIDATORS} == {
        *("validate_bar_event", "validate_tick_event", "validate_ofi_event", "validate_order_intent"),
        *("validate_execution_report", "validate_message"),
    }


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
@example(b"\xff\xfe")
@example(b"[" * 100_000)
def test_any_bytes(data: bytes) -> None:
    assert_answers(data)
    assert_answers(bytearray(data))
    assert_answers(memoryview(data))


@given(st.text(max_size=200) | st.text(st.characters(), max_size=50))
@settings(max_examples=200, deadline=None)
def test_any_text(data: str) -> None:
    assert_answers(data)


@given(odd_messages)
@settings(max_examples=300, deadline=None)
def test_any_mapping(data: Mapping[Any, Any]) -> None:
    assert_answers(data)


@given(odd_trees)
@settings(max_examples=200, deadline=None)
def test_any_value(data: object) -> None:
    assert_answers(data)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_message_with_a_byte_changed(data: st.DataObject) -> None:
    raw = bytearray(
        b'{"event_type":"order_intent","intent_id":"3f2504e0-4f89-5d1a-9a0c-0305e82c3301","symbol":"AAPL",'
        b'"direction":"BUY","quantity":1.5,"order_type":"LIMIT","limit_price":10,"timestamp":"2024-01-02T21:00:00Z"}'
    )
    assert schema_validator.validate_order_intent(bytes(raw))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert_answers(bytes(raw))
    assert refused_or_read(bytes(raw))


def refused_or_read(raw: bytes) -> object:
    try:
        return decode(raw, (MESSAGE_TYPES["order_intent"],))
    except ContractViolation as violation:
        return violation.first.rule


class Colour(Enum):
    RED = "bar_event"


class Number(IntEnum):
    ONE = 1


def refuse(*_: object) -> NoReturn:
    raise RuntimeError("a stranger's code failed")


class Unreadable(Mapping[str, object]):
    __getitem__ = __iter__ = __len__ = refuse


class UnreadableItems(dict[str, object]):
    items = __iter__ = keys = refuse


class EndlessDepth(Mapping[str, object]):
    def __getitem__(self, key: str) -> object:
        return EndlessDepth()

    def __iter__(self) -> Iterator[str]:
        return iter(["symbol"])

    def __len__(self) -> int:
        return 1


class LyingClass:
    @property
    def __class__(self) -> type:
        raise RuntimeError


class LyingText(str):
    encode = __getitem__ = __len__ = __str__ = refuse


class LyingBytes(bytes):
    count = __getitem__ = __len__ = __bytes__ = refuse


class LyingKey(str):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return id(self)


class NoZone(datetime):
    def isoformat(self, *_: object) -> Any:
        return object()


def released() -> memoryview:
    view = memoryview(b"{}")
    view.release()
    return view


def odd_objects() -> tuple[object, ...]:
    """Made inside the test: some of them cannot even be shown by a test runner."""
    return (
        *(None, True, 0, 1.5, 1j, Decimal(1), Fraction(1, 3), object(), type, len, ..., NotImplemented, UTC),
        *((), [], set(), frozenset(), iter([]), range(3), Exception("x"), UUID(int=0), date(2024, 1, 2), timedelta(1)),
        *(np.float64("nan"), np.int64(1), np.array([1.0]), pd.Timestamp("2024-01-02"), pd.NaT, pd.Series([1.0])),
        *(Colour.RED, Number.ONE, released(), memoryview(b"abcdef")[::2], np.arange(4)[::2].data, LyingClass()),
        *(LyingText("{}"), LyingBytes(b"{}"), Unreadable(), UnreadableItems(symbol=1), EndlessDepth()),
        NoZone(2024, 1, 2),
    )


def test_odd_objects() -> None:
    for value in odd_objects():
        assert_answers(value)
        assert_answers({"event_type": "bar_event", "symbol": value})
        assert_answers([value])


def test_keys_that_claim_to_differ() -> None:
    twice = {LyingKey("symbol"): "AAPL", LyingKey("symbol"): "IBM"}
    assert len(twice) == 2
    assert_answers({"event_type": "tick_event", **twice})


def test_text_of_a_strange_class_is_read_as_the_text_it_is() -> None:
    tick = {"event_type": "tick_event", "symbol": "A", "timestamp": "2024-01-02T21:00:00Z", "price": 1, "size": 1}
    text = json.dumps({**tick, "tick_type": "BID"})
    assert schema_validator.validate_tick_event(LyingText(text))
    assert schema_validator.validate_tick_event(LyingBytes(text.encode()))
