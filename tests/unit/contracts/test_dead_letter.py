"""A dead letter keeps the original as it was and says why it is there, through any number of redrives."""

import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import ErrorCode, FieldError
from contracts.dead_letter import (
    ADDED_HEADERS,
    NotADeadLetter,
    Refuser,
    SourceRecord,
    class_of,
    dead_letter_headers,
    dead_letter_id,
    parse_dead_letter,
    redriven_headers,
    stage_of,
)

NOW = datetime(2024, 1, 2, 21, 0, 0, 500_000, tzinfo=UTC)
LATER = datetime(2024, 1, 3, tzinfo=UTC)
REFUSER = Refuser("algotrade-strategy", "strategy-host-1", "1.2.3", ("bar_event.v1", "tick_event.v1"))
WRONG = FieldError("/close", "Input should be a finite number", ErrorCode.NON_FINITE)
INTENT = "1bdd1055-7091-5416-8bc9-1ebb35423c01"

names = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=12)
headers = st.lists(st.tuples(names, st.none() | st.binary(max_size=20)), max_size=5).map(tuple)
sources = st.builds(
    SourceRecord,
    topic=names,
    partition=st.integers(0, 100),
    offset=st.integers(0, 2**62),
    key=st.none() | st.binary(max_size=10),
    value=st.none() | st.binary(max_size=200),
    headers=headers,
    timestamp_ms=st.integers(0, 2**41),
)
errors = st.builds(FieldError, path=st.text(max_size=600), rule=st.text(max_size=1000), code=st.sampled_from(ErrorCode))


def letter_of(source, error=WRONG, at=NOW):
    return parse_dead_letter(dead_letter_headers(source, error, REFUSER, at), source.key, source.value)


@given(sources, errors)
def test_everything_about_a_failure_can_be_read_back(source, error):
    wire = dead_letter_headers(source, error, REFUSER, NOW)
    letter = parse_dead_letter(wire, source.key, source.value)
    assert (letter.source_topic, letter.source_partition, letter.source_offset) == (
        source.topic,
        source.partition,
        source.offset,
    )
    assert (letter.key, letter.value, letter.headers) == (source.key, source.value, source.headers)
    assert letter.code == error.code
    assert letter.source_timestamp_ms == source.timestamp_ms
    assert letter.intact
    for name, value in wire:
        if name in ADDED_HEADERS:
            assert len(value) <= 512
            value.decode("utf-8")


@given(sources, errors)
def test_a_second_failure_remembers_the_first(source, error):
    first = letter_of(source, error)
    again = SourceRecord(
        topic="elsewhere",
        partition=9,
        offset=99,
        key=first.key,
        value=first.value,
        headers=tuple(redriven_headers(first)),
    )
    second = letter_of(again, at=LATER)
    assert second.redrive_count == 1
    assert (second.origin_topic, second.origin_partition, second.origin_offset) == (
        source.topic,
        source.partition,
        source.offset,
    )
    assert (second.first_failed_at, second.failed_at) == (first.failed_at, "2024-01-03T00:00:00.000+00:00")
    assert second.headers == source.headers
    third = letter_of(SourceRecord("x", 0, 0, None, None, tuple(redriven_headers(second))))
    assert third.redrive_count == 2
    assert third.headers == source.headers


def test_the_same_failure_has_the_same_name_and_another_group_another():
    assert dead_letter_id("t", 1, 2, "g") == hashlib.sha256(b"t/1/2/g").hexdigest()
    assert dead_letter_id("t", 1, 2, "g") != dead_letter_id("t", 1, 2, "h")


def test_what_can_be_read_of_a_broken_intent_is_named():
    value = b'{"event_type": "order_intent", "intent_id" : "%b", "quantity": NaN}' % INTENT.encode()
    trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    wire = (("schema", b"order_intent.v1"), ("producer", b"strategy"), ("traceparent", trace))
    letter = letter_of(SourceRecord("order_intents", 0, 7, b"AAPL", value, wire))
    assert letter.intent_id == INTENT
    assert letter.correlation_id == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert (letter.schema_claimed, letter.producer_id) == ("order_intent.v1", "strategy")
    assert letter.schema_expected == "bar_event.v1,tick_event.v1"


@pytest.mark.parametrize("claim", [b"\x1b[31mred", b"a" * 200, b"two words", b"\xff", None])
def test_a_claim_that_could_harm_a_reader_is_left_out(claim):
    letter = letter_of(SourceRecord("t", 0, 0, None, b"", (("schema", claim), ("producer", claim))))
    assert (letter.schema_claimed, letter.producer_id) == ("", "")


@pytest.mark.parametrize("forged", [b"many", b"-1", "٣".encode(), b"", b"9" * 30, None])
def test_a_forged_count_is_not_believed(forged):
    source = SourceRecord("t", 3, 4, None, b"", (("dlq.redrive.count", forged), ("dlq.origin.offset", forged)))
    letter = letter_of(source)
    assert (letter.redrive_count, letter.origin_offset) == (0, 4)


def test_a_changed_value_is_noticed():
    wire = dead_letter_headers(SourceRecord("t", 0, 0, None, b"as it was"), WRONG, REFUSER, NOW)
    assert not parse_dead_letter(wire, None, b"as it is").intact


@pytest.mark.parametrize("wire", [[], [("dlq.v", b"1")], [("dlq.v", b"2"), ("dlq.id", b"x")], [("dlq.id", b"x")]])
def test_a_record_that_something_else_wrote_is_told_apart(wire):
    with pytest.raises(NotADeadLetter):
        parse_dead_letter(wire, None, None)


@pytest.mark.parametrize(
    ("code", "stage", "failure_class"),
    [
        (ErrorCode.NOT_JSON, "DECODE", "POISON"),
        (ErrorCode.TOO_LARGE, "DECODE", "POISON"),
        (ErrorCode.OUT_OF_RANGE, "SCHEMA", "POISON"),
        (ErrorCode.STALE, "SEMANTIC", "POLICY"),
        (ErrorCode.UNKNOWN_ORDER, "SEMANTIC", "TRANSIENT"),
        (ErrorCode.DEPENDENCY_DOWN, "HANDLER", "TRANSIENT"),
        (ErrorCode.HANDLER_BUG, "HANDLER", "POISON"),
    ],
)
def test_a_code_says_where_it_failed_and_whether_it_can_ever_work(code, stage, failure_class):
    assert (stage_of(code), class_of(code)) == (stage, failure_class)
