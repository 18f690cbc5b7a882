"""Pydantic and the committed JSON Schemas give the same verdict, but for a short list of named rules."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import contracts
from contracts.codec import MESSAGE_TYPES, ContractViolation, ErrorCode, FieldError, decode

SCHEMAS = Path(contracts.__file__).parent / "schemas"
VALIDATORS = {
    event_type: Draft202012Validator(
        json.loads((SCHEMAS / f"{event_type}.schema.json").read_text("utf-8")),
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    for event_type in MESSAGE_TYPES
}
Wire = dict[str, Any]

JSON_SCHEMA_CANNOT_SAY: Mapping[str, Callable[[FieldError], bool]] = {
    "the prices of a bar are in order": lambda e: e.rule.startswith(("high must be at least", "low must be at most")),
    "a plan ends after it begins": lambda e: e.rule == "valid_until must be after timestamp",
    "an integer is not written 1.0": lambda e: "valid integer" in e.rule,
    "a key stands once": lambda e: e.code is ErrorCode.DUPLICATE_KEY,
    "there is no NaN literal": lambda e: e.code is ErrorCode.NON_FINITE,
    "text is UTF-8 without a byte order mark": lambda e: e.code is ErrorCode.NOT_UTF8,
    "no half of a surrogate pair is escaped": lambda e: e.code is ErrorCode.NOT_JSON,
    "a message is at most 256 KiB": lambda e: e.code is ErrorCode.TOO_LARGE,
}


def refusals(raw: bytes) -> tuple[FieldError, ...]:
    try:
        decode(raw)
    except ContractViolation as violation:
        return violation.errors
    return ()


def schema_accepts(raw: bytes) -> bool:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    event_type = value.get("event_type") if isinstance(value, dict) else None
    known = isinstance(event_type, str) and event_type in VALIDATORS
    return known and VALIDATORS[event_type].is_valid(value)


def assert_same_verdict(raw: bytes) -> None:
    errors = refusals(raw)
    if schema_accepts(raw):
        assert [e for e in errors if not any(names(e) for names in JSON_SCHEMA_CANNOT_SAY.values())] == []
    else:
        assert errors


ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 1.0, 1.5, -0.0, 1e-11, 1e-10, 1e12, 1.1e12, 1e15, 1e16, -1e15, 1e308, 5e-324),
    *(2**63 - 1, 2**63, 10**30, float("inf"), float("-inf"), float("nan"), [], {}, [1], {"a": 1}, [[]], ["A", "A"]),
    *("", " ", "A", "AAPL\n", " AAPL", "A B", "A" * 32, "A" * 33, "A" * 64, "A" * 65, "x" * 512, "x" * 513, "\x00"),
    *(
        "\x7f",
        "Ä",
        "\uff11\uff10\uff10",
        "10.0",
        "true",
        "null",
        "NaN",
        "BUY",
        "buy",
        "LIMIT",
        "STOP",
        "MARKET",
        "REJECTED",
        "GTD",
    ),
    *("FILLED", "TRADE", "1min", "1min\n", "0d", "10000d", "1week", "bar_event", "order_intent", "é" * 512, "😀" * 512),
    *("2024-01-02T21:00:00Z", "2024-01-02T21:00:00Z\n", "2024-01-02T21:00:00", "2024-01-02 21:00:00Z"),
    *("2024-01-02t21:00:00z", "2024-01-02T21:00Z", "2024-01-02T21:00:60Z", "2024-01-02T24:00:00Z", "1704229200"),
    *("2024-01-02T21:00:00.123456Z", "2024-01-02T21:00:00.1234567Z", "2024-01-02T21:00:00.Z", "2024-01-02T21:00:00,5Z"),
    *("2024-02-30T21:00:00Z", "2023-02-29T21:00:00Z", "2024-02-29T21:00:00Z", "2024-13-01T21:00:00Z", "2024-01-02"),
    *("2024-01-02T21:00:00+0900", "2024-01-02T21:00:00+09", "2024-01-02T21:00:00-00:00", "2024-01-02T21:00:00+23:59"),
    *("2024-01-02T21:00:00+24:00", "2024-01-02T21:00:00+09:60", "1699-12-31T23:59:59Z", "1700-01-01T00:00:00Z"),
    *(
        "2199-12-31T23:59:59.999999-23:59",
        "2200-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "\uff12\uff10\uff12\uff14-01-02T21:00:00Z",
    ),
    *(
        "3f2504e0-4f89-5d1a-9a0c-0305e82c3301",
        "3F2504E0-4F89-5D1A-9A0C-0305E82C3301",
        "3f2504e04f895d1a9a0c0305e82c3301",
    ),
    *("{3f2504e0-4f89-5d1a-9a0c-0305e82c3301}", "urn:uuid:3f2504e0-4f89-5d1a-9a0c-0305e82c3301", "not-a-uuid"),
    *("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    *("3f2504e0-4f89-5d1a-9a0c-0305e82c3301\n", "3f2504e0-4f895-d1a-9a0c-0305e82c3301", "0123456789abcdef" * 4),
)


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where something stands in a message: every field, entry and nested field."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [deeper for key, child in children for deeper in ((*path, key), *places(child, (*path, key)))]


def replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """A copy of ``value`` with ``new`` at ``path``."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]] if len(path) > 1 else None, path[1:], new)
    return copy


def on_the_wire(value: object) -> bytes:
    return json.dumps(value).encode()


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_both_accept_a_valid_message(
    event_type: str, generated: Mapping[str, st.SearchStrategy[Wire]], data: st.DataObject
) -> None:
    raw = on_the_wire(data.draw(generated[event_type]))
    assert refusals(raw) == ()
    assert schema_accepts(raw)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_both_say_the_same_of_a_changed_message(
    event_type: str, generated: Mapping[str, st.SearchStrategy[Wire]], data: st.DataObject
) -> None:
    message = data.draw(generated[event_type])
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.sampled_from(places(message)))
        change = data.draw(st.sampled_from(["value", "value", "value", "remove", "add"]))
        if change == "value":
            odd = st.sampled_from(ODD_VALUES) | st.text(max_size=40) | st.floats() | st.integers()
            message = replaced(message, place, data.draw(odd))
        elif change == "remove" and isinstance(place[0], str):
            message = {name: value for name, value in message.items() if name != place[0]}
        else:
            message = {**message, data.draw(st.text(max_size=8)): data.draw(st.sampled_from(ODD_VALUES))}
        if not places(message):
            break
    assert_same_verdict(on_the_wire(message))


def test_both_say_the_same_of_every_odd_value_in_every_place(event_type: str, samples: Mapping[str, Wire]) -> None:
    sample = samples[event_type]
    for place in places(sample):
        for odd in ODD_VALUES:
            assert_same_verdict(on_the_wire(replaced(sample, place, odd)))


def test_both_say_the_same_of_a_missing_and_of_an_unknown_field(event_type: str, samples: Mapping[str, Wire]) -> None:
    sample = samples[event_type]
    for name in sample:
        assert_same_verdict(on_the_wire({key: value for key, value in sample.items() if key != name}))
    assert_same_verdict(on_the_wire({**sample, "extra": 1}))
    assert_same_verdict(on_the_wire({**sample, "Symbol": "AAPL"}))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"null",
        b"true",
        b"1",
        b'"bar_event"',
        b"[]",
        b"{}",
        b"[{}]",
        b"{",
        b"}",
        b"\x00",
        b"{}{}",
        b"[" * 10_000,
        *(
            b'{"event_type":null}',
            b'{"event_type":["bar_event"]}',
            b'{"event_type":{"bar_event":1}}',
            b"{'a':1}",
            b"{,}",
        ),
    ],
)
def test_both_refuse_what_is_no_message(raw: bytes) -> None:
    assert refusals(raw)
    assert not schema_accepts(raw)


BAR = (
    b'{"event_type":"bar_event","symbol":"AAPL","timestamp":"2024-01-02T21:00:00Z",'
    b'"open":10,"high":11,"low":9,"close":10,"volume":5}'
)
MARKER = b'{"event_type":"run_marker","timestamp":"2024-01-02T21:00:00Z","run_id":"r","state":"STARTED","published":1}'
ALERT = (
    b'{"event_type":"risk_alert","timestamp":"2024-01-02T21:00:00Z","severity":"WARNING","code":"c","detail":"text"}'
)
PLAN = (
    b'{"event_type":"rebalance_plan","plan_id":"3f2504e0-4f89-5d1a-9a0c-0305e82c3301","strategy_id":"s",'
    b'"timestamp":"2024-01-02T21:00:00Z","valid_until":"2024-01-02T22:00:00Z","trades":[],"content_hash":"'
    + b"ab" * 32
    + b'"}'
)
EXAMPLES = {
    "the prices of a bar are in order": (BAR, BAR.replace(b'"high":11', b'"high":9.5')),
    "a plan ends after it begins": (PLAN, PLAN.replace(b"T22:", b"T21:")),
    "an integer is not written 1.0": (MARKER, MARKER.replace(b'"published":1', b'"published":1.0')),
    "a key stands once": (BAR, BAR.replace(b'"volume":5', b'"volume":5,"volume":5')),
    "there is no NaN literal": (BAR, BAR.replace(b'"volume":5', b'"volume":NaN')),
    "text is UTF-8 without a byte order mark": (BAR, b"\xef\xbb\xbf" + BAR),
    "no half of a surrogate pair is escaped": (ALERT, ALERT.replace(b"text", b"\\ud800")),
    "a message is at most 256 KiB": (BAR, BAR + b" " * 2**18),
}


@pytest.mark.parametrize("rule", sorted(JSON_SCHEMA_CANNOT_SAY))
def test_each_exception_is_needed_and_is_the_only_difference(rule: str) -> None:
    valid, invalid = EXAMPLES[rule]
    assert refusals(valid) == ()
    assert schema_accepts(valid)
    assert schema_accepts(invalid)
    errors = refusals(invalid)
    assert errors
    assert all(JSON_SCHEMA_CANNOT_SAY[rule](error) for error in errors)


def test_formats_are_asserted() -> None:
    sample = json.loads(BAR)
    for moment in ("2024-02-30T21:00:00Z", "2024-01-02T21:00:61Z", "2024-01-02T21:00:00+25:00"):
        assert not VALIDATORS["bar_event"].is_valid({**sample, "timestamp": moment})
