"""One trace from cause to consequence, the same ids on every run."""

import re
from datetime import UTC, datetime

import pytest

from contracts.codec import encode
from contracts.market import BarEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus, OrderType, Side
from domain.ids import intent_id
from kernel.tracing import TRACEPARENT, Traces

AT = datetime(2024, 1, 2, tzinfo=UTC)
BAR = BarEvent(symbol="A", timestamp=AT, open=1.0, high=1.0, low=1.0, close=1.0, volume=1.0)


def intent(ordinal=0):
    return OrderIntent(
        intent_id=intent_id("s", "A", AT, ordinal),
        symbol="A",
        direction=Side.BUY,
        quantity=1.0,
        order_type=OrderType.MARKET,
        timestamp=AT,
    )


def report(of):
    return ExecutionReport(
        intent_id=of.intent_id,
        order_id="1",
        symbol="A",
        status=OrderStatus.SUBMITTED,
        filled_quantity=0.0,
        timestamp=AT,
    )


def trace(traces, message, cause=None):
    return traces.next(message, encode(message), cause)


def test_a_first_message_has_a_well_formed_trace_of_its_own_that_repeats():
    parent = trace(Traces(), BAR)
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-01", parent)
    assert trace(Traces(), BAR) == parent


def test_a_consequence_continues_the_trace_of_its_cause_with_a_span_of_its_own():
    traces = Traces()
    cause = trace(traces, BAR)
    consequence = trace(traces, intent(), {TRACEPARENT: cause})
    assert consequence[:35] == cause[:35]
    assert consequence[36:52] != cause[36:52]


def test_a_report_continues_the_trace_of_its_intent_without_a_cause():
    traces = Traces()
    heard = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"
    traces.heard(intent(), {TRACEPARENT: heard})
    assert trace(traces, report(intent()))[:35] == heard[:35]


@pytest.mark.parametrize("parent", [b"", b"junk", b"00-" + b"0" * 32 + b"-" + b"b" * 16 + b"-01", b"\xff" * 55])
def test_a_malformed_parent_is_not_handed_on(parent):
    assert trace(Traces(), BAR, {TRACEPARENT: parent}) == trace(Traces(), BAR)


def test_memory_of_intents_is_bounded_and_drops_the_oldest():
    traces = Traces(remembered=2)
    known = [trace(traces, intent(ordinal), {TRACEPARENT: trace(traces, BAR)}) for ordinal in range(3)]
    assert trace(traces, report(intent(2)))[:35] == known[2][:35]
    assert trace(traces, report(intent(0)))[:35] != known[0][:35]
