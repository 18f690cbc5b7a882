"""Refusals carry the code, the place and the rule that a dead letter is filed under."""

import json
from typing import Any

import pytest

from contracts.codec import ContractViolation, ErrorCode, FieldError, decode, pointer
from contracts.control import PortfolioState, RebalancePlan
from contracts.market import BarEvent, TickEvent
from contracts.trading import ExecutionReport, OrderIntent

BAR = {
    "event_type": "bar_event",
    "symbol": "AAPL",
    "timestamp": "2024-01-02T21:00:00Z",
    "open": 10.0,
    "high": 11.0,
    "low": 9.0,
    "close": 10.5,
    "volume": 5.0,
}
STATE = {
    "event_type": "portfolio_state",
    "timestamp": "2024-01-02T21:00:00Z",
    "strategy_id": "s",
    "cash": 1.0,
    "equity": 1.0,
    "positions": {},
}


def refusal(message: dict[str, Any] | bytes, *accepts: Any) -> tuple[FieldError, ...]:
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    with pytest.raises(ContractViolation) as violation:
        decode(raw, accepts or None)
    return violation.value.errors


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"open": -1.0}, "/open", ErrorCode.OUT_OF_RANGE),
        ({"volume": 1e308}, "/volume", ErrorCode.OUT_OF_RANGE),
        ({"volume": float("nan")}, "/volume", ErrorCode.NON_FINITE),
        ({"volume": float("inf")}, "/volume", ErrorCode.NON_FINITE),
        ({"volume": "5"}, "/volume", ErrorCode.SCHEMA_INVALID),
        ({"timestamp": "2024-01-02T21:00:60Z"}, "/timestamp", ErrorCode.SCHEMA_INVALID),
        ({"high": 9.5}, "", ErrorCode.SCHEMA_INVALID),
        ({"note": 1}, "", ErrorCode.SCHEMA_INVALID),
        ({"event_type": "nonsense"}, "/event_type", ErrorCode.UNKNOWN_SCHEMA),
        ({"event_type": None}, "/event_type", ErrorCode.UNKNOWN_SCHEMA),
    ],
)
def test_the_first_error_names_place_and_code(changes: dict[str, Any], path: str, code: ErrorCode) -> None:
    (error,) = refusal({**BAR, **changes})
    assert (error.path, error.code) == (path, code)


def test_a_reader_of_one_contract_needs_and_checks_the_event_type() -> None:
    for accepts in ((BarEvent,), (BarEvent, TickEvent)):
        (missing,) = refusal({name: value for name, value in BAR.items() if name != "event_type"}, *accepts)
        assert missing == FieldError("/event_type", "event_type is missing", ErrorCode.UNKNOWN_SCHEMA)
    (foreign,) = refusal(BAR, OrderIntent)
    assert foreign.code is ErrorCode.UNKNOWN_SCHEMA
    assert decode(json.dumps(BAR).encode(), (BarEvent,)) == decode(json.dumps(BAR).encode())


def test_bytes_that_are_no_json_are_told_apart() -> None:
    assert refusal(b"")[0].code is ErrorCode.NOT_JSON
    assert refusal(b"\xef\xbb\xbf{}")[0] == FieldError("", "starts with a byte order mark", ErrorCode.NOT_UTF8)
    assert refusal(b'{"a":"\xff"}')[0] == FieldError("", "not UTF-8", ErrorCode.NOT_UTF8)
    assert refusal(b" " * (256 * 1024 + 1))[0] == FieldError("", "message exceeds 262144 bytes", ErrorCode.TOO_LARGE)


def test_places_end_before_a_key_of_the_input() -> None:
    (value,) = refusal({**STATE, "positions": {"AAPL": "5"}}, PortfolioState)
    assert value.path == "/positions"
    assert value.rule == "an entry of this object: Input should be a valid number"
    (key,) = refusal({**STATE, "positions": {"A B": 5.0}}, PortfolioState)
    assert key.path == "/positions"
    assert key.rule.startswith("a key of this object: String should match pattern")


def test_places_in_lists_count_from_zero() -> None:
    trade = {"symbol": "A", "direction": "BUY", "quantity": 1, "current_weight": 0, "target_weight": 0}
    plan = {
        "event_type": "rebalance_plan",
        "plan_id": "3f2504e0-4f89-5d1a-9a0c-0305e82c3301",
        "strategy_id": "s",
        "timestamp": "2024-01-02T21:00:00Z",
        "valid_until": "2024-01-02T22:00:00Z",
        "trades": [trade, {**trade, "quantity": 0}],
        "content_hash": "a" * 64,
    }
    (error,) = refusal(plan, RebalancePlan)
    assert error.path == "/trades/1/quantity"
    assert pointer(["trades", 1, "not a field", "quantity"]) == "/trades/1"


def test_each_broken_rule_is_reported_once_and_at_most_32_of_them() -> None:
    errors = refusal({**BAR, "open": -1, "close": "x", "symbol": ""})
    assert [error.path for error in errors] == ["/symbol", "/open", "/close"]
    assert len(refusal({**BAR, **{f"x{number}": 1 for number in range(50)}})) == 1
    many = {"event_type": "slice_event", "timestamp": BAR["timestamp"], "bar_size": "1d", "symbols": [""] * 100}
    assert len(refusal(many)) == 32


def test_a_violation_reads_as_one_line() -> None:
    with pytest.raises(ContractViolation) as violation:
        decode(json.dumps({**BAR, "open": -1, "volume": -1}).encode())
    assert str(violation.value) == (
        "/open: Input should be greater than or equal to 0.0000000001 [OUT_OF_RANGE]; "
        "/volume: Input should be greater than or equal to 0 [OUT_OF_RANGE]"
    )


@pytest.mark.parametrize("tail", ["", " ", "\n", "\t\r\n  "])
def test_blanks_around_a_message_are_json(tail: str) -> None:
    raw = json.dumps(BAR).encode()
    assert decode(tail.encode() + raw + tail.encode()) == decode(raw)


def test_zero_may_be_negative_and_integers_may_stand_for_floats() -> None:
    for literal in ("0", "-0", "-0.0", "0e5", "1e-400"):
        raw = json.dumps({**BAR, "volume": "@"}).replace('"@"', literal).encode()
        message = decode(raw)
        assert isinstance(message, BarEvent)
        assert message.volume == 0


def test_a_report_may_leave_out_what_has_a_default() -> None:
    raw = {
        "event_type": "execution_report",
        "intent_id": "3f2504e0-4f89-5d1a-9a0c-0305e82c3301",
        "order_id": "1",
        "symbol": "AAPL",
        "status": "SUBMITTED",
        "filled_quantity": 0,
        "timestamp": "2024-01-02T21:00:00Z",
    }
    report = decode(json.dumps(raw).encode())
    assert isinstance(report, ExecutionReport)
    assert (report.sequence, report.avg_fill_price, report.strategy_id) == (1, None, "default")


@pytest.mark.parametrize(
    ("moment", "repeats"), [(r"2024-01-02T21\u003a00:00Z", 1), (r"2024-01-02T21\u003a00\u003a00Z", 2), ("plain", 1)]
)
def test_colons_escaped_in_a_timestamp_make_no_room_for_a_repeated_key(moment: str, repeats: int) -> None:
    text = json.dumps(BAR, separators=(",", ":"))
    escaped = text if moment == "plain" else text.replace(str(BAR["timestamp"]), moment)
    assert decode(escaped.encode()) == decode(text.encode())
    (error,) = refusal((escaped[:-1] + ',"volume":7.0' * repeats + "}").encode())
    assert error.code is ErrorCode.DUPLICATE_KEY


@pytest.mark.parametrize("symbol", [":", "::", ":A", "A:", ":A:B"])
def test_colons_in_text_are_no_keys(symbol: str) -> None:
    text = json.dumps({**BAR, "symbol": symbol}, separators=(",", ":"))
    assert isinstance(decode(text.encode()), BarEvent)
    assert refusal((text[:-1] + ',"volume":7.0}').encode())[0].code is ErrorCode.DUPLICATE_KEY
