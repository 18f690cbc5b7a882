"""No error repeats what the message said, whichever field said it."""

import json
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.codec import ContractViolation, decode
from contracts.schema_validator import validate_message

Wire = dict[str, Any]

CANARY = "Zq7Canary"
NUMBER = 76_543_210_987
SPELLINGS: tuple[Any, ...] = (
    *(CANARY, f"{CANARY} {CANARY}", f"2024-01-02T21:00:00{CANARY}", f"{CANARY}\n", f"\u00e4{CANARY}", CANARY * 70),
    *([CANARY], [[CANARY]], {CANARY: CANARY}, {CANARY: {CANARY: 1}}, {"symbol": CANARY}, {"": CANARY}, {CANARY: -1}),
    *(NUMBER, -NUMBER, NUMBER + 0.5, NUMBER * 10**300, float(f"{NUMBER}e200"), [NUMBER], {CANARY: NUMBER}, str(NUMBER)),
    *(f"{NUMBER}-01-01T00:00:00Z", f"2024-01-02T21:00:61+{NUMBER}", "2024-99-99T99:99:99Z", f"{CANARY}-{NUMBER}"),
)


def positions(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The place of every field, entry and nested field."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from positions(child, (*path, key))


def with_value(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """A copy of ``value`` with ``new`` at ``path``."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_value(value[path[0]], path[1:], new)
    return copy


def with_key(value: Any, path: tuple[str | int, ...], key: str) -> Any:
    """A copy of ``value`` whose entry at ``path`` is called ``key``."""
    if len(path) == 1:
        return {key if name == path[0] else name: child for name, child in value.items()}
    return with_value(value, path[:1], with_key(value[path[0]], path[1:], key))


def refusal(raw: bytes) -> ContractViolation | None:
    try:
        decode(raw)
    except ContractViolation as violation:
        return violation
    return None


def all_that_is_said(raw: bytes) -> str:
    """Everything a log or a dead letter could take from the refusal of ``raw``."""
    told: list[str] = []
    violation = refusal(raw)
    if violation is not None:
        told += [str(violation), repr(violation), repr(violation.first), repr(vars(violation))]
        told += traceback.format_exception(violation)
        assert violation.__context__ is None
    for result in (validate_message(raw), validate_message(raw, json_schema=True)):
        told += [repr(result.errors), *(str(error) for error in result.errors)]
    return "\n".join(told)


def assert_silent(raw: bytes) -> None:
    said = all_that_is_said(raw)
    assert CANARY.lower() not in said.lower()
    assert str(NUMBER) not in said


def test_a_value_in_any_place(event_type: str, samples: Mapping[str, Wire]) -> None:
    sample = samples[event_type]
    for place in positions(sample):
        for value in SPELLINGS:
            assert_silent(json.dumps(with_value(sample, place, value)).encode())


def test_a_name_in_any_place(event_type: str, samples: Mapping[str, Wire]) -> None:
    sample = samples[event_type]
    for place in positions(sample):
        if isinstance(place[-1], str):
            for key in (CANARY, f"{CANARY} {CANARY}", f"~/{CANARY}", CANARY * 50):
                assert_silent(json.dumps(with_key(sample, place, key)).encode())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.encode() + CANARY.encode(),
        lambda text: CANARY.encode() + text.encode(),
        lambda text: text.encode().replace(b":", b":" + CANARY.encode(), 1),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode() + b"\xff" + CANARY.encode(),
        lambda text: (text[:-1] + f',"{CANARY}":1,"{CANARY}":1}}').encode(),
        lambda text: f'"{CANARY}"'.encode(),
        lambda text: f'{{"event_type":"{CANARY}"}}'.encode(),
        lambda text: f'{{"{CANARY}":{{}}}}'.encode(),
        lambda text: CANARY.encode() * 40_000,
    ],
)
def test_bytes_that_are_no_message(spoil: Any, samples: Mapping[str, Wire]) -> None:
    raw = spoil(json.dumps({**samples["risk_alert"], "detail": CANARY}))
    assert all_that_is_said(raw)
    assert_silent(raw)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_several_at_once(event_type: str, samples: Mapping[str, Wire], data: st.DataObject) -> None:
    message: Any = samples[event_type]
    for place in data.draw(st.lists(st.sampled_from([*positions(message)]), min_size=1, max_size=4, unique=True)):
        if place in set(positions(message)):
            message = with_value(message, place, data.draw(st.sampled_from(SPELLINGS)))
    assert_silent(json.dumps(message).encode())


def test_mappings_and_objects_without_a_json_form(samples: Mapping[str, Wire]) -> None:
    class Told:
        def __repr__(self) -> str:
            return CANARY

    for value in (Told(), {CANARY}, CANARY.encode(), {Told(): 1}, {1: CANARY}):
        result = validate_message({**samples["bar_event"], "symbol": value})
        assert not result
        assert CANARY not in repr(result)
