"""Messages survive the wire, trusted ones are indistinguishable, and no key can hide behind another."""

import copy
import json
import pickle
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contracts.base import Message
from contracts.codec import MESSAGE_TYPES, ContractViolation, ErrorCode, decode, encode

Wire = dict[str, Any]
Generated = Mapping[str, st.SearchStrategy[Wire]]


def read(wire: Wire) -> Message:
    return decode(json.dumps(wire).encode())


def hash_or_none(message: Message) -> int | None:
    """The hash, or None for the contracts that hold a mapping and have none."""
    try:
        return hash(message)
    except TypeError:
        return None


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(event_type: str, generated: Generated, data: st.DataObject) -> None:
    message = read(data.draw(generated[event_type]))
    raw = encode(message)
    again = decode(raw, (MESSAGE_TYPES[event_type],))
    assert type(again) is MESSAGE_TYPES[event_type]
    assert again == message
    assert encode(again) == raw
    assert raw == message.model_dump_json().encode()


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_reading_keeps_every_value_that_was_written(event_type: str, generated: Generated, data: st.DataObject) -> None:
    wire = data.draw(generated[event_type])
    written = json.loads(encode(read(wire)))
    assert list(written) == list(MESSAGE_TYPES[event_type].model_fields)
    for name, value in wire.items():
        if name in {"timestamp", "event_time", "valid_until"} and value is not None:
            assert datetime.fromisoformat(written[name]) == datetime.fromisoformat(value)
        else:
            assert written[name] == value


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_trusted_message_cannot_be_told_from_a_validated_one(
    event_type: str, generated: Generated, data: st.DataObject
) -> None:
    message = read(data.draw(generated[event_type]))
    contract = type(message)
    fields = {name: getattr(message, name) for name in contract.model_fields}
    validated, trusted = contract(**fields), contract.trusted(dict(fields))
    assert trusted == validated == message
    assert hash_or_none(trusted) == hash_or_none(validated)
    assert repr(trusted) == repr(validated)
    assert encode(trusted) == encode(validated)
    assert trusted.model_dump() == validated.model_dump()
    assert trusted.model_fields_set == validated.model_fields_set
    assert pickle.loads(pickle.dumps(trusted)) == validated
    assert copy.deepcopy(trusted) == copy.copy(trusted) == validated
    assert trusted.partition_key == validated.partition_key
    assert trusted.model_copy(update={"timestamp": message.timestamp}) == validated  # type: ignore[attr-defined]


def test_every_contract_requires_a_timestamp(event_type: str, samples: Mapping[str, Wire]) -> None:
    """The fast proof that no key stands twice counts on the colons in it."""
    rest = {name: value for name, value in samples[event_type].items() if name != "timestamp"}
    with pytest.raises(ContractViolation) as refusal:
        read(rest)
    assert "/timestamp" in {error.path for error in refusal.value.errors}


_blanks = st.text(" \t\r\n", max_size=2)


@st.composite
def _spelled(draw: st.DrawFn, text: str) -> str:
    """A JSON string with some characters escaped."""
    spelled = json.dumps(text, ensure_ascii=draw(st.booleans()))
    if not text or not draw(st.booleans()):
        return spelled
    place = draw(st.integers(0, len(text) - 1))
    if ord(text[place]) > 0xFFFF:
        return spelled
    return f"{json.dumps(text[:place])[:-1]}\\u{ord(text[place]):04x}{json.dumps(text[place + 1 :])[1:]}"


@st.composite
def _written(draw: st.DrawFn, value: Any, free: bool) -> str:
    """JSON text of ``value``; ``free`` spells it with blanks and escapes."""
    if not free:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    blank = draw(_blanks)
    if isinstance(value, str):
        return draw(_spelled(value)) + blank
    if isinstance(value, list):
        return "[" + blank + ",".join(draw(_written(item, True)) for item in value) + "]"
    if isinstance(value, dict):
        return _object([(draw(_spelled(k)) + draw(_blanks), blank + draw(_written(v, True))) for k, v in value.items()])
    return blank + json.dumps(value)


def _object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{key}:{value}" for key, value in pairs) + "}"


@st.composite
def _pairs(draw: st.DrawFn, wire: Wire, free: bool) -> list[tuple[str, str]]:
    pairs = []
    for name, value in draw(st.permutations(list(wire.items()))):
        key = draw(_spelled(name)) + draw(_blanks) if free else json.dumps(name)
        pairs.append((draw(_blanks) + key if free else key, draw(_written(value, free))))
    return pairs


DECOYS = (
    *("1", "-0.0", "null", "true", '""', '":"', '"::"', '"\\":"', "[]", "[1,2]", "{}", '{"a":1}', '{":":":"}'),
    *('"2024-01-02T21:00:00Z"', '"2024-01-02T21\\u003a00\\u003a00Z"', '"\\u003a"', '"\\u0022\\u003a"', '"\u00e4"'),
    '[{"symbol":1}]',
)


@given(data=st.data(), free=st.booleans())
@settings(max_examples=60, deadline=None)
def test_blanks_escapes_and_order_change_nothing(
    event_type: str, generated: Generated, data: st.DataObject, free: bool
) -> None:
    wire = data.draw(generated[event_type])
    assert decode(_object(data.draw(_pairs(wire, free))).encode()) == read(wire)


@given(data=st.data(), free=st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_repeated_key_is_found_however_it_is_spelled(
    event_type: str, generated: Generated, data: st.DataObject, free: bool
) -> None:
    wire = data.draw(generated[event_type])
    pairs = data.draw(_pairs(wire, free))
    name = data.draw(st.sampled_from(sorted(wire)))
    key = data.draw(_spelled(name)) if free or data.draw(st.booleans()) else json.dumps(name)
    same = data.draw(st.booleans())
    value = data.draw(_written(wire[name], free)) if same else data.draw(st.sampled_from(DECOYS))
    at = data.draw(st.integers(0, len(pairs)))
    with pytest.raises(ContractViolation) as refusal:
        decode(_object([*pairs[:at], (key, value), *pairs[at:]]).encode())
    if same:
        assert refusal.value.first.code is ErrorCode.DUPLICATE_KEY


@given(data=st.data(), free=st.booleans())
@settings(max_examples=100, deadline=None)
@pytest.mark.parametrize(("outer", "inner"), [("portfolio_state", "positions"), ("heartbeat", "ends")])
def test_a_repeated_key_is_found_in_a_nested_object(
    outer: str, inner: str, generated: Generated, data: st.DataObject, free: bool
) -> None:
    wire = data.draw(generated[outer])
    assume(wire[inner])
    name = data.draw(st.sampled_from(sorted(wire[inner])))
    key = data.draw(_spelled(name)) if free else json.dumps(name)
    twice = [*data.draw(_pairs(wire[inner], free)), (key, "1")]
    pairs = [pair for pair in data.draw(_pairs(wire, free)) if json.loads(pair[0]) != inner]
    with pytest.raises(ContractViolation) as refusal:
        decode(_object([*pairs, (json.dumps(inner), _object(twice))]).encode())
    assert refusal.value.first.code is ErrorCode.DUPLICATE_KEY


def test_a_repeated_key_hides_behind_no_value_that_is_overwritten(samples: Mapping[str, Wire]) -> None:
    text = json.dumps(samples["bar_event"], separators=(",", ":"))
    shadowed = [
        "[" * 150 + "]" * 150,
        "9" * 4300,
        "-" + "9" * 4000,
        "NaN",
        "Infinity",
        "1e999",
        '"' + "x" * 100_000 + '"',
    ]
    for value in shadowed:
        with pytest.raises(ContractViolation):
            decode(f'{{"volume":{value},{text[1:]}'.encode())
    for raw in (b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\\ud800"', b'"\\u0000"'):
        with pytest.raises(ContractViolation):
            decode(b'{"symbol":' + raw + b"," + text[1:].encode())
