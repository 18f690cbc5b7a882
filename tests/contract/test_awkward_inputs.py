"""Every public validator refuses the awkward inputs of the real world, says where, and stays alive."""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from contracts import schema_validator
from contracts.codec import ErrorCode
from contracts.schema_validator import ValidationResult, validate_message
from contracts.topics import MAX_MESSAGE_BYTES

Wire = dict[str, Any]
Validate = Callable[..., ValidationResult]

PRICES = {"open", "high", "low", "close", "price", "limit_price", "stop_price", "avg_fill_price", "last_price"}
NUMBERS = PRICES | {
    *("volume", "size", "ofi_value", "volume_imbalance", "bid_volume", "ask_volume", "quantity"),
    *("filled_quantity", "last_quantity", "commission", "sequence"),
}
MOMENTS = {"timestamp", "valid_until"}
IDS = {"intent_id", "report_id", "plan_id"}

NUMBER_LITERALS = {
    "nan": "NaN",
    "infinity": "Infinity",
    "minus infinity": "-Infinity",
    "overflow": "1e400",
    "minus overflow": "-1e400",
    "no market has it": "1e308",
    "more digits than a double": "1" + "0" * 400,
    "more digits than an integer": "1" + "0" * 5000,
    "boolean": "true",
    "text": '"10.0"',
    "text nan": '"NaN"',
    "full-width text": '"\uff11\uff10"',
    "array": "[10]",
    "object": "{}",
}
NO_JSON_NUMBERS = {
    "full-width digits": "\uff11\uff10",
    "underscore": "1_000",
    "leading zero": "010",
    "plus": "+10",
    "bare fraction": ".5",
    "bare point": "10.",
    "hexadecimal": "0x10",
    "bare word": "nan",
    "comma": "1,5",
}
ODD_MOMENTS = (
    *("2024-01-02T21:00:00", "2024-01-02T21:00:00Z\n", " 2024-01-02T21:00:00Z", "2024-01-02 21:00:00Z"),
    *("2024-01-02t21:00:00Z", "2024-01-02T21:00:00z", "2024-01-02T21:00Z", "2024-01-02", "20240102T210000Z", "now", ""),
    *("2024-01-02T21:00:60Z", "2024-01-02T24:00:00Z", "2024-02-30T21:00:00Z", "2024-01-02T21:00:00.123456789Z"),
    *("2024-01-02T21:00:00,5Z", "2024-01-02T21:00:00.Z", "2024-01-02T21:00:00+0900", "2024-01-02T21:00:00+24:00"),
    *("2024-01-02T21:00:00\u221209:00", "\uff12\uff10\uff12\uff14-01-02T21:00:00Z", "1704229200", "1704229200000"),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", 1704229200, 1704229200.5, True, None, [], {}),
)
ODD_IDS = (
    *("3F2504E0-4F89-5D1A-9A0C-0305E82C3301", "3f2504e04f895d1a9a0c0305e82c3301", "", "not-a-uuid"),
    *("{3f2504e0-4f89-5d1a-9a0c-0305e82c3301}", "urn:uuid:3f2504e0-4f89-5d1a-9a0c-0305e82c3301"),
    *("3f2504e0-4f89-5d1a-9a0c-0305e82c3301\n", "3f2504e0-4f895-d1a-9a0c-0305e82c3301"),
    *("3f2504e0-4f89-5d1a-9a0c-0305e82c330", "\uff13f2504e0-4f89-5d1a-9a0c-0305e82c3301", 1, True, []),
)
ODD_SYMBOLS = (
    *("", " ", "A B", " AAPL", "AAPL ", "AAPL\n", "AAPL\t", "AAPL\x00", "A" * 33, "\u00c4PL", "A\u200bB", "\x7f"),
    *("\uff21\uff21\uff30\uff2c", "\ud800", 1, True, None, ["AAPL"]),
)
FIVE = ("bar_event", "execution_report", "ofi_event", "order_intent", "tick_event")


@pytest.fixture(params=FIVE)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["own", "any", "own and schema"])
def validate(request: pytest.FixtureRequest, name: str) -> Validate:
    if request.param == "any":
        return validate_message
    own: Validate = getattr(schema_validator, f"validate_{name}")
    if request.param == "own":
        return own
    return lambda data: own(data, json_schema=True)


@pytest.fixture
def sample(name: str, samples: Mapping[str, Wire]) -> Wire:
    return samples[name]


def literally(sample: Wire, field: str, literal: str) -> str:
    """The sample as text with ``literal`` standing where the value of ``field`` was."""
    return json.dumps({**sample, field: "@@"}).replace('"@@"', literal)


def as_bytes_and_text(text: str) -> tuple[bytes | bytearray | memoryview | str, ...]:
    raw = text.encode("utf-8")
    return raw, text, bytearray(raw), memoryview(raw)


def assert_refused(result: ValidationResult, path: str | None = None, code: ErrorCode | None = None) -> None:
    assert not result
    assert not result.is_valid
    assert result.validated_data is None
    assert result.errors
    assert all(error.rule and error.path[:1] in {"", "/"} for error in result.errors)
    if path is not None:
        assert path in {error.path for error in result.errors}
    if code is not None:
        assert result.errors[0].code is code


def test_the_sample_is_valid_in_every_form(validate: Validate, sample: Wire) -> None:
    for form in (*as_bytes_and_text(json.dumps(sample)), sample):
        result = validate(form)
        assert result
        assert result.errors == ()
        assert result.validated_data == validate(json.dumps(sample)).validated_data


def test_numbers_that_are_no_numbers(validate: Validate, sample: Wire) -> None:
    for field in sample.keys() & NUMBERS:
        for literal in NUMBER_LITERALS.values():
            for form in as_bytes_and_text(literally(sample, field, literal)):
                assert_refused(validate(form), None if len(literal) > 4300 else f"/{field}")


def test_numbers_that_json_does_not_know(validate: Validate, sample: Wire) -> None:
    for field in sample.keys() & NUMBERS:
        for literal in NO_JSON_NUMBERS.values():
            for form in as_bytes_and_text(literally(sample, field, literal)):
                assert_refused(validate(form), code=ErrorCode.NOT_JSON)


def test_numbers_of_a_mapping_that_are_no_numbers(validate: Validate, sample: Wire) -> None:
    for field in sample.keys() & NUMBERS:
        for value in (float("nan"), float("inf"), 1e308, 10**400, True, "10.0", "\uff11\uff10", [10], {}):
            assert_refused(validate({**sample, field: value}), f"/{field}")
        for value in (Decimal(10), 10j, b"10", {10}, object(), 10**5000):
            assert_refused(validate({**sample, field: value}), code=ErrorCode.NOT_JSON)


@pytest.mark.parametrize("value", [-1.0, -0.01, 0, 0.0, -0.0, 1e-11, 1.1e12])
def test_prices_below_zero_at_zero_and_beyond_any_market(validate: Validate, sample: Wire, value: float) -> None:
    for field in sample.keys() & PRICES:
        for form in (*as_bytes_and_text(json.dumps({**sample, field: value})), {**sample, field: value}):
            assert_refused(validate(form), f"/{field}", ErrorCode.OUT_OF_RANGE)


@pytest.mark.parametrize("value", [0, -0.0, -1, 1e-400, 1.1e15])
def test_quantities_an_order_cannot_have(value: float, samples: Mapping[str, Wire]) -> None:
    result = schema_validator.validate_order_intent({**samples["order_intent"], "quantity": value})
    assert_refused(result, "/quantity", ErrorCode.OUT_OF_RANGE)


@pytest.mark.parametrize("field", ["volume", "size", "bid_volume", "ask_volume", "filled_quantity", "last_quantity"])
def test_volumes_below_zero(field: str, samples: Mapping[str, Wire]) -> None:
    for sample in samples.values():
        if field in sample:
            assert_refused(validate_message({**sample, field: -0.5}), f"/{field}", ErrorCode.OUT_OF_RANGE)


@pytest.mark.parametrize(
    ("kind", "values"),
    [("moment", ODD_MOMENTS), ("id", ODD_IDS), ("symbol", ODD_SYMBOLS)],
    ids=["moment", "id", "symbol"],
)
def test_odd_spellings(validate: Validate, sample: Wire, kind: str, values: tuple[object, ...]) -> None:
    fields = {"moment": MOMENTS, "id": IDS, "symbol": {"symbol"}}[kind]
    for field in sample.keys() & fields:
        for value in values:
            if value is None and field not in {"timestamp", "symbol", "intent_id"}:
                continue
            place = None if value == "\ud800" else f"/{field}"
            for form in (*as_bytes_and_text(json.dumps({**sample, field: value})), {**sample, field: value}):
                assert_refused(validate(form), place)


@pytest.mark.parametrize(
    "value", ["", "bar", "BAR_EVENT", "bar_event ", "run_marker", 1, None, True, [], {}, ["bar_event"]]
)
def test_an_event_type_of_something_else(validate: Validate, sample: Wire, value: object) -> None:
    for form in (*as_bytes_and_text(json.dumps({**sample, "event_type": value})), {**sample, "event_type": value}):
        assert_refused(validate(form))


def test_each_validator_refuses_the_messages_of_the_others(name: str, samples: Mapping[str, Wire]) -> None:
    validate = getattr(schema_validator, f"validate_{name}")
    for event_type in samples.keys() - {name}:
        assert_refused(validate(samples[event_type]), "/event_type", ErrorCode.UNKNOWN_SCHEMA)


def test_missing_fields(validate: Validate, sample: Wire) -> None:
    required = {"event_type", "symbol", "timestamp"} | (sample.keys() & {"open", "price", "quantity", "status"})
    for field in required:
        rest = {key: value for key, value in sample.items() if key != field}
        assert_refused(validate(rest), f"/{field}")
        assert_refused(validate(json.dumps(rest)), f"/{field}")


@pytest.mark.parametrize("extra", ["note", "Symbol", "symbol ", "", "\u00e9", "__class__", "a/b~c"])
def test_unknown_fields(validate: Validate, sample: Wire, extra: str) -> None:
    for form in (*as_bytes_and_text(json.dumps({**sample, extra: 1})), {**sample, extra: 1}):
        assert_refused(validate(form), "")


@pytest.mark.parametrize("extra", [1, 1.5, None, True, b"symbol", ("symbol",)])
def test_mappings_with_keys_that_are_no_text(validate: Validate, sample: Wire, extra: object) -> None:
    assert_refused(validate({**sample, extra: 1}), code=ErrorCode.NOT_JSON)
    assert_refused(validate({**sample, "symbol": {extra: 1}}), code=ErrorCode.NOT_JSON)


@pytest.mark.parametrize(
    "second",
    ['"symbol":"IBM"', '"symbol" : "IBM"', '"symbol"\n:\t"IBM"', r'"\u0073ymbol":"IBM"', r'"s\u0079mbol": "IBM"'],
)
def test_a_key_that_stands_twice(validate: Validate, sample: Wire, second: str) -> None:
    text = json.dumps(sample, separators=(",", ":"))
    for twice in (text[:-1] + "," + second + "}", "{" + second + "," + text[1:]):
        for form in as_bytes_and_text(twice):
            assert_refused(validate(form), "", ErrorCode.DUPLICATE_KEY)


@pytest.mark.parametrize(
    "prices",
    [
        {"high": 185.0},
        {"high": 187.1},
        {"low": 186.0},
        {"low": 187.2},
        {"high": 183.0, "low": 184.0},
        {"open": 188.45},
        {"close": 183.0},
    ],
)
def test_bars_whose_prices_are_out_of_order(prices: Wire, samples: Mapping[str, Wire]) -> None:
    bar = {**samples["bar_event"], **prices}
    for form in (*as_bytes_and_text(json.dumps(bar)), bar):
        assert_refused(schema_validator.validate_bar_event(form), "")


@pytest.mark.parametrize(
    ("order_type", "price"), [("LIMIT", "limit"), ("STOP_LIMIT", "limit"), ("STOP", "stop"), ("STOP_LIMIT", "stop")]
)
def test_orders_without_the_price_they_need(order_type: str, price: str, samples: Mapping[str, Wire]) -> None:
    intent = {**samples["order_intent"], "order_type": order_type, f"{price}_price": None}
    result = schema_validator.validate_order_intent(intent)
    assert_refused(result)
    assert f"{price}_price is required" in result.errors[0].rule


def test_reports_that_keep_something_back(samples: Mapping[str, Wire]) -> None:
    report = samples["execution_report"]
    without_reason = schema_validator.validate_execution_report({**report, "reject_reason": None})
    assert_refused(without_reason)
    without_price = schema_validator.validate_execution_report({**report, "avg_fill_price": None})
    assert_refused(without_price)


WHOLE = {
    "empty": (lambda text: b"", ErrorCode.NOT_JSON),
    "blank": (lambda text: b" \n", ErrorCode.NOT_JSON),
    "byte order mark": (lambda text: b"\xef\xbb\xbf" + text.encode(), ErrorCode.NOT_UTF8),
    "UTF-16": (lambda text: text.encode("utf-16"), ErrorCode.NOT_UTF8),
    "UTF-16 without mark": (lambda text: text.encode("utf-16-le"), ErrorCode.NOT_JSON),
    "UTF-32": (lambda text: text.encode("utf-32"), ErrorCode.NOT_UTF8),
    "Latin-1": (
        lambda text: text.replace('"symbol":"', '"symbol":"\u00c4').encode("latin-1"),
        ErrorCode.NOT_UTF8,
    ),
    "cut UTF-8": (lambda text: text.encode()[:-2] + b"\xe2\x82", ErrorCode.NOT_UTF8),
    "UTF-8 surrogate": (lambda text: text.encode().replace(b'":"', b'":"\xed\xa0\x80', 1), ErrorCode.NOT_UTF8),
    "overlong UTF-8": (lambda text: text.encode().replace(b'":"', b'":"\xc1\x81', 1), ErrorCode.NOT_UTF8),
    "NUL": (lambda text: text.encode() + b"\x00", ErrorCode.NOT_JSON),
    "NUL in front": (lambda text: b"\x00" + text.encode(), ErrorCode.NOT_JSON),
    "control character": (lambda text: text.encode().replace(b'":"', b'":"\x01', 1), ErrorCode.NOT_JSON),
    "nested arrays": (lambda text: b"[" * 10_000 + b"]" * 10_000, ErrorCode.NOT_JSON),
    "nested objects": (lambda text: b'{"a":' * 10_000 + b"1" + b"}" * 10_000, ErrorCode.NOT_JSON),
    "open brackets": (lambda text: b"[" * 100_000, ErrorCode.NOT_JSON),
    "nested in a field": (
        lambda text: text[:-1].encode() + b',"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        ErrorCode.NOT_JSON,
    ),
    "cut": (lambda text: text.encode()[:-1], ErrorCode.NOT_JSON),
    "two messages": (lambda text: (text + text).encode(), ErrorCode.NOT_JSON),
    "trailing comma": (lambda text: (text[:-1] + ",}").encode(), ErrorCode.NOT_JSON),
    "comment": (lambda text: (text + "// note").encode(), ErrorCode.NOT_JSON),
    "single quotes": (lambda text: text.replace('"', "'").encode(), ErrorCode.NOT_JSON),
    "in an array": (lambda text: f"[{text}]".encode(), ErrorCode.SCHEMA_INVALID),
    "in a string": (lambda text: json.dumps(text).encode(), ErrorCode.SCHEMA_INVALID),
    "null": (lambda text: b"null", ErrorCode.SCHEMA_INVALID),
    "number": (lambda text: b"1", ErrorCode.SCHEMA_INVALID),
    "one byte too long": (lambda text: text.encode().ljust(MAX_MESSAGE_BYTES + 1), ErrorCode.TOO_LARGE),
    "ten megabytes": (lambda text: text.encode().ljust(10_000_000), ErrorCode.TOO_LARGE),
}


@pytest.mark.parametrize("case", sorted(WHOLE))
def test_bytes_that_are_no_message(validate: Validate, sample: Wire, case: str) -> None:
    spoil, code = WHOLE[case]
    raw = spoil(json.dumps(sample, separators=(",", ":")))
    assert_refused(validate(raw), code=code)
    assert_refused(validate(memoryview(raw)), code=code)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return
    assert_refused(validate(text), code=code)


def test_a_message_of_just_the_largest_size_is_read(validate: Validate, sample: Wire) -> None:
    assert validate(json.dumps(sample).encode().ljust(MAX_MESSAGE_BYTES))


def test_text_with_half_a_surrogate_pair(validate: Validate, sample: Wire) -> None:
    assert_refused(validate(json.dumps(sample) + "\ud800"), code=ErrorCode.NOT_UTF8)
    assert_refused(validate({**sample, "symbol": "\ud800"}), code=ErrorCode.NOT_JSON)
    assert_refused(validate({**sample, "\udfff": 1}), code=ErrorCode.NOT_JSON)


def test_mappings_nested_too_deep_or_into_themselves(validate: Validate, sample: Wire) -> None:
    deep: object = 1
    for _ in range(10_000):
        deep = [deep]
    assert_refused(validate({**sample, "symbol": deep}), code=ErrorCode.NOT_JSON)
    circle: Wire = dict(sample)
    circle["symbol"] = circle
    assert_refused(validate(circle), code=ErrorCode.NOT_JSON)


def test_an_error_per_broken_rule_and_not_more_than_fit_a_log_line(samples: Mapping[str, Wire]) -> None:
    report = samples["order_intent"]
    broken = validate_message({**report, "quantity": -1, "symbol": "A B", "timestamp": "now"})
    assert {error.path for error in broken.errors} == {"/quantity", "/symbol", "/timestamp"}
    state = samples["portfolio_state"]
    flooded = validate_message({**state, **{f"x{n}": n for n in range(10_000)}})
    assert len(flooded.errors) == 1
    slice_event = {**samples["slice_event"], "symbols": [""] * 4000}
    assert len(validate_message(slice_event).errors) == 32
